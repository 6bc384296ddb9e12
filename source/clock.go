package source

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	maxStep     = 3 * time.Second        // a longer step forward is a jump
	maxBackstep = 500 * time.Millisecond // a shorter step back is jitter: time stands still
	maxApart    = 5 * time.Second        // tracks whose times are nearer than this share one timeline
	maxReorder  = 5 * time.Second        // PTS-DTS beyond this is nonsense and taken as 0
	suspicious  = 300 * time.Millisecond // after a jump, a longer step may be the jump's undoing
	usualStep   = 20 * time.Millisecond  // between frames, while nothing better is known
)

// A clock maps a publisher's timestamps to the stream's, in which DTS never
// falls within a track, jumps are closed up and the tracks stay aligned. It
// serves one publisher; the next one on the same stream begins where it ended.
type clock struct {
	mode    TimeMode
	start   time.Duration // stream time of the publisher's first frame
	began   time.Time     // TimeArrival: when that was
	shift   time.Duration // TimeOff: what a publisher that came back is moved by
	tracks  []*trackClock
	shown   time.Duration // highest PTS given out
	repairs uint64
}

// A trackClock is the part of a clock that belongs to one track.
type trackClock struct {
	id       int
	in, out  time.Duration // of the previous frame
	step     time.Duration // between the two frames before it
	offset   time.Duration // out minus in
	previous time.Duration // offset before the last jump
	jumped   bool
}

// stamp returns f's DTS and PTS in the stream's time.
func (c *clock) stamp(f *codec.Frame, now time.Time) (dts, pts time.Duration) {
	t := c.track(f.Track.ID)
	first := t == nil
	if first {
		t = &trackClock{id: f.Track.ID, step: usualStep}
	}
	switch c.mode {
	case TimeArrival:
		if c.began.IsZero() {
			c.began = now
		}
		dts = c.start + now.Sub(c.began)
	case TimeOff:
		if len(c.tracks) == 0 && c.start > 0 && f.DTS < c.start {
			c.shift = c.start - f.DTS
		}
		dts = f.DTS + c.shift
		if c.start > 0 {
			dts = max(dts, c.start)
		}
	default:
		dts = c.relative(t, f, first)
	}
	if !first && dts < t.out {
		dts = t.out
		c.repairs++
	}
	if !first && dts > t.out {
		t.step = dts - t.out
	}
	t.in, t.out = f.DTS, dts
	if first {
		c.tracks = append(c.tracks, t)
	}
	reorder := f.PTS - f.DTS
	if reorder > maxReorder || reorder < -maxReorder {
		reorder = 0
		c.repairs++
	}
	c.shown = max(c.shown, dts+reorder)
	return dts, dts + reorder
}

// relative returns the stream's time for the input time of f, closing up jumps. A
// declared one begins after the last picture shown.
func (c *clock) relative(t *trackClock, f *codec.Frame, first bool) time.Duration {
	in := f.DTS
	if first {
		t.offset = c.start - in
		if o := c.nearest(t, in); o != nil {
			t.offset = o.offset
		} else if len(c.tracks) > 0 {
			t.offset = c.end() - in
		}
		if in+t.offset < c.start { // it began before the first frame of all
			return c.start
		}
		return in + t.offset
	}
	step := in - t.in
	if t.jumped && (step > suspicious || step < 0) {
		back := in + t.previous - t.out // the step if the jump is undone
		if back >= -suspicious && back <= suspicious {
			t.offset, t.jumped = t.previous, false
			c.repairs++
			return in + t.offset
		}
	}
	if step >= -maxBackstep && step <= maxStep {
		return in + t.offset
	}
	c.repairs++
	t.previous, t.jumped = t.offset, true
	t.offset = t.out + t.step - in
	if f.Has(codec.FlagDiscont) {
		t.offset = max(t.offset, c.next()-in)
	}
	if o := c.nearest(t, in); o != nil && o.jumped {
		t.offset = o.offset // the other track has jumped to the same place
	}
	return in + t.offset
}

// nearest returns another track whose latest input time is near in.
func (c *clock) nearest(t *trackClock, in time.Duration) *trackClock {
	for _, o := range c.tracks {
		if o != t && in-o.in < maxApart && o.in-in < maxApart {
			return o
		}
	}
	return nil
}

func (c *clock) track(id int) *trackClock {
	for _, t := range c.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// next returns the time at which another publisher can go on: after all that
// was given out, in order of presentation, too.
func (c *clock) next() time.Duration {
	if len(c.tracks) == 0 {
		return c.start
	}
	return max(c.end(), c.shown+usualStep)
}

// end returns the highest stream time given out so far.
func (c *clock) end() time.Duration {
	end := c.start
	for _, t := range c.tracks {
		end = max(end, t.out)
	}
	return end
}
