package mp4

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	maxMovie     = 1 << 20  // bytes of a moov or moof box
	maxWaiting   = 64 << 20 // bytes of samples that wait for one before them in time
	firstAlloc   = 64 << 10 // a sample that claims more gets its memory as it arrives
	maxBad       = 100      // samples in a row that are no frames
	boxUnlimited = -1
)

// A Demuxer finds the frames in a fragmented stream that comes in pieces of any
// size: initialization segments, and fragments whose data follow their moof box.
// Other boxes, such as styp, sidx, emsg and prft, are skipped. The edit lists of
// the initialization segment are applied. Times are those of the stream, not
// moved to 0. Within a fragment the frames of all tracks come in the order of
// their DTS.
//
// Tracks of unknown codecs and damaged ones are left out; without any other, and
// if a track is encrypted, the stream is refused with an error that wraps
// source.ErrUnsupported or [ErrInvalid]. A sample that is no frame of its codec
// costs that frame, until there were a hundred in a row. The zero value is ready.
type Demuxer struct {
	tracks []*inTrack
	err    error // sticks

	pos  int64           // of the next byte in the stream
	head [bigHeader]byte // of a box, as far as it has come
	had  int             // bytes of it
	open bool            // within a box
	kind boxType         // of that
	from int64           // where it began
	left int64           // bytes of its content that are to come; boxUnlimited: all
	body []byte          // of moov and moof, what has come

	samples []inSample // of the fragment
	order   []int32    // indices of samples by time
	filled  int        // so many of samples are there
	given   int        // so many of order have been returned
	waiting int        // bytes of those that are there and have not
	bad     int        // samples in a row that were no frames
}

// Tracks returns the tracks of the newest initialization segment, with the
// parameters of the newest frames.
func (d *Demuxer) Tracks() []*codec.Track {
	var tracks []*codec.Track
	for _, t := range d.tracks {
		if t.track != nil {
			tracks = append(tracks, t.track)
		}
	}
	return tracks
}

// Complete reports whether there was an initialization segment and all is known
// of its tracks; what is missing there the first frames tell.
func (d *Demuxer) Complete() bool {
	for _, t := range d.tracks {
		if !t.complete() {
			return false
		}
	}
	return len(d.tracks) > 0
}

// Flush forgets what was cut, and an error: what is appended after it may be
// another stream, or begin at any box. The tracks stay until there is another
// initialization segment.
func (d *Demuxer) Flush() {
	clear(d.samples)
	*d = Demuxer{tracks: d.tracks, samples: d.samples[:0], order: d.order[:0], body: d.body[:0]}
}

// whole reports whether the stream may end here.
func (d *Demuxer) whole() bool {
	return d.err == nil && d.had == 0 && (!d.open || d.left == boxUnlimited) && d.filled == len(d.samples)
}

// Append appends the frames that b completes; it keeps nothing of b. An error is
// final, until there is a [Demuxer.Flush].
func (d *Demuxer) Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	for len(b) > 0 && d.err == nil {
		var n int
		switch {
		case !d.open:
			n = d.takeHeader(b)
		case d.kind == typeOf("moov"), d.kind == typeOf("moof"):
			n = d.takeBody(b)
		default:
			n = d.within(b)
			if d.kind == typeOf("mdat") {
				dst = d.takeData(dst, b[:n])
			}
			d.leave(n)
		}
		b = b[n:]
	}
	return dst, d.err
}

// fail records an error.
func (d *Demuxer) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// within returns how much of b belongs to the box.
func (d *Demuxer) within(b []byte) int {
	if d.left == boxUnlimited {
		return len(b)
	}
	return int(min(int64(len(b)), d.left))
}

// leave goes n bytes on in the box.
func (d *Demuxer) leave(n int) {
	d.pos += int64(n)
	if d.left == boxUnlimited {
		return
	}
	if d.left -= int64(n); d.left > 0 {
		return
	}
	d.open = false
	if d.kind == typeOf("mdat") && d.filled < len(d.samples) && d.samples[d.filled].data != nil {
		d.fail(invalid("sample of %d bytes exceeds the mdat box", d.samples[d.filled].size))
	}
}

// takeHeader takes what it needs of a box header.
func (d *Demuxer) takeHeader(b []byte) (used int) {
	for {
		kind, n, size, err := parseHeader(d.head[:d.had])
		if err != nil {
			d.fail(err)
			return used
		}
		if n > 0 {
			d.pos += int64(n)
			d.enter(kind, n, size)
			return used
		}
		want := boxHeader
		if d.had >= boxHeader {
			want = bigHeader
		}
		took := copy(d.head[d.had:want], b[used:])
		if took == 0 {
			return used
		}
		used += took
		d.had += took
	}
}

// enter begins a box whose header has n bytes.
func (d *Demuxer) enter(kind boxType, n int, size int64) {
	d.had, d.kind, d.open = 0, kind, true
	d.from, d.left, d.body = d.pos-int64(n), size-int64(n), d.body[:0]
	if size == 0 {
		d.left = boxUnlimited
	}
	if kind == typeOf("moov") || kind == typeOf("moof") {
		switch {
		case d.left == boxUnlimited:
			d.fail(invalid("%v box without a size", kind))
		case d.left > maxMovie:
			d.fail(invalid("%v box of %d bytes", kind, size))
		case d.filled < len(d.samples):
			d.fail(invalid("%v box, but data of %d samples did not come", kind, len(d.samples)-d.filled))
		case d.left == 0:
			d.take(nil)
		}
	}
	if d.left == 0 {
		d.open = false
	}
}

