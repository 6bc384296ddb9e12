package rtp

import (
	"cmp"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// What makes a packet a stranger to the sequence that is being received.
const (
	confirmed  = 3                // strangers in a row are a new beginning
	maxDropout = 3000             // packets that may be lost at once (RFC 3550, A.1)
	maxForward = 10 * time.Second // timestamps do not run ahead of the clock by more
	maxBack    = 3 * time.Second  // nor back by more: that is beyond all reordering of pictures
)

// An origin is the sequence of packets that a track consists of (RFC 3550, A.1).
type origin struct {
	begun     bool
	ssrc      uint32
	sequence  uint16 // the highest so far
	timestamp uint32 // of that packet
	at        time.Time
	late      int       // packets in a row that were not ahead of it
	strays    []arrived // packets in a row that do not fit
	bye       bool      // the sender has left
}

// begin makes a the next packet of a new sequence.
func (o *origin) begin(a *arrived) {
	*o = origin{begun: true, ssrc: a.SSRC, sequence: a.Sequence - 1, timestamp: a.Timestamp, at: a.at, strays: o.strays[:0]}
}

// fits reports whether p continues the sequence, or is late by no more than
// packets can be, where depth is how far packets can overtake others. Packets
// that are always late are a new beginning, too.
func (o *origin) fits(p *Packet, depth int) bool {
	if p.SSRC != o.ssrc {
		return false
	}
	d := int(int16(p.Sequence - o.sequence))
	if d > 0 {
		o.late = 0
		return d <= depth
	}
	o.late++
	return d > -2*depth && o.late <= depth
}

// advance takes in a packet that fits. It reports whether it is the newest.
func (o *origin) advance(a *arrived) bool {
	o.bye = false
	if int16(a.Sequence-o.sequence) <= 0 {
		return false
	}
	o.sequence, o.timestamp, o.at = a.Sequence, a.Timestamp, a.at
	return true
}

// stray keeps a packet that does not fit, and returns all of a new beginning in
// order when it is the one that makes it certain. dropped is how many of those
// before it were strays indeed.
func (o *origin) stray(a arrived, depth int) (beginning []arrived, dropped int) {
	if n := len(o.strays); n > 0 {
		before := &o.strays[n-1]
		if d := int(int16(a.Sequence - before.Sequence)); a.SSRC != before.SSRC || d == 0 || d > depth || d < -depth {
			dropped = o.forget()
		}
	}
	if o.strays = append(o.strays, a); len(o.strays) < confirmed {
		return nil, dropped
	}
	beginning, o.strays = o.strays, nil
	slices.SortFunc(beginning, func(a, b arrived) int { return cmp.Compare(int16(a.Sequence-b.Sequence), 0) })
	return beginning, dropped
}

// forget drops the packets that do not fit and returns how many there were.
func (o *origin) forget() int {
	n := len(o.strays)
	clear(o.strays)
	o.strays = o.strays[:0]
	return n
}

// continues reports whether a, which does not fit, comes after a long loss and is
// no new beginning.
func (o *origin) continues(a *arrived, rate int) bool {
	d := int(int16(a.Sequence - o.sequence))
	return a.SSRC == o.ssrc && d > 0 && d <= maxDropout && !jumped(a.Timestamp-o.timestamp, a.at.Sub(o.at), rate)
}

// jumped reports whether a timestamp cannot follow another one, which is step
// ticks before it and came elapsed earlier.
func jumped(step uint32, elapsed time.Duration, rate int) bool {
	d := codec.FromTicks(int64(int32(step)), rate)
	return d < -maxBack || d > maxForward+elapsed
}
