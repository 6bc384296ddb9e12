package hls

import (
	"bytes"
	"slices"

	"github.com/mediakit-go/mediakit/ts"
)

// A continuity makes segments of MPEG-TS independent that are not made one after
// the other. The continuity counters of each begin anew, and so it begins with a
// packet for every PID that says so and has no payload (ISO/IEC 13818-1, 2.4.3.5:
// discontinuity_indicator). Without, players report packets that were lost.
type continuity struct {
	seen []uint16
}

// begin returns the packets that go before b, which are whole packets of the
// segment; nil if all their PIDs have begun.
func (c *continuity) begin(b []byte) (packets []byte) {
	for ; len(b) >= ts.PacketSize; b = b[ts.PacketSize:] {
		pid := uint16(b[1]&0x1f)<<8 | uint16(b[2])
		if slices.Contains(c.seen, pid) {
			continue
		}
		c.seen = append(c.seen, pid)
		counter := b[3] & 15
		if b[3]&0x10 != 0 { // it has a payload, and counts
			counter = (counter - 1) & 15
		}
		packets = append(packets, b[0], b[1]&0x1f, b[2], 0x20|counter, ts.PacketSize-5, 0x80)
		packets = append(packets, bytes.Repeat([]byte{0xff}, ts.PacketSize-6)...)
	}
	return packets
}
