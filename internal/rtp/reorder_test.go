package rtp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A reorder does what a map of packets does.
func TestReorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		depth := rapid.SampledFrom([]int{1, 2, 3, 16, 100}).Draw(t, "depth")
		var q reorder
		next := rapid.Uint16().Draw(t, "begin")
		q.begin(next)
		model := map[uint16]arrived{}
		missed := map[uint16]time.Time{}
		highest := next
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now := epoch.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				a := arrived{Packet: Packet{Sequence: next + uint16(rapid.IntRange(0, depth-1).Draw(t, "ahead"))}, at: now}
				require.Equal(t, int(a.Sequence-next), q.ahead(a.Sequence))
				_, twice := model[a.Sequence]
				require.Equal(t, !twice, q.put(a, depth))
				if !twice {
					model[a.Sequence] = a
					for ; int16(a.Sequence-highest) >= 0; highest++ {
						missed[highest] = now
					}
				}
			case 1:
				want, ok := model[next]
				require.Equal(t, ok, q.ready())
				got, taken := q.take()
				require.Equal(t, ok, taken)
				if ok {
					require.Equal(t, want, got)
					delete(model, next)
					next++
				}
			case 2:
				if _, ok := model[next]; ok {
					break
				}
				if len(model) > 0 {
					require.Equal(t, missed[next], q.missedSince())
				}
				q.skip(1)
				next++
				if int16(next-highest) > 0 {
					highest = next
				}
			}
			require.Equal(t, next, q.next)
			require.Len(t, model, q.held)
			require.LessOrEqual(t, len(q.slots), 128)
		}
	})
}

// What is taken is not kept alive.
func TestReorderForgets(t *testing.T) {
	var q reorder
	q.begin(0)
	for i := range 10 {
		q.put(arrived{Packet: Packet{Sequence: uint16(i), Payload: []byte("x")}}, 16)
	}
	for q.ready() {
		q.take()
	}
	for _, s := range q.slots {
		require.Nil(t, s.Payload)
	}
}
