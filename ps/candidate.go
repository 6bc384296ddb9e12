package ps

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/internal/rtp"
)

// Bounds for a sender that is not known to send anything sensible.
const (
	maxCandidate = 64 << 10        // bytes of packets that are kept
	candidacy    = 5 * time.Second // after that it is given up
	convincing   = 3               // packets in a row that look like the same elementary stream
	nearBy       = 16              // sequence numbers between these
)

// packetOverhead is what a packet that is kept takes beside its bytes, about.
const packetOverhead = 96

// A conviction grows with packets in a row that look like the same elementary
// stream, for one alone may be anything.
type conviction struct {
	like finding
	row  int
	last uint16 // sequence number
}

// grow takes in what a packet looks like, and reports whether that is certain now.
func (c *conviction) grow(f finding, sequence uint16) bool {
	if f.payload == PayloadAuto || f.certain {
		c.row = 0
		return f.certain
	}
	d := int16(sequence - c.last)
	switch {
	case c.row > 0 && d == 0: // it came twice
		return false
	case c.row > 0 && f.form.Type == c.like.form.Type && f.form.Encoding == c.like.form.Encoding && d >= -nearBy && d <= nearBy:
		c.row++
	default:
		c.row = 1
	}
	c.like, c.last = f, sequence
	return c.row >= convincing
}

// A candidate is the first packets of a sender, until they show what it sends.
type candidate struct {
	taken   int // packets
	packets []keptPacket
	size    int // bytes
	conviction
}

// A keptPacket is a packet and when it came.
type keptPacket struct {
	b  []byte
	p  rtp.Packet // of b
	at time.Time
}

// take takes in a packet, of which it keeps a copy; the oldest ones give way. It
// reports what the sender sends once that is certain.
func (c *candidate) take(p *rtp.Packet, b []byte, now time.Time, o *ReceiveOptions) (finding, bool) {
	c.taken++
	if len(b)+packetOverhead > maxCandidate {
		return finding{}, false
	}
	k := keptPacket{b: bytes.Clone(b), at: now}
	if k.p.Unmarshal(k.b) != nil {
		return finding{}, false
	}
	for c.size+len(b)+packetOverhead > maxCandidate {
		c.size -= len(c.packets[0].b) + packetOverhead
		c.packets[0] = keptPacket{}
		c.packets = c.packets[1:]
	}
	c.packets = append(c.packets, k)
	c.size += len(b) + packetOverhead

	f := inspect(p, o)
	return f, c.grow(f, p.Sequence)
}

// of returns the packets with this SSRC, in the order of their sequence numbers.
func (c *candidate) of(ssrc uint32) []keptPacket {
	packets := slices.DeleteFunc(c.packets, func(k keptPacket) bool { return k.p.SSRC != ssrc })
	slices.SortStableFunc(packets, func(a, b keptPacket) int { return cmp.Compare(int16(a.p.Sequence-b.p.Sequence), 0) })
	return packets
}
