package rtp

import (
	"encoding/binary"
	"iter"
)

// A Framing is what precedes each packet on a TCP connection. Both kinds end with
// the length of the packet, 16 bits.
type Framing uint8

// The framings.
const (
	Interleaved Framing = iota // '$' and a channel, as within RTSP (RFC 2326, 10.12)
	LengthOnly                 // nothing else (RFC 4571, section 2)
)

// Sizes of what precedes a packet.
const (
	frameSize  = 4 // of Interleaved
	lengthSize = 2 // of LengthOnly
)

// size returns the size of what precedes a packet.
func (f Framing) size() int {
	if f == Interleaved {
		return frameSize
	}
	return lengthSize
}

// begin appends what precedes a packet, without its length.
func (f Framing) begin(dst []byte, channel uint8) []byte {
	if f == Interleaved {
		dst = append(dst, '$', channel)
	}
	return append(dst, 0, 0)
}

// finish fills in the length of the packet from start to the end of b.
func (f Framing) finish(b []byte, start int) {
	binary.BigEndian.PutUint16(b[start-2:], uint16(len(b)-start))
}

// Packets yields the packets in wire, which is what Packetizers with LengthOnly
// append, without the framing.
func Packets(wire []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(wire) >= lengthSize {
			n := lengthSize + int(binary.BigEndian.Uint16(wire))
			if n > len(wire) || !yield(wire[lengthSize:n:n]) {
				return
			}
			wire = wire[n:]
		}
	}
}
