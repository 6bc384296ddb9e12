package vdk

import (
	"slices"
	"time"

	"github.com/deepch/vdk/av"
)

// Bounds for what a splitter waits for.
const (
	maxWait = time.Second
	maxUnit = 16 << 20 // bytes
)

// A splitter joins what others have split: packets of NAL units become access
// units. Packets of other streams wait behind the one that is not complete, so
// that the order stays.
type splitter struct {
	waiting []av.Packet // the first is of NAL units
}

// add takes in a packet and returns those that are complete. The result is valid
// until the next call.
func (s *splitter) add(p av.Packet, nalus bool) []av.Packet {
	if nalus {
		for i := range s.waiting {
			if w := &s.waiting[i]; w.Idx == p.Idx && w.Time == p.Time && w.CompositionTime == p.CompositionTime && len(w.Data)+len(p.Data) <= maxUnit {
				w.Data = slices.Concat(w.Data, p.Data) // others may have these
				w.IsKeyFrame = w.IsKeyFrame || p.IsKeyFrame
				return nil
			}
		}
	}
	switch {
	case nalus:
		done := s.flush()
		s.waiting = []av.Packet{p}
		return done
	case len(s.waiting) == 0:
		return []av.Packet{p}
	}
	s.waiting = append(s.waiting, p)
	if p.Time-s.waiting[0].Time > maxWait {
		return s.flush()
	}
	return nil
}

// flush returns what is left.
func (s *splitter) flush() []av.Packet {
	done := s.waiting
	s.waiting = nil
	return done
}
