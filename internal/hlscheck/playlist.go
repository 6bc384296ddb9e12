package hlscheck

import "time"

// A Playlist is a media playlist.
type Playlist struct {
	Version       int // 1 without the tag
	Target        time.Duration
	Sequence      uint64
	Discontinuity uint64
	Type          string // "", "EVENT" or "VOD"
	Independent   bool   // EXT-X-INDEPENDENT-SEGMENTS
	Control       Control
	PartTarget    time.Duration // 0 without EXT-X-PART-INF
	Skipped       int           // EXT-X-SKIP
	Segments      []Segment     // after those skipped
	Next          Segment       // not complete: only its parts are there; no URI
	Hint          *Hint
	Ended         bool

	tags map[string]int // how often each stands there
}

// A Control is an EXT-X-SERVER-CONTROL tag.
type Control struct {
	Block                         bool
	HoldBack, PartHoldBack, Skips time.Duration // 0: not there
}

// A Segment is a media segment with the tags that apply to it.
type Segment struct {
	URI      string
	Duration time.Duration
	Title    string
	Discont  bool
	Map      string // URI of the EXT-X-MAP in force
	Date     time.Time
	Range    string // EXT-X-BYTERANGE
	Gap      bool
	Parts    []Part
}

// A Part is a partial segment.
type Part struct {
	URI              string
	Duration         time.Duration
	From, Size       int64 // Size is 0 without a byte range
	Independent, Gap bool
}

// A Hint is an EXT-X-PRELOAD-HINT of a part.
type Hint struct {
	URI  string
	From int64
}

// end returns the sequence number after the last complete segment.
func (p *Playlist) end() uint64 {
	return p.Sequence + uint64(p.Skipped) + uint64(len(p.Segments))
}

// at returns the segment with this sequence number, which may be the one that is
// not complete; nil if it is not there.
func (p *Playlist) at(sequence uint64) *Segment {
	first := p.Sequence + uint64(p.Skipped)
	switch {
	case sequence < first || sequence > p.end():
		return nil
	case sequence == p.end():
		return &p.Next
	}
	return &p.Segments[sequence-first]
}

// Total returns the duration of the complete segments.
func (p *Playlist) Total() (d time.Duration) {
	for i := range p.Segments {
		d += p.Segments[i].Duration
	}
	return d
}

// Complete reports whether s is a whole segment.
func (s *Segment) Complete() bool { return s.URI != "" }
