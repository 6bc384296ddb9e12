package pes

import (
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Timeline moves the times of frames to those of what is read: they begin at 0,
// and go on from where they were where the stream jumps. The zero value is at the
// beginning.
type Timeline struct {
	begun  bool
	shift  time.Duration         // added to all times
	newest time.Duration         // DTS of what was read
	last   map[int]time.Duration // by track
}

// Shift returns what is added to the times of the stream.
func (t *Timeline) Shift() time.Duration { return t.shift }

// Resume goes on elsewhere in the stream: shift is added to its times, which are
// now at newest.
func (t *Timeline) Resume(shift, newest time.Duration) {
	t.begun, t.shift, t.newest = true, shift, newest
	clear(t.last)
}

// Settle moves the times of f, behind which others wait. Within a track they do not
// fall.
func (t *Timeline) Settle(f *codec.Frame, waiting []*codec.Frame) {
	if !t.begun {
		t.begun = true
		first := f
		if f.Track.Wire != "" { // times of opaque tracks may be anything
			if i := slices.IndexFunc(waiting, func(f *codec.Frame) bool { return f.Track.Wire == "" }); i >= 0 {
				first = waiting[i]
			}
		}
		t.shift = -first.DTS
	}
	if t.last == nil {
		t.last = map[int]time.Duration{}
	}
	if f.Has(codec.FlagDiscont) { // one of each track: the first decides
		if at := f.DTS + t.shift; at < t.newest-10*UsualStep || at > t.newest+codec.FromTicks(ClockJump, ClockRate) {
			t.shift = t.newest + UsualStep - f.DTS
		}
	}
	f.DTS += t.shift
	f.PTS += t.shift
	id := f.Track.ID
	f.DTS = max(f.DTS, t.last[id])
	f.PTS = max(f.PTS, f.DTS)
	t.last[id] = f.DTS
	if f.Track.Wire == "" {
		t.newest = max(t.newest, f.DTS)
	}
}
