package pes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// An orderStep is a frame and how many come out with it.
type orderStep struct {
	id   int
	ms   int
	came int
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		wait  []int
		steps []orderStep
		left  int
	}{
		{"one track", []int{1}, []orderStep{{1, 0, 1}, {1, 40, 1}, {1, 40, 1}}, 0},
		{"in turn", []int{1, 2}, []orderStep{{1, 0, 0}, {2, 0, 2}, {1, 40, 0}, {2, 21, 1}, {2, 42, 1}}, 1},
		{"audio late", []int{1, 2}, []orderStep{{1, 0, 0}, {1, 40, 0}, {1, 80, 0}, {2, 0, 2}, {2, 21, 1}, {2, 42, 2}, {2, 90, 1}}, 1},
		{"a track that never comes", []int{1, 2}, []orderStep{{1, 0, 0}, {1, 1000, 0}, {1, 1001, 3}, {1, 2001, 1}}, 0},
		{"a track that stops", []int{1, 2}, []orderStep{{2, 0, 0}, {1, 0, 2}, {1, 500, 0}, {1, 1000, 0}, {1, 1001, 3}, {1, 1040, 1}}, 0},
		{"and comes again", []int{1, 2}, []orderStep{{2, 0, 0}, {1, 0, 2}, {1, 1001, 1}, {2, 1001, 1}, {1, 1040, 0}, {2, 1050, 1}}, 1},
		{"data is not waited for", []int{1}, []orderStep{{9, 10, 0}, {1, 0, 1}, {1, 40, 2}, {9, 5, 1}, {9, 999_999, 0}, {1, 80, 1}}, 1},
		{"only data", nil, []orderStep{{9, 10, 1}, {9, 5, 1}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o order
			require.Empty(t, o.expect(nil, c.wait))
			for _, s := range c.steps {
				f := &codec.Frame{Track: &codec.Track{ID: s.id}, DTS: time.Duration(s.ms) * time.Millisecond, Data: []byte{1}}
				require.Len(t, o.add(nil, f), s.came, "%+v", s)
				require.Equal(t, len(o.held), o.weight)
			}
			left := o.flush(nil)
			require.Len(t, left, c.left)
			for i := range left[:max(len(left)-1, 0)] {
				require.LessOrEqual(t, left[i].DTS, left[i+1].DTS)
			}
		})
	}
}

// What waits is bounded.
func TestOrderBounds(t *testing.T) {
	var o order
	o.expect(nil, []int{1, 2})
	for range 2 * maxHeld {
		o.add(nil, &codec.Frame{Track: &codec.Track{ID: 1}})
		require.LessOrEqual(t, len(o.held), maxHeld)
	}
	for range 10 {
		o.add(nil, &codec.Frame{Track: &codec.Track{ID: 1}, Data: make([]byte, maxWeight/4)})
		require.LessOrEqual(t, o.weight, maxWeight)
	}
	// A track that is no longer expected is not waited for.
	require.NotEmpty(t, o.expect(nil, []int{1}))
	require.Empty(t, o.held)
}
