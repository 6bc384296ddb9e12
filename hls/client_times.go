package hls

import (
	"context"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	usualStep = 20 * time.Millisecond // between frames, while nothing better is known
	farOff    = 10 * time.Second      // from where a segment was expected: its times have jumped
	maxStaged = 512                   // frames that are held back until a new beginning is known
)

// place finds out where a segment is whose first frame has the time at. Where it
// is not where it was expected, without having said so, its clock has wrapped or
// begun anew.
func (r *rendition) place(s *remoteSegment, at time.Duration) {
	if !r.begun {
		r.begun, r.lost, r.anew, r.breaks = true, false, false, false
		r.shift = r.time.begin(r.epochKey(), 0)
		r.located(s, at+r.shift)
		r.highest = at + r.shift
		return
	}
	if r.anew {
		return
	}
	off := at + r.shift - r.due
	if p := r.split.period; p > 0 && !near(off, s) {
		if turns := off.Round(p); near(off-turns, s) {
			r.shift -= turns
			off -= turns
		}
	}
	if !near(off, s) {
		r.count.breaks.Add(1)
		r.anew, r.alone, r.breaks = true, true, true
		return
	}
	r.located(s, at+r.shift)
}

// near reports whether a segment that is so far off where it was expected may
// still continue what was before it.
func near(off time.Duration, s *remoteSegment) bool {
	return off.Abs() <= farOff+s.duration
}

// located notes the stream time at which s begins.
func (r *rendition) located(s *remoteSegment, at time.Duration) {
	r.due = at + s.duration
	r.lost, r.placed = false, true
	r.zero = time.Time{}
	if !s.date.IsZero() {
		r.zero = s.date.Add(-at)
	}
}

// epochKey returns the number of the epoch in the timeline: discontinuity
// sequence numbers begin anew when the server does.
func (r *rendition) epochKey() uint64 { return r.restarts<<32 + r.epoch }

// enough reports whether a frame of each track is staged.
func (r *rendition) enough() bool {
	if len(r.staged) >= maxStaged {
		return true
	}
	for id, a := range r.roles {
		if a == nil || a.out.Kind() == codec.KindData {
			continue
		}
		if !slices.ContainsFunc(r.staged, func(f *codec.Frame) bool { return f.Track.ID == id }) {
			return false
		}
	}
	return true
}

// unstage finds out how the times after a discontinuity continue those before
// it, and puts the frames into the buffer that had to wait for that.
func (r *rendition) unstage(ctx context.Context, s *remoteSegment) error {
	if !r.anew || len(r.staged) == 0 {
		return nil
	}
	lo := r.staged[0].DTS
	for _, f := range r.staged {
		lo = min(lo, f.DTS)
	}
	shift, known := r.time.shift(r.epochKey())
	if !known || r.alone || !near(lo+shift-r.due, s) {
		shift = r.follow(lo)
		if !r.alone && !known {
			shift = r.time.begin(r.epochKey(), shift)
		}
	}
	r.shift = shift
	r.located(s, lo+shift)
	r.anew, r.alone = false, false
	staged := r.staged
	r.staged = nil
	for _, f := range staged {
		if err := r.push(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// follow returns what has to be added to the staged frames, the first of which
// has the time lo, so that each track goes on where it was; if something was
// lost, not before that is over.
func (r *rendition) follow(lo time.Duration) time.Duration {
	shift, ok := r.due-lo, r.lost
	seen := map[*role]bool{}
	for _, f := range r.staged {
		a := r.roles[f.Track.ID]
		if a == nil || !a.begun || seen[a] {
			continue
		}
		seen[a] = true
		if d := a.last + a.step - f.DTS; !ok || d > shift {
			shift, ok = d, true
		}
	}
	return shift
}

// push gives a frame its time and its track, and puts it into the buffer.
func (r *rendition) push(ctx context.Context, f *codec.Frame) error {
	a, ok := r.roles[f.Track.ID]
	if !ok {
		a = r.cast(f.Track)
	}
	if a == nil {
		return nil
	}
	if f.Track != a.in {
		a.in = f.Track
		if !a.out.SameConfig(f.Track) || a.out.Width != f.Track.Width || a.out.Height != f.Track.Height {
			a.out = withID(f.Track, a.out.ID)
		}
	}
	f.Track = a.out
	f.DTS += r.shift
	f.PTS += r.shift
	if a.begun && f.DTS < a.last {
		f.DTS = a.last
		f.PTS = max(f.PTS, f.DTS)
	}
	if d := f.DTS - a.last; a.begun && d > 0 && d <= time.Second {
		a.step = d
	}
	a.last, a.begun = f.DTS, true
	r.highest = max(r.highest, f.DTS)
	if f.Wall.IsZero() && !r.zero.IsZero() {
		f.Wall = r.zero.Add(f.PTS)
	}
	if r.breaks {
		r.breaks = false
		for _, b := range r.played {
			b.broken = b.out.Kind() == codec.KindVideo
		}
		a.broken = true
	}
	if a.broken {
		a.broken = false
		f.Flags |= codec.FlagDiscont
	}
	return r.out.push(ctx, r.side, a.lane, f)
}
