package udp

// A queue holds numbers from 0, each once, first in, first out, and lets any of
// them leave it. The zero value is empty, and has room for none.
type queue struct {
	next, prev []uint16 // of each number, and last of the queue's own: a ring
}

// newQueue returns a queue for the numbers below size, which is 32768 at most.
func newQueue(size int) queue {
	q := queue{make([]uint16, size+1), make([]uint16, size+1)}
	for i := range q.next {
		q.next[i], q.prev[i] = uint16(i), uint16(i)
	}
	return q
}

// end is what follows the last number and precedes the first one.
func (q *queue) end() uint16 { return uint16(len(q.next) - 1) }

// push puts v, which is not in the queue, behind all others.
func (q *queue) push(v uint16) {
	end := q.end()
	last := q.prev[end]
	q.next[v], q.prev[v] = end, last
	q.next[last], q.prev[end] = v, v
}

// first returns what was put in first.
func (q *queue) first() (v uint16, ok bool) {
	if len(q.next) == 0 {
		return 0, false
	}
	v = q.next[q.end()]
	return v, v != q.end()
}

// has reports whether v is in the queue.
func (q *queue) has(v uint16) bool { return q.next[v] != v }

// remove takes v, which is in the queue, out of it.
func (q *queue) remove(v uint16) {
	after, before := q.prev[v], q.next[v]
	q.next[after], q.prev[before] = before, after
	q.next[v], q.prev[v] = v, v
}
