package rtp

import "time"

// A Sequencer puts the packets of one sender in order whose payloads are not
// access units but pieces of a stream of bytes, such as a program stream or a
// transport stream. Packets that come in order go through it without being copied
// or anything being allocated. The zero value is ready but for Deliver; one
// goroutine at a time may use it.
type Sequencer struct {
	// Deliver takes in the next packet, which has a payload. It must not keep p or
	// the payload.
	Deliver func(p *Packet, gap Gap)

	Rate int // of timestamps, Hz; 0 means 90000
	// Depth and Wait bound how long a missing packet is waited for.
	Depth int           // packets; 0 means 256
	Wait  time.Duration // 0 means 500 ms

	intake intake
	again  bool // the next packet is the first of another sender
}

// A Gap tells what is between a packet and the one before.
type Gap uint8

// The gaps.
const (
	NoGap   Gap = iota
	Lost        // packets are missing
	Restart     // another sender begins, or the same has begun anew
)

// Take takes in a packet that came at now with size bytes, header included. The
// payload is the caller's again when Take returns.
func (q *Sequencer) Take(p Packet, size int, now time.Time) {
	if q.intake.rate = q.Rate; q.Rate <= 0 {
		q.intake.rate = 90000
	}
	o := q.ordering()
	q.intake.take((*sequencerSink)(q), arrived{p, size, now}, &o)
	q.intake.drain((*sequencerSink)(q), now, &o)
}

func (q *Sequencer) ordering() ordering {
	o := newOrdering(q.Depth, q.Wait)
	o.copies = true
	return o
}

// Lose tells that what is missing before the next packet will not come, as after
// the loss of synchronisation on a connection.
func (q *Sequencer) Lose() { q.intake.lose() }

// Expire gives up waiting for packets that are overdue at now.
func (q *Sequencer) Expire(now time.Time) {
	o := q.ordering()
	q.intake.drain((*sequencerSink)(q), now, &o)
}

// Flush delivers what waits for packets that will not come.
func (q *Sequencer) Flush() {
	for q.intake.queue.held > 0 {
		q.intake.step((*sequencerSink)(q))
	}
}

// RTCP takes in an RTCP packet, which may be a compound one, from the sender.
func (q *Sequencer) RTCP(b []byte, now time.Time) error {
	return q.intake.control(b, now, func() {})
}

// Goodbye reports whether the sender has said RTCP BYE.
func (q *Sequencer) Goodbye() bool { return q.intake.origin.begun && q.intake.origin.bye }

// SSRC returns that of the sender; 0 before the first packet.
func (q *Sequencer) SSRC() uint32 { return q.intake.origin.ssrc }

// AppendReport appends a receiver report with a CNAME (RFC 3550, 6.4.2), not
// framed; nothing if no packet has come yet.
func (q *Sequencer) AppendReport(dst []byte, cname string, now time.Time) []byte {
	if !q.intake.origin.begun {
		return dst
	}
	return q.intake.appendReport(dst, q.intake.origin.ssrc+1, cname, now)
}

// Stats returns the counters; those of access units are 0.
func (q *Sequencer) Stats() ReceiverStats {
	s := q.intake.stats
	if q.intake.rate > 0 {
		s.Jitter = q.intake.reception.jitterTime(q.intake.rate)
	}
	return s
}

// A sequencerSink is a Sequencer as the sink of its intake.
type sequencerSink Sequencer

func (q *sequencerSink) begin(_ *arrived, again bool) {
	if again {
		q.again = true
		q.intake.stats.Resets++
	}
}

func (q *sequencerSink) deliver(a *arrived, lost bool) {
	gap := NoGap
	switch {
	case q.again:
		q.again, gap = false, Restart
	case lost:
		gap = Lost
	}
	q.Deliver(&a.Packet, gap)
}
