package rtp

import (
	"bytes"
	"time"
)

// An intake is what the packets of one sender go through first, whatever they
// carry: it puts them in order, finds what is lost, notices that another sender
// has begun, and counts. One goroutine at a time may use it.
type intake struct {
	rate      int // of timestamps, Hz
	origin    origin
	queue     reorder
	lost      bool         // packets before the next one are missing
	hurry     bool         // packets before the next one will not come
	report    senderReport // the newest of who sends
	early     senderReport // the newest of another, who may be the next to send
	reception reception
	stats     ReceiverStats

	// Of the call that is going on, here so that they need not be allocated.
	came, taken arrived
}

// An arrived is a packet and when it came.
type arrived struct {
	Packet
	size int // with its header
	at   time.Time
}

// A sink takes in packets in order. It may keep payloads, but no *arrived.
type sink interface {
	// begin is told of the first packet of a sender. again tells that there was
	// another one before, or the same that has begun anew.
	begin(a *arrived, again bool)
	// deliver takes in the next packet, which has a payload. lost tells that some
	// before it are missing.
	deliver(a *arrived, lost bool)
}

// An ordering says how packets may come.
type ordering struct {
	depth  int           // how far one may be ahead of a missing one
	wait   time.Duration // for how long a missing one is waited for
	gives  bool          // a missing one is not waited for
	copies bool          // payloads are not ours: those that wait are copied
}

// ordering returns the ordering with these bounds; 0 means the default.
func newOrdering(depth int, wait time.Duration) ordering {
	if depth <= 0 {
		depth = defaultDepth
	}
	if wait <= 0 {
		wait = defaultWait
	}
	return ordering{depth: min(depth, maxDepth), wait: wait}
}

// take takes in a packet.
func (q *intake) take(s sink, a arrived, o *ordering) {
	q.came = a
	switch p := &q.came; {
	case q.origin.begun && q.origin.fits(&p.Packet, o.depth):
		q.accept(s, p, o)
	case len(p.Payload) == 0: // it opens a way through a firewall, and is no beginning
	case !q.origin.begun:
		q.hello(p)
		s.begin(p, false)
		q.accept(s, p, o)
	default:
		q.stray(s, p, o)
	}
	q.came = arrived{}
}

// hello begins with the first packet of a sender.
func (q *intake) hello(a *arrived) {
	q.report = senderReport{}
	if q.early.ssrc == a.SSRC {
		q.report = q.early
	}
	q.early = senderReport{}
	q.origin.begin(a)
	q.queue.begin(a.Sequence)
	q.reception.begin(a.Sequence)
}

// stray takes in a packet that does not continue what was received: all it makes
// is, perhaps, a new beginning.
func (q *intake) stray(s sink, a *arrived, o *ordering) {
	beginning, dropped := q.origin.stray(o.keep(a), o.depth)
	q.stats.Invalid += uint64(dropped)
	if beginning == nil {
		return
	}
	if first := &beginning[0]; !q.origin.continues(first, q.rate) {
		for q.queue.held > 0 {
			q.step(s)
		}
		q.lost, q.hurry = false, false
		q.hello(first)
		s.begin(first, true)
	}
	for i := range beginning {
		q.accept(s, &beginning[i], o)
	}
}

// keep returns a packet that can be kept.
func (o *ordering) keep(a *arrived) arrived {
	kept := *a
	if o.copies {
		kept.Payload = bytes.Clone(a.Payload)
	}
	return kept
}

// accept takes in a packet that belongs to what is received.
func (q *intake) accept(s sink, a *arrived, o *ordering) {
	newest := q.origin.advance(a)
	if newest {
		q.stats.Invalid += uint64(q.origin.forget())
	}
	q.reception.add(a, q.rate)
	most := 0
	if !o.gives && !q.hurry {
		most = o.depth - 1
	}
	ahead := q.queue.ahead(a.Sequence)
	if ahead >= 0 {
		q.hurry = false
	}
	for ; ahead > most; ahead-- {
		q.step(s)
	}
	if ahead == 0 && q.queue.ready() { // it came twice
		ahead = -1
	}
	if ahead < 0 || ahead > 0 && !q.queue.put(o.keep(a), o.depth) {
		q.stats.Duplicates++
		return
	}
	q.stats.Packets++
	q.stats.Bytes += uint64(a.size)
	if !newest {
		q.stats.Reordered++
	}
	if ahead == 0 {
		q.queue.skip(1)
		q.pass(s, a)
	}
}

// lose tells that what is missing before the next packet will not come.
func (q *intake) lose() { q.hurry, q.lost = true, true }

// drain delivers what is due, and gives up what is overdue at now.
func (q *intake) drain(s sink, now time.Time, o *ordering) {
	for q.queue.ready() || q.queue.held > 0 && now.Sub(q.queue.missedSince()) >= o.wait {
		q.step(s)
	}
}

// due returns when drain has something to give up; zero if nothing is waited for.
func (q *intake) due(o *ordering) time.Time {
	if q.queue.held == 0 {
		return time.Time{}
	}
	return q.queue.missedSince().Add(o.wait)
}

// step goes on by one packet, which is lost if it has not come.
func (q *intake) step(s sink) {
	a, ok := q.queue.take()
	if !ok {
		q.queue.skip(1)
		q.lost = true
		q.stats.Lost++
		return
	}
	q.taken = a
	q.pass(s, &q.taken)
	q.taken = arrived{}
}

// pass delivers the next packet, unless it is padding, to probe the way or to keep
// it open.
func (q *intake) pass(s sink, a *arrived) {
	if len(a.Payload) == 0 {
		return
	}
	lost := q.lost
	q.lost = false
	s.deliver(a, lost)
}
