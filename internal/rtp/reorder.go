package rtp

import (
	"math/bits"
	"time"
)

// Bounds for what waits for a packet that is missing.
const (
	defaultDepth = 256
	maxDepth     = 1 << 14
	defaultWait  = 500 * time.Millisecond
)

// A reorder puts packets in order: those that come too early stand in slots, by
// their sequence numbers, until the ones before them have come or are given up.
// Every operation takes a time that does not depend on how many are held.
type reorder struct {
	next  uint16 // sequence number that is due
	span  int    // sequence numbers from next on that are known of
	held  int    // packets in slots
	slots []slot // nil until a packet came too early; a power of two
}

// A slot belongs to a sequence number that is known of.
type slot struct {
	arrived // missing: only when it was first missed
	full    bool
}

func (q *reorder) slot(sequence uint16) *slot {
	return &q.slots[int(sequence)&(len(q.slots)-1)]
}

// begin makes a sequence number the one that is due. Nothing is held.
func (q *reorder) begin(sequence uint16) { q.next, q.span = sequence, 0 }

// ahead returns how far a sequence number is from the one that is due; negative
// if it was due before.
func (q *reorder) ahead(sequence uint16) int { return int(int16(sequence - q.next)) }

// put keeps a packet that is less than depth ahead. It reports false if there is
// such a packet already.
func (q *reorder) put(a arrived, depth int) bool {
	if q.slots == nil {
		q.slots = make([]slot, 1<<bits.Len(uint(depth-1)))
	}
	s, d := q.slot(a.Sequence), q.ahead(a.Sequence)
	if d < q.span && s.full {
		return false
	}
	for ; q.span < d; q.span++ {
		q.slot(q.next + uint16(q.span)).at = a.at
	}
	q.span = max(q.span, d+1)
	*s = slot{a, true}
	q.held++
	return true
}

// ready reports whether the packet that is due is held.
func (q *reorder) ready() bool { return q.held > 0 && q.slot(q.next).full }

// take takes out the packet that is due, if it has come.
func (q *reorder) take() (a arrived, ok bool) {
	if !q.ready() {
		return a, false
	}
	s := q.slot(q.next)
	a, *s = s.arrived, slot{}
	q.held--
	q.skip(1)
	return a, true
}

// skip goes on by n sequence numbers, whose packets are not held.
func (q *reorder) skip(n int) {
	q.next += uint16(n)
	q.span = max(q.span-n, 0)
}

// missedSince returns since when it is known that the packet that is due is
// missing. Some are held.
func (q *reorder) missedSince() time.Time { return q.slot(q.next).at }
