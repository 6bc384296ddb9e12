package record

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// queued returns an item of so many MiB.
func queued(mib int, start bool) item {
	return item{Frame: &codec.Frame{Data: make([]byte, mib<<20)}, start: start}
}

// TestQueue: what does not fit is left out up to a key frame that finds the queue
// half empty.
func TestQueue(t *testing.T) {
	q := newQueue()
	q.begin()
	push := func(mib int, start bool, gap uint64) {
		t.Helper()
		require.Equal(t, gap, q.push(queued(mib, start)))
		bytes, _ := q.stats()
		require.LessOrEqual(t, bytes, max(maxQueued, mib<<20))
	}
	lost := func(n uint64) {
		t.Helper()
		_, got := q.stats()
		require.Equal(t, n, got)
	}
	pop := func(mib int, discont bool) {
		t.Helper()
		it, ok := q.pop(t.Context())
		require.True(t, ok)
		require.Len(t, it.Data, mib<<20)
		require.Equal(t, discont, it.Has(codec.FlagDiscont))
	}
	push(6, true, 0)
	push(6, false, 0)
	push(4, false, 0)
	lost(0)
	push(1, false, 0) // too much
	push(1, true, 0)  // not half empty
	lost(2)
	pop(6, false)
	push(1, false, 0) // there is room, but no key
	push(1, true, 0)  // 10 MiB are left
	lost(4)
	pop(6, false)
	push(1, false, 0)
	push(2, true, 5)
	push(1, false, 0)
	pop(4, false)
	pop(2, true)
	pop(1, false)
	lost(5)

	push(20, true, 0) // one alone is never too much
	pop(20, false)
	push(1, true, 0)
	q.turn(false)
	lost(6)
	push(1, true, 0)
	q.turn(true)
	push(1, false, 0)
	push(1, true, 3)
	q.lose(2)
	lost(10)
	q.close()
	pop(1, true)
	_, ok := q.pop(t.Context())
	require.False(t, ok)
}

// TestQueueWaits: pop waits for what is pushed.
func TestQueueWaits(t *testing.T) {
	q := newQueue()
	q.begin()
	got := make(chan int)
	go func() {
		defer close(got)
		for {
			it, ok := q.pop(t.Context())
			if !ok {
				return
			}
			got <- len(it.Data)
		}
	}()
	for n := range 100 {
		q.push(item{Frame: &codec.Frame{Data: make([]byte, n)}, at: time.Now()})
		require.Equal(t, n, <-got)
	}
	q.close()
	_, ok := <-got
	require.False(t, ok)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q.begin()
	_, ok = q.pop(ctx)
	require.False(t, ok)
}
