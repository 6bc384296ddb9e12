package udp

// A queue holds numbers, first in, first out.
type queue struct {
	items []uint16
	head  int
	n     int
}

// newQueue returns a queue for at most size numbers.
func newQueue(size int) queue { return queue{items: make([]uint16, size)} }

func (q *queue) push(v uint16) {
	q.items[(q.head+q.n)%len(q.items)] = v
	q.n++
}

func (q *queue) pop() (v uint16, ok bool) {
	if q.n == 0 {
		return 0, false
	}
	v = q.items[q.head]
	q.head = (q.head + 1) % len(q.items)
	q.n--
	return v, true
}
