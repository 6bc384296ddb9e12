package source

import "time"

// longestStep is the step in a stream's times above which it is no longer one
// timeline.
const longestStep = 10 * time.Second

// A replay spreads what was there before a viewer over time, for receivers that
// have no way to say that it is too much at once.
type replay struct {
	rate  float64 // times the media's; 0: all at once
	begun bool
	done  bool // the viewer has had what was there
	start time.Time
	dts   time.Duration // at start
}

// over reports whether nothing is held back any more.
func (r *replay) over() bool { return r.rate <= 0 || r.done }

// after returns when c's next packet is to be written, at the earliest at at.
func (r *replay) after(at time.Time, c *Cursor) time.Time {
	if r.over() {
		return at
	}
	dts, ok := c.nextDTS()
	if !ok {
		return at
	}
	if step := dts - r.dts; !r.begun || step > longestStep || step < -longestStep {
		r.begun, r.start, r.dts = true, time.Now(), dts
	}
	if due := r.start.Add(time.Duration(float64(dts-r.dts) / r.rate)); due.After(at) {
		return due
	}
	return at
}

// batch returns how many packets may be written at once; 0: any number.
func (r *replay) batch() int {
	if r.over() {
		return 0
	}
	return 1
}
