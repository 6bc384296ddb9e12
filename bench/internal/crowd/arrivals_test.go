package crowd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestArrivals(t *testing.T) {
	for _, c := range []struct {
		sequence []uint16
		want     int
	}{
		{nil, 0},
		{[]uint16{7}, 0},
		{[]uint16{7, 8, 9}, 0},
		{[]uint16{7, 9}, 1},
		{[]uint16{7, 9, 8}, 0},
		{[]uint16{65534, 65535, 0, 1}, 0},
		{[]uint16{65534, 2}, 3},
		{[]uint16{7, 32000, 60000}, 59991},
	} {
		var a arrivals
		for _, s := range c.sequence {
			a.add(s)
		}
		require.Equal(t, c.want, a.missing(), c.sequence)
	}
}
