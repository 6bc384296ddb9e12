package hls

import (
	"slices"
	"time"
)

// A cadence is what is known of the intervals between the frames of a track. The
// target length of parts has to be told before they are cut, must not change,
// and parts must be 85 to 100 % of it (draft-pantos-hls-rfc8216bis, 4.4.4.9);
// so it is made from the frames of the first segment, whose parts are made last.
type cadence struct {
	intervals []time.Duration // the first of them
	n         time.Duration   // how many there were
	sum       time.Duration
}

const (
	leastPart     = 85          // how much of the part target a part has to be, in percent
	maxPartTarget = time.Second // of streams whose frames come as they like
	maxIntervals  = 4096        // that are looked at
)

// add takes an interval.
func (c *cadence) add(d time.Duration) {
	c.n++
	c.sum += d
	if len(c.intervals) < maxIntervals {
		c.intervals = append(c.intervals, d)
	}
}

// average returns the average interval; 0 if there is none.
func (c *cadence) average() time.Duration { return c.sum / max(1, c.n) }

// target returns the part target for parts of about want: a whole number of
// frames and 5 % for uneven ones, so that frame rates near this one fit as well.
// A few frames may be missing. Where intervals differ too much for that, even the
// longest must not lead from below 85 % to above 100 %.
func (c *cadence) target(want time.Duration) time.Duration {
	if len(c.intervals) == 0 {
		return ceil(want*21/20, time.Millisecond)
	}
	sorted := slices.Sorted(slices.Values(c.intervals))
	n := len(sorted)
	low, usual, high := sorted[n/5], sorted[n/2], sorted[n-1-n/5]
	frames := max(1, int64((want+usual/2)/usual))
	target := max(times(high, frames), times(usual, frames)*21/20)
	if times(low, frames)*100 < target*leastPart {
		high = sorted[n-1]
		target = max(want, high, min(high*100/(100-leastPart), maxPartTarget))
	}
	return ceil(target, time.Millisecond)
}

func times(d time.Duration, n int64) time.Duration { return time.Duration(n) * d }

// ceil returns d rounded up to a multiple of unit.
func ceil(d, unit time.Duration) time.Duration { return d + (unit-d%unit)%unit }
