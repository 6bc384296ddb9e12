package rtp

import (
	"encoding/binary"
	"iter"
)

// Datagrams yields the packets in wire, which is what Packetizers with Interleaved
// append, with the channels they are framed for and without the framing.
func Datagrams(wire []byte) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for len(wire) >= frameSize {
			n := frameSize + int(binary.BigEndian.Uint16(wire[2:]))
			if n > len(wire) || !yield(wire[1], wire[frameSize:n:n]) {
				return
			}
			wire = wire[n:]
		}
	}
}
