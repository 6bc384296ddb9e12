package pes

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// ClockJump is what another clock is told by, in ticks: times that are so far ahead
// are none that follow.
const ClockJump = ClockRate * 10

// A timing is the times of a unit.
type timing struct {
	hasTime  bool
	pts, dts time.Duration
}

// timingOf returns the times that the header of a PES packet of s tells. Where
// they do not continue those before, what has begun in the old timeline goes out
// first.
func (a *Assembler) timingOf(s *Stream, h *Header) timing {
	if !h.HasPTS {
		return timing{}
	}
	pts, dts := a.unwrap(s, h)
	return timing{true, codec.FromTicks(pts, ClockRate), codec.FromTicks(dts, ClockRate)}
}

// unwrap undoes the wraps of the times in h.
func (a *Assembler) unwrap(s *Stream, h *Header) (pts, dts int64) {
	ahead := int64(h.PTS-h.DTS) & MaxTicks
	if ahead > ClockJump { // as good as before DTS
		ahead = 0
	}
	a.clock.Bits = 33
	if s.Passes() { // such times may be on a clock of their own
		c := a.clock
		dts = c.Unwrap(h.DTS)
		return dts + ahead, dts
	}
	dts = a.clock.Unwrap(h.DTS)
	back, last := int64(ClockJump), a.newest
	if s.timed {
		back, last = ClockRate/2, s.newest
	}
	if a.timed && (dts < last-back || dts > last+ClockJump) {
		a.breakTime()
	}
	if !a.timed || dts > a.newest {
		a.newest = dts
	}
	a.timed = true
	s.newest, s.timed = dts, true
	return dts + ahead, dts
}

// breakTime ends the timeline.
func (a *Assembler) breakTime() {
	for _, o := range a.streams {
		o.finish(false)
		o.timed, o.begun = false, false
		o.discont = true
	}
	a.timed = false
	a.Frames = a.order.flush(a.Frames)
}

// now returns the time of the newest frame: that of what has none.
func (a *Assembler) now() time.Duration { return codec.FromTicks(a.newest, ClockRate) }
