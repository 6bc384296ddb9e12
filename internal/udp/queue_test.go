package udp

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestQueue: it does what a slice would do.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		q := newQueue(size)
		var want []uint16
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			v := uint16(rapid.IntRange(0, size-1).Draw(t, "v"))
			require.Equal(t, slices.Contains(want, v), q.has(v))
			if i := slices.Index(want, v); i >= 0 {
				q.remove(v)
				want = slices.Delete(want, i, i+1)
			} else {
				q.push(v)
				want = append(want, v)
			}
			first, ok := q.first()
			require.Equal(t, len(want) > 0, ok)
			if ok {
				require.Equal(t, want[0], first)
			}
		}
	})
	_, ok := new(queue).first()
	require.False(t, ok)
	largest := newQueue(32768)
	largest.push(32767)
	first, ok := largest.first()
	require.True(t, ok)
	require.EqualValues(t, 32767, first)
}
