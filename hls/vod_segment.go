package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

const (
	maxShelved  = 4 << 20     // bytes of a segment that is sent as a whole, and kept; larger ones are sent while they are made
	vodFragment = 1 << 20     // bytes of frames that one fragment has, about
	maxBeyond   = 64          // frames of other tracks that are read beyond a cut until the leading one has its next
	maxDelay    = time.Second // between the DTS and the PTS of a key frame
)

// errEmpty is of a segment where the medium has nothing.
var errEmpty = fmt.Errorf("hls: nothing here: %w", source.ErrNotFound)

// serveInit answers with the initialization segment that is listed with segment n.
func (v *vod) serveInit(a *answer, n int) {
	ctx := a.r.Context()
	if err := v.enter(ctx); err != nil {
		v.fail(a, err)
		return
	}
	var f *file
	err := errEmpty
	if n < v.plan.segments() && v.plan.initOf(n) == n {
		f, err = v.init(ctx, n)
	}
	v.leave()
	if err != nil {
		v.fail(a, err)
		return
	}
	a.whole(f, f.content.Load())
}

// init returns an initialization segment.
func (v *vod) init(ctx context.Context, n int) (*file, error) {
	tag := v.tag("i", n)
	if f := v.shelf.find(tag); f != nil {
		return f, nil
	}
	if err := v.seek(ctx, n); err != nil {
		return nil, err
	}
	m, err := v.muxer()
	if err != nil {
		return nil, err
	}
	f := v.file(tag, m.header())
	v.shelf.add(f)
	return f, nil
}

// tag returns the entity tag of what belongs to segment n.
func (v *vod) tag(kind string, n int) string { return fmt.Sprintf(`"%s-%s%d"`, v.plan.id, kind, n) }

// file returns a file that is complete.
func (v *vod) file(tag string, data []byte) *file {
	f := &file{contentType: []string{v.o.Container.contentType()}, etag: []string{tag}}
	f.grow(data, true, time.Now())
	return f
}

// muxer returns one for the tracks there are where the medium is.
func (v *vod) muxer() (muxer, error) {
	m, err := v.o.Container.newMuxer(v.tracks())
	if f, ok := m.(*fragmentMuxer); ok {
		f.mux.RepeatSets() // for players that read the first initialization segment only, as ffmpeg does
	}
	return m, err
}

// serveSegment answers with segment n.
func (v *vod) serveSegment(a *answer, n int) {
	f, err := v.segment(a, n)
	switch {
	case err != nil && (a.sent > 0 || errors.Is(err, errWriterClosed)):
		panic(http.ErrAbortHandler) // so that nobody takes it for the whole
	case err != nil:
		v.fail(a, err)
	case f != nil:
		a.whole(f, f.content.Load())
	}
}

// segment returns segment n, or none if it was so large that it was sent already.
func (v *vod) segment(a *answer, n int) (*file, error) {
	ctx := a.r.Context()
	if err := v.enter(ctx); err != nil {
		return nil, err
	}
	defer v.leave()
	if n >= v.plan.segments() {
		return nil, errEmpty
	}
	tag := v.tag("", n)
	if f := v.shelf.find(tag); f != nil {
		return f, nil
	}
	var data []byte
	large := false
	send := func() error {
		if !large {
			large = true
			h := a.rw.Header()
			h["Content-Type"] = []string{v.o.Container.contentType()}
			h["Cache-Control"] = v.fixed.cache
			a.rw.WriteHeader(http.StatusOK)
		}
		if !a.write(data) {
			return errWriterClosed
		}
		data = nil
		return nil
	}
	err := v.make(ctx, n, func(b []byte) error {
		if data == nil {
			data = b
		} else {
			data = append(data, b...)
		}
		if len(data) >= maxShelved {
			return send()
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case large:
		return nil, send()
	case v.broken != nil: // perhaps it can be read another time
		return v.file(v.tag("broken-", n), data), nil
	}
	f := v.file(tag, slices.Clip(data))
	v.shelf.add(f)
	return f, nil
}

// make makes segment n, as far as the medium can be read, and gives its bytes to
// write, in some pieces, which are write's then.
func (v *vod) make(ctx context.Context, n int, write func([]byte) error) error {
	if err := v.seek(ctx, n); err != nil {
		return err
	}
	m, err := v.muxer()
	if err != nil {
		return err
	}
	v.at = -1 // until it is done
	buf := make([]byte, 0, min(max(v.size+v.size/8, minCapacity), maxCapacity))
	s := vodMaking{vod: v, mux: m, write: write, lead: leadOf(m.tracks()), buf: m.begin(buf)}
	if err := s.make(ctx, n); err != nil {
		return err
	}
	if v.broken == nil {
		v.at = n + 1
	}
	return nil
}

// seek goes to the beginning of segment n.
func (v *vod) seek(ctx context.Context, n int) error {
	if v.at == n {
		return nil
	}
	v.at, v.read, v.over, v.broken, v.awake = -1, nil, false, nil, true
	from := v.plan.cuts[n].at
	if _, err := v.m.Seek(ctx, from); err != nil {
		return err
	}
	for {
		f, err := v.next(ctx)
		switch {
		case err != nil:
			return err
		case f == nil:
			return errEmpty
		case f.DTS >= from:
			v.read = append(v.read, f)
			v.at = n
			return nil
		}
	}
}

// next returns the next frame; nil at the end.
func (v *vod) next(ctx context.Context) (*codec.Frame, error) {
	if len(v.read) == 0 {
		return v.pull(ctx)
	}
	f := v.read[0]
	v.read[0], v.read = nil, v.read[1:]
	return f, nil
}

// pull returns what the medium yields; nil at its end, which may be that of a file
// that was cut short, and where it cannot be read.
func (v *vod) pull(ctx context.Context) (*codec.Frame, error) {
	if v.over {
		return nil, nil
	}
	f, err := v.m.ReadFrame(ctx)
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, source.ErrClosed):
		return f, err
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		v.broken = err
		v.warn(err)
	}
	v.over = true
	return nil, nil
}

