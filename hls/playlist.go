package hls

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// What a playlist promises, in target durations and part targets
// (draft-pantos-hls-rfc8216bis, 4.4.3.8).
const (
	holdBack     = 3 // how far behind the end players stay
	partHoldBack = 3 // how far those of low latency, who stay leastHoldBack behind at least
	partsListed  = 3 // how long parts stay listed
	skipBoundary = 6 // what a delta update has, at least
)

// Lines of playlists (RFC 8216, 4.3.3.5 and 4.3.3.4).
const (
	eventTag = "#EXT-X-PLAYLIST-TYPE:EVENT\n"
	vodTag   = "#EXT-X-PLAYLIST-TYPE:VOD\n"
	endTag   = "#EXT-X-ENDLIST\n"
)

// leastHoldBack is room for two requests a part on a network that is not the best,
// and for a player that has just begun.
const leastHoldBack = time.Second

// A mediaPlaylist is the media playlist as its Writer keeps it. What others need of it
// are snapshots.
type mediaPlaylist struct {
	o             Options // with its defaults
	partTarget    time.Duration
	target        int           // EXT-X-TARGETDURATION, seconds; never shrinks
	listed        []*segment    // complete
	total         time.Duration // of listed
	size          int           // of listed, bytes
	current       *segment      // being cut; nil if it is not listed
	sequence      uint64        // of the segment after listed
	discontinuity uint64        // EXT-X-DISCONTINUITY-SEQUENCE
	dependent     bool          // a segment began without a key frame
	ended         bool

	// The lines of the first segments listed, whose parts are not listed any
	// more: they are only appended to, for an event may have many.
	lines   []byte
	at      uint64 // where they begin in all the lines there were
	settled int    // how many segments that is
}

// A snapshot is a playlist at one moment, immutable and shared by all who ask.
type snapshot struct {
	head, mapping, lines, tail []byte // the text; delta updates leave mapping out
	delayed                    []byte // that of the playlist which goes back further; nil if there is none

	skipped  int    // segments a delta update leaves out; 0: there is none
	skipTo   int    // what of lines it leaves out
	sequence uint64 // media sequence number after the last complete segment
	before   int    // parts listed of that
	parts    int    // parts listed of the one after
	target   time.Duration
	part     time.Duration // part target; 0 if there are none
	ended    bool
	changed  chan struct{} // closed when there is a newer one
}

// complete lists s and returns the segments that leave the list for it.
func (p *mediaPlaylist) complete(s *segment) (left []*segment) {
	p.current = nil
	p.listed, p.total, p.size = append(p.listed, s), p.total+s.duration, p.size+s.size
	p.sequence = s.sequence + 1
	p.dependent = p.dependent || !s.independent
	p.target = max(p.target, int(s.duration.Round(time.Second)/time.Second), int(ceil(p.o.Segment, time.Second)/time.Second))
	for p.o.Segments > 0 && len(p.listed) > p.o.Segments && p.total-p.listed[0].duration >= partsListed*p.targetDuration() {
		left = append(left, p.listed[0])
		p.drop()
	}
	p.settle()
	return left
}

func (p *mediaPlaylist) targetDuration() time.Duration { return time.Duration(p.target) * time.Second }

// drop takes the first segment from the list.
func (p *mediaPlaylist) drop() {
	s := p.listed[0]
	p.listed[0] = nil
	p.listed, p.total, p.size = p.listed[1:], p.total-s.duration, p.size-s.size
	if s.discont {
		p.discontinuity++
	}
	if p.settled > 0 {
		p.settled--
		p.lines, p.at = p.lines[s.lines:], p.at+uint64(s.lines)
	}
}

// settle appends to lines the segments whose parts need not be listed any more.
func (p *mediaPlaylist) settle() {
	var rest time.Duration
	for _, s := range p.listed[p.settled:] {
		rest += s.duration
	}
	for p.settled < len(p.listed) {
		s := p.listed[p.settled]
		rest -= s.duration
		if s.partial && rest < partsListed*p.targetDuration() {
			return
		}
		n := len(p.lines)
		p.lines = appendSegment(p.lines, s, false)
		s.offset, s.lines = p.at+uint64(n), len(p.lines)-n
		s.parts = nil
		p.settled++
	}
}

// snapshot renders the playlist.
func (p *mediaPlaylist) snapshot() *snapshot {
	s := &snapshot{
		head: p.appendHead(nil, p.partTarget > 0), lines: p.lines[:len(p.lines):len(p.lines)],
		sequence: p.sequence, target: p.targetDuration(), part: p.partTarget, ended: p.ended,
		changed: make(chan struct{}),
	}
	if f := p.listed[0]; f.init != nil && !f.mapped {
		s.mapping = appendMap(nil, f.init)
	}
	// Parts are for the edge of a live stream. Once it has ended nobody needs them,
	// and hls.js never comes to the end of one whose last part has sound only.
	for _, seg := range p.listed[p.settled:] {
		s.tail = appendSegment(s.tail, seg, p.partTarget > 0 && !p.ended)
	}
	if n := len(p.listed); n > 0 && p.listed[n-1].partial {
		s.before = len(p.listed[n-1].parts)
	}
	switch {
	case p.ended:
		s.tail = append(s.tail, endTag...)
	case p.partTarget > 0 && p.current != nil:
		s.parts = len(p.current.parts)
		s.tail = appendCurrent(s.tail, p.current)
	}
	if p.skips() {
		s.skip(p)
	}
	return s
}

