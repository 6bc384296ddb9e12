package ts

import (
	"bytes"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// A demuxStream is an elementary stream of a Demuxer: the payload of the packets
// of a PID makes PES packets.
type demuxStream struct {
	*pes.Stream

	counter byte // of the last packet; valid if counted
	counted bool
	before  []byte // payload of the last packet, to know it again
	gap     bool   // packets are missing before the next one

	head   []byte // of a PES packet, while it is not whole
	inHead bool
	random bool // random_access_indicator of the PES packet that head is of
}

// takePayload takes in a packet of s.
func (s *demuxStream) takePayload(p *packet) {
	if len(p.payload) == 0 {
		if p.discontinuity {
			s.counted = false
		}
		return
	}
	if s.counted && p.counter != (s.counter+1)&15 {
		if p.counter == s.counter && bytes.Equal(p.payload, s.before) {
			return // sent twice (13818-1, 2.4.3.3)
		}
		s.gap = s.gap || !p.discontinuity || !p.start
	}
	s.counter, s.counted = p.counter, true
	s.before = append(s.before[:0], p.payload...)
	if s.gap || p.scrambled {
		s.Lose()
		s.inHead, s.gap = false, false
	}
	if p.scrambled {
		return
	}
	if p.start {
		if s.inHead {
			s.End() // what had begun never did
		}
		s.head, s.inHead = s.head[:0], true
		s.random = p.random
	}
	if s.inHead {
		s.takeHead(p.payload)
	} else {
		s.Add(p.payload)
	}
}

// takeHead takes in the beginning of a PES packet.
func (s *demuxStream) takeHead(b []byte) {
	s.head = append(s.head, b...)
	h, more, ok := pes.Parse(s.head)
	if more {
		return
	}
	s.inHead = false
	if !ok || h.ID == pes.IDPadding {
		s.End()
		return
	}
	s.Begin(&h, s.random, s.head[h.Header:])
}
