package hls

import (
	"context"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// How far a rendition is read ahead of what was taken, whichever is reached
// first.
const (
	maxAhead      = 30 * time.Second
	maxAheadBytes = 16 << 20
	frameCost     = 256                    // bytes that a frame is counted for besides its data
	maxLead       = 500 * time.Millisecond // of audio before the first video
)

// A buffer merges the tracks of several renditions in the order of their DTS.
type buffer struct {
	mu    sync.Mutex    // guards all below, and in sides and lanes what they say
	wake  chan struct{} // has room for one: there is something new for who takes
	sides []*side
	err   error // of a side that failed
}

// A side is the part of a buffer that one rendition fills.
type side struct {
	room  chan struct{} // has room for one: something was taken
	lanes []*lane
	bytes int
	ready bool          // its tracks are known
	done  bool          // it will add nothing
	mark  time.Duration // all before this is there
	marks bool          // mark is set
}

// A lane is the frames of a track.
type lane struct {
	track  *codec.Track // newest
	frames []*codec.Frame
	fresh  bool // there was a frame since the mark before the last
	used   bool // there was a frame since the last mark
}

func newBuffer(sides int) *buffer {
	b := &buffer{wake: make(chan struct{}, 1)}
	for range sides {
		b.sides = append(b.sides, &side{room: make(chan struct{}, 1)})
	}
	return b
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// full reports whether s has no room.
func (s *side) full() bool {
	if s.bytes > maxAheadBytes {
		return true
	}
	for _, l := range s.lanes {
		if n := len(l.frames); n > 0 && l.frames[n-1].DTS-l.frames[0].DTS > maxAhead {
			return true
		}
	}
	return false
}

// addLane makes a lane for t.
func (b *buffer) addLane(s *side, t *codec.Track) *lane {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &lane{track: t, fresh: true}
	s.lanes = append(s.lanes, l)
	return l
}

// push adds a frame and waits until there is room for more.
func (b *buffer) push(ctx context.Context, s *side, l *lane, f *codec.Frame) error {
	b.mu.Lock()
	l.frames = append(l.frames, f)
	l.fresh, l.used = true, true
	s.bytes += len(f.Data) + frameCost
	full := s.full()
	if full {
		s.ready = true // there is no use in looking further
	}
	b.mu.Unlock()
	signal(b.wake)
	for full {
		select {
		case <-s.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b.mu.Lock()
		full = s.full()
		b.mu.Unlock()
	}
	return nil
}

// settle notes that all of s before t is there, and that the tracks are known.
func (b *buffer) settle(s *side, t time.Duration) {
	b.mu.Lock()
	s.mark, s.marks, s.ready = t, true, true
	for _, l := range s.lanes {
		l.fresh, l.used = l.used, false
	}
	b.mu.Unlock()
	signal(b.wake)
}

// know notes that the tracks of s are known.
func (b *buffer) know(s *side) {
	b.mu.Lock()
	s.ready = true
	b.mu.Unlock()
	signal(b.wake)
}

// end notes that s will add nothing, because of err or, with io.EOF, because it
// is complete. An error ends the other sides' part, too.
func (b *buffer) end(s *side, err error) {
	b.mu.Lock()
	s.done, s.ready = true, true
	if err != io.EOF && b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	signal(b.wake)
}

// ready reports whether the tracks of all sides are known and there is something
// to take; an error, if there will be nothing.
func (b *buffer) ready() (ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	frames := false
	for _, s := range b.sides {
		if !s.ready && b.err == nil {
			return false, nil
		}
		for _, l := range s.lanes {
			frames = frames || len(l.frames) > 0
		}
	}
	if !frames && b.err == nil && b.over() {
		return false, invalid("a stream without frames")
	}
	if frames {
		return true, nil
	}
	return false, b.err
}

func (b *buffer) over() bool {
	return !slices.ContainsFunc(b.sides, func(s *side) bool { return !s.done })
}

// tracks returns the newest tracks, video first.
func (b *buffer) tracks() []*codec.Track {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ts []*codec.Track
	for _, s := range b.sides {
		for _, l := range s.lanes {
			ts = append(ts, l.track)
		}
	}
	slices.SortStableFunc(ts, func(a, b *codec.Track) int { return int(a.Kind()-1) - int(b.Kind()-1) }) // data last
	return ts
}

// pop takes the next frame, or returns nil while it cannot be known which one is.
// At the end it returns io.EOF or the error.
func (b *buffer) pop() (*codec.Frame, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var from *side
	var best *lane
	for _, s := range b.sides {
		for _, l := range s.lanes {
			if len(l.frames) > 0 && (best == nil || l.frames[0].DTS < best.frames[0].DTS) {
				from, best = s, l
			}
		}
	}
	if best == nil {
		if b.err != nil {
			return nil, b.err
		}
		if b.over() {
			return nil, io.EOF
		}
		return nil, nil
	}
	f := best.frames[0]
	if b.err == nil && slices.ContainsFunc(b.sides, func(s *side) bool { return s.mayPrecede(f) }) {
		return nil, nil
	}
	best.frames[0] = nil
	best.frames = best.frames[1:]
	best.track = f.Track
	from.bytes -= len(f.Data) + frameCost
	signal(from.room)
	return f, nil
}

// mayPrecede reports whether a frame of s may come that has to be taken before f.
// Where s is full, it had its chance.
func (s *side) mayPrecede(f *codec.Frame) bool {
	if s.done || s.full() || s.marks && f.DTS <= s.mark {
		return false
	}
	if len(s.lanes) == 0 {
		return true
	}
	return slices.ContainsFunc(s.lanes, func(l *lane) bool {
		return len(l.frames) == 0 && l.fresh && l.track.Kind() != codec.KindData
	})
}

// start returns the stream time to begin at if f, which was taken, is the first
// frame: where audio has a playlist of its own, shortly before the video.
func (b *buffer) start(f *codec.Frame) time.Duration {
	if len(b.sides) == 1 || f.Track.Kind() == codec.KindVideo {
		return math.MinInt64
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.sides[0].lanes {
		if len(l.frames) > 0 && l.track.Kind() == codec.KindVideo {
			return l.frames[0].DTS - maxLead
		}
	}
	return math.MinInt64
}