// A vodMaking is a segment that is made. Of the track that leads it has the frames
// from one cut to the next by DTS; of the others those that are shown with these. If
// they were cut by DTS as well, they would end before the pictures, which B-frames
// delay, and hls.js waits for ever at a place between that it was sent to.
type vodMaking struct {
	*vod
	mux     muxer
	write   func([]byte) error
	lead    int // ID of the track that leads
	buf     []byte
	held    int // bytes of frames since the last fragment
	frames  int
	counted continuity
}

// make makes segment n of what the medium yields.
func (s *vodMaking) make(ctx context.Context, n int) error {
	from := time.Duration(math.MinInt64)
	if n > 0 {
		first, err := s.peek(ctx)
		if err != nil {
			return err
		}
		from = s.shown(first, s.plan.cuts[n].at)
	}
	end := s.plan.cuts[n+1].at
	if n+1 == s.plan.segments() {
		end = math.MaxInt64
	}
	next, after, err := s.body(ctx, from, end)
	if err == nil {
		err = s.tail(ctx, next, after, s.shown(next, end))
	}
	switch {
	case err != nil:
		return err
	case s.frames == 0:
		return errEmpty
	}
	s.buf = s.mux.cut(s.buf, next)
	return s.flush()
}

// shown returns when f, the first frame after a cut, is shown; at if that is not
// known.
func (s *vodMaking) shown(f *codec.Frame, at time.Duration) time.Duration {
	if f == nil || !f.Key() {
		return at
	}
	return min(max(f.PTS, at), at+maxDelay)
}

// peek returns the next frame of the track that leads, nil if there is none soon.
func (s *vodMaking) peek(ctx context.Context) (*codec.Frame, error) {
	for i := 0; i < maxBeyond; i++ {
		if i == len(s.read) {
			f, err := s.pull(ctx)
			if f == nil {
				return nil, err
			}
			s.read = append(s.read, f)
		}
		if f := s.read[i]; f.Track.ID == s.lead {
			return f, nil
		}
	}
	return nil, nil
}

// body adds the frames until end. It returns the first one of the leading track that
// is later, nil if there is none soon, and those of others that came before that.
func (s *vodMaking) body(ctx context.Context, from, end time.Duration) (next *codec.Frame, after []*codec.Frame, err error) {
	for len(after) < maxBeyond {
		f, err := s.next(ctx)
		switch {
		case f == nil:
			return nil, after, err
		case f.Track.ID == s.lead && f.DTS >= end:
			return f, after, nil
		case f.DTS >= end:
			after = append(after, f)
		case f.Track.ID == s.lead || f.PTS >= from:
			if err := s.add(f); err != nil {
				return nil, nil, err
			}
		}
	}
	return nil, after, nil
}

// tail adds what is shown before to, and gives back what is not: next, the frames
// after the end that came before it, and those that have to be read to know.
func (s *vodMaking) tail(ctx context.Context, next *codec.Frame, after []*codec.Frame, to time.Duration) error {
	var rest []*codec.Frame
	take := func(f *codec.Frame) error {
		if f.Track.ID != s.lead && f.PTS < to {
			return s.add(f)
		}
		rest = append(rest, f)
		return nil
	}
	for _, f := range after {
		if err := take(f); err != nil {
			return err
		}
	}
	for f := next; f != nil; {
		if err := take(f); err != nil {
			return err
		}
		if f.DTS >= to {
			break
		}
		var err error
		if f, err = s.next(ctx); err != nil {
			return err
		}
	}
	s.read = append(rest, s.read...)
	return nil
}

// add adds a frame. One that the muxer refuses is left out.
func (s *vodMaking) add(f *codec.Frame) error {
	s.frames++
	if s.held >= vodFragment && f.Track.ID == s.lead {
		s.buf = s.mux.cut(s.buf, f)
		if s.held = 0; len(s.buf) >= vodFragment {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	if s.o.Container == FMP4 && s.mux.changes(f) { // and no playlist tells
		if m, err := s.muxer(); err == nil {
			s.buf = s.mux.cut(s.buf, nil)
			s.mux, s.held = m, 0
		}
	}
	s.held += len(f.Data)
	if buf, err := s.mux.write(s.buf, f); err == nil {
		s.buf = buf
	}
	return nil
}

// flush gives away what was made.
func (s *vodMaking) flush() error {
	b := s.buf
	if s.o.Container == TS {
		b = slices.Insert(b, 0, s.counted.begin(b)...)
	}
	s.size = len(b)
	s.buf = nil
	return s.write(b)
}

// leadOf returns the ID of the first video track, or else of the first.
func leadOf(tracks []*codec.Track) int {
	for _, t := range tracks {
		if t.Kind() == codec.KindVideo {
			return t.ID
		}
	}
	return tracks[0].ID
}
