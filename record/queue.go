package record

import (
	"context"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// maxQueued is how many bytes of frames wait to be written at most.
const maxQueued = 16 << 20

// An item is a frame with the time it came.
type item struct {
	*codec.Frame
	at    time.Time
	start bool // a file can begin with it
}

// A queue is what a recording has not written yet. When it is full, frames are
// left out up to a key frame that finds it half empty, so that what is written is
// whole GOPs.
type queue struct {
	wake chan struct{} // the one who takes has something to do

	mu       sync.Mutex // guards what follows
	items    []item
	bytes    int
	skipping bool   // up to a key frame
	off      bool   // nothing is taken in
	lost     uint64 // frames, in all
	missed   uint64 // of those, what nobody was told of
	closed   bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// push takes a frame in, or counts it as lost. It never waits. When a gap is over
// it returns how many frames that has.
func (q *queue) push(it item) (gap uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.skipping = q.skipping || q.off || q.bytes+len(it.Data) > maxQueued && q.bytes > 0
	if q.skipping {
		if q.off || !it.start || q.bytes > maxQueued/2 {
			q.lost++
			q.missed++
			return 0
		}
		q.skipping = false
		gap, q.missed = q.missed, 0
		if gap > 0 {
			f := *it.Frame
			f.Flags |= codec.FlagDiscont
			it.Frame = &f
		}
	}
	q.items = append(q.items, it)
	q.bytes += len(it.Data)
	q.poke()
	return gap
}

// lose counts frames that were lost before they came here.
func (q *queue) lose(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost += n
	q.missed += n
}

// pop takes the oldest frame out. It waits for one, and returns false after the
// last, or when ctx is done.
func (q *queue) pop(ctx context.Context) (item, bool) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			it := q.items[0]
			q.items[0], q.items = item{}, q.items[1:]
			q.bytes -= len(it.Data)
			q.mu.Unlock()
			return it, true
		}
		q.items = nil
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return item{}, false
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return item{}, false
		}
	}
}

// turn switches the queue off, which loses what is in it, or on again.
func (q *queue) turn(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.off = !on
	if !on {
		n := uint64(len(q.items))
		q.lost += n
		q.missed += n
		q.items, q.bytes = nil, 0
	}
}

// begin makes the queue as new, but for its counters.
func (q *queue) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items, q.bytes, q.skipping, q.off, q.closed, q.missed = nil, 0, false, false, false, 0
}

// close lets pop come to an end.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

// stats returns the bytes that wait, and the frames lost.
func (q *queue) stats() (bytes int, lost uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.lost
}
