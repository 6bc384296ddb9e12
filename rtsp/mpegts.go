package rtsp

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/ts"
)

// A receiver is an [rtp.Receiver] that opens transport streams: a media that is
// one (RFC 2250, section 2; payload type 33 of RFC 3551) yields the frames in it,
// of tracks that become known as it comes.
type receiver struct {
	rtp.Receiver
	tracks   []*codec.Track // as they were added
	programs []*program     // of those that are transport streams
	payloads []*codec.Frame // what the Receiver made of one packet; kept for its memory
	told     []*codec.Track // by news
	complete bool           // they are all, news has told
}

// Add is that of the Receiver.
func (r *receiver) Add(p *rtp.Payload, t *codec.Track) (int, error) {
	n, err := r.Receiver.Add(p, t)
	if err != nil {
		return n, err
	}
	r.tracks = append(r.tracks, t)
	if strings.EqualFold(p.Encoding, "MP2T") {
		r.programs = append(r.programs, &program{payload: t})
	}
	return n, nil
}

// program returns the transport stream whose payloads have the track t; nil if
// they are not of one.
func (r *receiver) program(t *codec.Track) *program {
	for _, p := range r.programs {
		if p.payload == t {
			return p
		}
	}
	return nil
}

// Tracks returns the tracks known so far.
func (r *receiver) Tracks() []*codec.Track {
	all := r.Receiver.Tracks()
	if len(r.programs) == 0 {
		return all
	}
	var tracks []*codec.Track
	for _, t := range all {
		if p := r.program(t); p != nil {
			tracks = append(tracks, p.known(r)...)
		} else {
			tracks = append(tracks, t)
		}
	}
	return tracks
}

// Complete reports whether all tracks of all transport streams are known.
func (r *receiver) Complete() bool {
	for _, p := range r.programs {
		if !p.demuxer.Complete() {
			return false
		}
	}
	return true
}

// news returns the tracks known so far, and whether they are all, if that has
// changed. Without transport streams it never does.
func (r *receiver) news() (tracks []*codec.Track, complete, changed bool) {
	if len(r.programs) == 0 {
		return nil, true, false
	}
	tracks, complete = r.Tracks(), r.Complete()
	if changed = complete != r.complete || !slices.Equal(tracks, r.told); changed {
		r.told, r.complete = tracks, complete
	}
	return tracks, complete, changed
}

// RTP is that of the Receiver.
func (r *receiver) RTP(dst []*codec.Frame, i int, b []byte, now time.Time) ([]*codec.Frame, error) {
	if len(r.programs) == 0 {
		return r.Receiver.RTP(dst, i, b, now)
	}
	payloads, err := r.Receiver.RTP(r.payloads[:0], i, b, now)
	dst, broken := r.open(dst, payloads)
	return dst, cmp.Or(err, broken)
}

// Expire is that of the Receiver.
func (r *receiver) Expire(dst []*codec.Frame, now time.Time) (frames []*codec.Frame, next time.Time) {
	if len(r.programs) == 0 {
		return r.Receiver.Expire(dst, now)
	}
	payloads, next := r.Receiver.Expire(r.payloads[:0], now)
	dst, _ = r.open(dst, payloads) // it was told with the packet
	return dst, next
}

// Flush appends the frames that the end of the stream completes to dst. cut tells
// that it was no proper one.
func (r *receiver) Flush(dst []*codec.Frame, cut bool) []*codec.Frame {
	for _, p := range r.programs {
		if cut {
			p.demuxer.Lose()
		}
		dst = p.flush(dst, r)
	}
	return dst
}

// open appends payloads to dst, and of those that are transport streams the
// frames that they complete.
func (r *receiver) open(dst, payloads []*codec.Frame) (frames []*codec.Frame, err error) {
	for _, f := range payloads {
		p := r.program(f.Track)
		if p == nil {
			dst = append(dst, f)
			continue
		}
		var broken error
		dst, broken = p.append(dst, f, r)
		err = cmp.Or(err, broken)
	}
	clear(payloads)
	r.payloads = payloads[:0]
	return dst, err
}

