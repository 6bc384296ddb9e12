// Package quantile computes the few statistics the benchmark reports.
package quantile

import (
	"cmp"
	"math"
	"slices"
)

// Of returns the q-quantile of values by the nearest-rank method, or 0 if there
// are none. It sorts values.
func Of[T cmp.Ordered](values []T, q float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	slices.Sort(values)
	i := int(math.Ceil(q*float64(len(values)))) - 1
	return values[min(max(i, 0), len(values)-1)]
}

// Median returns the middle of values, the mean of the two middle ones of an
// even number, or NaN if there are none. Values that are NaN do not count.
func Median(values []float64) float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