// takeBody takes what it can of a box that is read as a whole.
func (d *Demuxer) takeBody(b []byte) (used int) {
	used = d.within(b)
	if body := b[:used]; int64(used) == d.left && len(d.body) == 0 {
		d.pos += int64(used)
		d.take(body)
		d.pos -= int64(used)
	} else if d.body = append(d.body, body...); int64(used) == d.left {
		d.pos += int64(used)
		d.take(d.body)
		d.pos -= int64(used)
	}
	d.leave(used)
	return used
}

// take reads the content of a moov or moof box, which ends at d.pos.
func (d *Demuxer) take(body []byte) {
	var err error
	if d.kind == typeOf("moov") {
		err = d.takeMovie(body)
	} else {
		err = d.takeFragment(body)
	}
	if err != nil {
		d.fail(fmt.Errorf("mp4: %v box at byte %d: %w", d.kind, d.from, err))
	}
}

// takeMovie reads a moov box. Tracks that are as they were stay the same.
func (d *Demuxer) takeMovie(body []byte) error {
	m, err := parseMovie(body)
	if err != nil {
		return err
	}
	if m.samples && !m.extends {
		return unsupported("the file is not fragmented")
	}
	found := false
	for _, t := range m.tracks {
		if t.track == nil {
			continue
		}
		found = true
		for _, o := range d.tracks {
			if o.number == t.number && o.track != nil && same(o.track, t.track) {
				t.track, t.seen = o.track, o.seen
			}
		}
	}
	if !found {
		return cmp.Or(m.err, unsupported("no track of a known codec"))
	}
	d.tracks = m.tracks
	return nil
}

// same reports whether two tracks need one description.
func same(a, b *codec.Track) bool {
	return a.SameConfig(b) && a.Width == b.Width && a.Height == b.Height
}

// takeFragment reads a moof box.
func (d *Demuxer) takeFragment(body []byte) error {
	if len(d.tracks) == 0 {
		return invalid("no initialization segment before it")
	}
	clear(d.samples)
	f := fragment{tracks: d.tracks, start: d.from, end: d.pos, samples: d.samples[:0]}
	d.filled, d.given, d.waiting = 0, 0, 0
	err := f.parse(body)
	if err != nil {
		d.samples = f.samples[:0]
		return err
	}
	d.samples, d.order = f.samples, d.order[:0]
	for i := range d.samples {
		d.order = append(d.order, int32(i))
	}
	byTime := func(a, b int32) int { return cmp.Compare(d.samples[a].dts, d.samples[b].dts) }
	if !slices.IsSortedFunc(d.order, byTime) {
		slices.SortStableFunc(d.order, byTime)
	}
	return nil
}

// takeData takes what the samples need of the content of an mdat box and appends
// the frames that completes.
func (d *Demuxer) takeData(dst []*codec.Frame, b []byte) []*codec.Frame {
	at := d.pos
	for d.filled < len(d.samples) && len(b) > 0 {
		s := &d.samples[d.filled]
		if gap := s.at + int64(len(s.data)) - at; gap != 0 {
			if gap < 0 {
				d.fail(invalid("data of a sample at %d do not come behind its moof box", s.at))
				return dst
			}
			n := min(gap, int64(len(b)))
			b, at = b[n:], at+n
			continue
		}
		n := s.take(b)
		b, at = b[n:], at+int64(n)
		if len(s.data) < s.size {
			break
		}
		d.filled++
		d.waiting += s.size
		if dst = d.give(dst); d.waiting > maxWaiting {
			d.fail(invalid("%d bytes of samples before the first in time", d.waiting))
			break
		}
	}
	return dst
}

// take takes what it can of b. Memory grows with what arrives, not with what was
// claimed.
func (s *inSample) take(b []byte) int {
	n := min(s.size-len(s.data), len(b))
	if need := len(s.data) + n; need > cap(s.data) {
		more := make([]byte, len(s.data), min(s.size, max(need, firstAlloc, 2*cap(s.data))))
		copy(more, s.data)
		s.data = more
	}
	s.data = append(s.data, b[:n]...)
	return n
}

// give appends the frames that are there with all before them in time.
func (d *Demuxer) give(dst []*codec.Frame) []*codec.Frame {
	for d.given < len(d.order) && int(d.order[d.given]) < d.filled {
		s := &d.samples[d.order[d.given]]
		d.given++
		d.waiting -= s.size
		f, err := s.frame()
		s.data = nil
		switch {
		case err == nil:
			d.bad = 0
			if f != nil {
				dst = append(dst, f)
			}
		default:
			if d.bad++; d.bad >= maxBad {
				d.fail(invalid("%d bad samples in a row, the last: %v", maxBad, err))
			}
		}
	}
	return dst
}

// frame returns the frame in s; nil if it is empty.
func (s *inSample) frame() (*codec.Frame, error) {
	t := s.track
	track, data, key := t.track, s.data, true
	var err error
	switch {
	case track.Codec == codec.H264 || track.Codec == codec.H265:
		track, data, key, err = codec.ParseSample(track, data, t.entry.lengthSize)
	case t.entry.little:
		data = swapped(data)
	default:
		track, data, key, err = codec.ParseFrame(track, data)
	}
	if err != nil {
		return nil, err
	}
	t.track, t.seen = track, true
	if len(data) == 0 {
		return nil, nil
	}
	f := &codec.Frame{Track: track, DTS: s.dts, PTS: s.dts, Data: data}
	if s.composed != 0 || t.early != 0 {
		f.PTS = codec.FromTicks(s.time+int64(s.composed)+t.offset, int(t.scale))
	}
	if key {
		f.Flags |= codec.FlagKey
	}
	if s.flags&maskDisposable == flagsDisposable {
		f.Flags |= codec.FlagDisposable
	}
	return f, nil
}
