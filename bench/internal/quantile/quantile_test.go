package quantile

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for _, c := range []struct {
		values []int
		q      float64
		want   int
	}{
		{nil, 0.5, 0},
		{[]int{7}, 0, 7},
		{[]int{7}, 0.99, 7},
		{[]int{3, 1, 2}, 0.5, 2},
		{[]int{4, 1, 2, 3}, 0.5, 2},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 100},
	} {
		require.Equal(t, c.want, Of(c.values, c.q), "%v of %v", c.q, c.values)
	}
}

func TestMedian(t *testing.T) {
	nan := math.NaN()
	require.True(t, math.IsNaN(Median(nil)))
	require.True(t, math.IsNaN(Median([]float64{nan})))
	require.Equal(t, 3.0, Median([]float64{9, 3, 1}))
	require.Equal(t, 2.0, Median([]float64{3, nan, 1}))
	values := []float64{2, 1}
	Median(values)
	require.Equal(t, []float64{2, 1}, values)
}
