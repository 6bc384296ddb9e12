package pes

import (
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// How far frames of one track are held back for those of others.
const (
	maxAhead  = time.Second
	maxHeld   = 512      // frames
	maxWeight = 16 << 20 // bytes
)

// An order brings the frames of several tracks into the order of decoding. A
// transport stream has them about so: audio of half a second may come as one.
type order struct {
	lanes  []lane
	held   []*codec.Frame // by DTS
	weight int            // their bytes
	first  time.Duration  // DTS of the first frame of a lane, and of the newest; valid if begun
	newest time.Duration
	begun  bool
}

// A lane is a track that may be waited for: video or audio.
type lane struct {
	id   int
	last time.Duration // DTS of its newest frame
	seen bool
}

// expect sets the tracks to wait for, and appends the frames that waited for
// others.
func (o *order) expect(dst []*codec.Frame, ids []int) []*codec.Frame {
	o.lanes = slices.DeleteFunc(o.lanes, func(l lane) bool { return !slices.Contains(ids, l.id) })
	for _, id := range ids {
		if o.lane(id) == nil {
			o.lanes = append(o.lanes, lane{id: id})
		}
	}
	return o.release(dst)
}

func (o *order) lane(id int) *lane {
	for i := range o.lanes {
		if o.lanes[i].id == id {
			return &o.lanes[i]
		}
	}
	return nil
}

// add takes f in and appends the frames before which none will come.
func (o *order) add(dst []*codec.Frame, f *codec.Frame) []*codec.Frame {
	if l := o.lane(f.Track.ID); l != nil {
		l.last, l.seen = f.DTS, true
		if !o.begun {
			o.first, o.newest, o.begun = f.DTS, f.DTS, true
		}
		o.newest = max(o.newest, f.DTS)
	}
	i := len(o.held)
	for i > 0 && o.held[i-1].DTS > f.DTS {
		i--
	}
	o.held = slices.Insert(o.held, i, f)
	o.weight += len(f.Data)
	return o.release(dst)
}

// release appends the frames that need not wait any more.
func (o *order) release(dst []*codec.Frame) []*codec.Frame {
	n := 0
	for n < len(o.held) && (o.due(o.held[n]) || len(o.held)-n > maxHeld || o.weight > maxWeight) {
		o.weight -= len(o.held[n].Data)
		n++
	}
	dst = append(dst, o.held[:n]...)
	o.held = slices.Delete(o.held, 0, n)
	return dst
}

// due reports whether no track will yield a frame before f, or too late.
func (o *order) due(f *codec.Frame) bool {
	if o.newest-f.DTS > maxAhead {
		return true
	}
	for i := range o.lanes {
		l := &o.lanes[i]
		last := o.first
		if l.seen {
			if last = l.last; f.DTS <= last {
				continue
			}
		}
		if o.newest-last <= maxAhead { // else it has stopped, or never comes
			return false
		}
	}
	return true
}

// flush appends all frames and begins anew.
func (o *order) flush(dst []*codec.Frame) []*codec.Frame {
	dst = append(dst, o.held...)
	clear(o.held)
	o.held, o.weight, o.begun = o.held[:0], 0, false
	for i := range o.lanes {
		o.lanes[i].seen = false
	}
	return dst
}