// A program is a media that is a transport stream.
type program struct {
	payload *codec.Track // of its payloads
	demuxer ts.Demuxer
	frames  []*codec.Frame // of one payload; kept for its memory
	tracks  []*programTrack
	newest  *codec.Frame  // payload
	placed  bool          // shift is known
	shift   time.Duration // from the program's time to the stream's
	last    time.Duration // DTS of the newest frame
}

// How far frames of a program are from the newest one, if its time has not jumped.
const (
	programBack  = time.Second
	programAhead = 10 * time.Second
)

// A programTrack is a track of a program.
type programTrack struct {
	theirs, ours *codec.Track // as the demuxer has it, and with an ID that no other track of the stream has
	last         time.Duration
	discont      bool // its next frame does not continue
}

// append takes in a payload and appends the frames that it completes to dst.
func (p *program) append(dst []*codec.Frame, payload *codec.Frame, r *receiver) (frames []*codec.Frame, err error) {
	switch {
	case payload.Has(codec.FlagDiscont): // another sender, or the same that has begun anew
		p.demuxer.Lose()
		dst = p.flush(dst, r)
		p.placed = false
		for _, t := range p.tracks {
			t.discont = true
		}
	case payload.Has(codec.FlagCorrupt):
		p.demuxer.Lose()
	}
	p.newest = payload
	p.frames, err = p.demuxer.Append(p.frames[:0], payload.Data)
	return p.take(dst, r), err
}

// flush appends the frames that waited for their end.
func (p *program) flush(dst []*codec.Frame, r *receiver) []*codec.Frame {
	p.frames = p.demuxer.Flush(p.frames[:0])
	return p.take(dst, r)
}

// take appends the frames that the demuxer has given to dst, on the clock of r.
func (p *program) take(dst []*codec.Frame, r *receiver) []*codec.Frame {
	for _, f := range p.frames {
		t := p.track(f.Track, r)
		if t.discont {
			t.discont = false
			f.Flags |= codec.FlagDiscont
		}
		ahead := f.DTS + p.shift - p.last
		if !p.placed || f.Has(codec.FlagDiscont) && (ahead < -programBack || ahead > programAhead) {
			p.placed, p.shift = true, max(p.newest.PTS, p.last)-f.DTS
		}
		f.Track, f.DTS = t.ours, max(f.DTS+p.shift, t.last)
		f.PTS = max(f.PTS+p.shift, f.DTS)
		if !p.newest.Wall.IsZero() {
			f.Wall = p.newest.Wall.Add(f.PTS - p.newest.PTS)
		}
		t.last, p.last = f.DTS, max(f.DTS, p.last)
		dst = append(dst, f)
	}
	clear(p.frames)
	return dst
}

// known returns the tracks known so far.
func (p *program) known(r *receiver) []*codec.Track {
	var tracks []*codec.Track
	for _, t := range p.demuxer.Tracks() {
		tracks = append(tracks, p.track(t, r).ours)
	}
	return tracks
}

// track returns the track that the demuxer calls t. Beside other medias, whose
// tracks have low IDs, it has another ID.
func (p *program) track(t *codec.Track, r *receiver) *programTrack {
	i := slices.IndexFunc(p.tracks, func(x *programTrack) bool { return x.theirs.ID == t.ID })
	if i < 0 {
		i = len(p.tracks)
		p.tracks = append(p.tracks, &programTrack{})
	}
	x := p.tracks[i]
	if x.theirs != t {
		x.theirs, x.ours = t, t
		if len(r.tracks) > 1 {
			ours := *t
			ours.ID += maxMedias * (1 + slices.Index(r.programs, p))
			x.ours = &ours
		}
	}
	return x
}
