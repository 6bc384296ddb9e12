package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-n", "5,6", "-modes", "0,300ms", "-protocols", "rtmp,ws", "-only", "floor,server"})
	require.NoError(t, err)
	require.Equal(t, []int{5, 6}, o.viewers)
	require.Equal(t, []time.Duration{0, 300 * time.Millisecond}, o.modes)
	require.True(t, o.does("floor"))
	require.False(t, o.does("join"))
	cells := o.viewerCells(true)
	require.Len(t, cells, 2*2*3)
	require.Equal(t, cell{subjectFloor, crowd.Plain, 5, 0}, cells[0])
	require.Equal(t, cell{subjectServer, crowd.WS, 6, 300 * time.Millisecond}, cells[len(cells)-1])

	o, err = parse([]string{"-quick", "-repeat", "2"})
	require.NoError(t, err)
	require.Equal(t, 2, o.repeat)
	require.True(t, o.does("join"))
	require.Contains(t, o.viewerCells(true), cell{subjectNginx, crowd.RTMP, 500, 0})
	require.NotContains(t, o.viewerCells(false), cell{subjectNginx, crowd.RTMP, 500, 0})

	for _, bad := range [][]string{
		{"-n", "x"}, {"-n", "0"}, {"-modes", "1"}, {"-protocols", "hls"}, {"-only", "x"}, {"-repeat", "0"}, {"-probes", "0"}, {"-what"},
	} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
}

func TestExpected(t *testing.T) {
	require.InDelta(t, 0.98*2.5e6, float64(expected(10*time.Second, 0)), 1e4)
	require.Less(t, expected(10*time.Second, 1000), expected(10*time.Second, 0))
	require.Zero(t, expected(0, 1000))
}

func TestOffset(t *testing.T) {
	require.Zero(t, offset(0, gop))
	var perTenth [10]int
	for i := range 100 {
		d := offset(i, time.Second)
		require.Less(t, d, time.Second)
		perTenth[d/(100*time.Millisecond)]++
	}
	for _, n := range perTenth {
		require.InDelta(t, 10, n, 2)
	}
}