// delayed renders the playlist that also has the last of left, which were listed
// before. It has no parts.
func (p *mediaPlaylist) delayed(left []*segment) []byte {
	q := *p
	q.listed = append(slices.Clone(left[max(0, len(left)-p.o.Delay):]), p.listed...)
	for _, s := range q.listed[:len(q.listed)-len(p.listed)] {
		if s.discont {
			q.discontinuity--
		}
	}
	q.lines, q.settled = nil, 0
	return q.plain()
}

// plain renders the playlist as other servers can serve it: without parts. That of
// a recording is whole at any time.
func (p *mediaPlaylist) plain() []byte {
	b := p.appendHead(nil, false)
	recorded := p.o.Record != ""
	if recorded {
		b = bytes.Replace(b, []byte(eventTag), []byte(vodTag), 1)
	}
	if f := p.listed[0]; f.init != nil && !f.mapped {
		b = appendMap(b, f.init)
	}
	b = append(b, p.lines...)
	for _, seg := range p.listed[p.settled:] {
		b = appendSegment(b, seg, false)
	}
	if p.ended || recorded {
		b = append(b, endTag...)
	}
	return b
}

// skips reports whether there are delta updates: shorter lists have nothing that
// may be left out.
func (p *mediaPlaylist) skips() bool {
	return p.partTarget > 0 && (p.o.Segments < 0 || p.o.Segments > skipBoundary)
}

// skip finds what a delta update leaves out.
func (s *snapshot) skip(p *mediaPlaylist) {
	var rest time.Duration
	i := len(p.listed)
	for i > 0 && rest < skipBoundary*p.targetDuration() {
		i--
		rest += p.listed[i].duration
	}
	if i == 0 || i > p.settled || rest < skipBoundary*p.targetDuration() {
		return
	}
	s.skipped, s.skipTo = i, len(p.lines)
	if i < p.settled {
		s.skipTo = int(p.listed[i].offset - p.at)
	}
}

// appendHead appends the tags that are about the playlist.
func (p *mediaPlaylist) appendHead(b []byte, parts bool) []byte {
	version := 4
	switch {
	case parts:
		version = 9
	case p.o.Container == FMP4:
		version = 7
	}
	b = appendTag(b, "#EXTM3U\n#EXT-X-VERSION:", uint64(version))
	b = appendTag(b, "#EXT-X-TARGETDURATION:", uint64(p.target))
	if parts {
		b = append(b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES"...)
		if p.skips() {
			b = appendSeconds(append(b, ",CAN-SKIP-UNTIL="...), skipBoundary*p.targetDuration())
		}
		b = appendSeconds(append(b, ",HOLD-BACK="...), holdBack*p.targetDuration())
		b = appendSeconds(append(b, ",PART-HOLD-BACK="...), max(partHoldBack*p.partTarget, leastHoldBack))
		b = appendSeconds(append(b, "\n#EXT-X-PART-INF:PART-TARGET="...), p.partTarget)
		b = append(b, '\n')
	}
	b = appendTag(b, "#EXT-X-MEDIA-SEQUENCE:", p.sequence-uint64(len(p.listed)))
	b = appendTag(b, "#EXT-X-DISCONTINUITY-SEQUENCE:", p.discontinuity)
	if p.o.Segments < 0 {
		b = append(b, eventTag...)
	}
	if !p.dependent {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	return b
}

// appendSegment appends the lines of a complete segment.
func appendSegment(b []byte, s *segment, parts bool) []byte {
	b = appendBegin(b, s)
	if parts && s.partial {
		b = appendParts(b, s)
	}
	b = appendSeconds(append(b, "#EXTINF:"...), s.duration)
	return append(append(append(b, ",\n"...), s.name...), '\n')
}

// appendCurrent appends the lines of a segment that is being cut.
func appendCurrent(b []byte, s *segment) []byte {
	if len(s.parts) > 0 {
		b = appendParts(appendBegin(b, s), s)
	}
	b = append(append(b, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`...), s.name...)
	return appendTag(b, `",BYTERANGE-START=`, uint64(s.size))
}

// appendBegin appends the lines that are before a segment's parts.
func appendBegin(b []byte, s *segment) []byte {
	if s.discont {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if s.mapped {
		b = appendMap(b, s.init)
	}
	b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
	return s.wall.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z\n")
}

func appendMap(b []byte, init *file) []byte {
	return append(append(append(b, `#EXT-X-MAP:URI="`...), init.name...), "\"\n"...)
}

func appendParts(b []byte, s *segment) []byte {
	for _, p := range s.parts {
		b = appendSeconds(append(b, "#EXT-X-PART:DURATION="...), p.duration)
		b = append(append(b, `,URI="`...), s.name...)
		b = strconv.AppendInt(append(b, `",BYTERANGE="`...), int64(p.size), 10)
		b = strconv.AppendInt(append(b, '@'), int64(p.from), 10)
		b = append(b, '"')
		if p.independent {
			b = append(b, ",INDEPENDENT=YES"...)
		}
		b = append(b, '\n')
	}
	return b
}

// appendTag appends a line that ends in a number.
func appendTag(b []byte, name string, n uint64) []byte {
	return append(strconv.AppendUint(append(b, name...), n, 10), '\n')
}

// appendSeconds appends d in seconds with six decimals, which is exact: segments
// are cut at whole microseconds.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := max(0, d.Microseconds())
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for unit := int64(1e5); unit > 0; unit /= 10 {
		b = append(b, '0'+byte(us/unit%10))
	}
	return b
}
