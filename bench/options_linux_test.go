package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-n", "5,6", "-modes", "0,300ms", "-only", "floor,server,rtmp,ws"})
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

	o, err = parse([]string{"-n", "100,1000,3000", "-only", "rtsp-udp"})
	require.NoError(t, err)
	require.Equal(t, []cell{
		{subjectFloor, crowd.PlainUDP, 100, 0},
		{subjectFloor, crowd.PlainSendto, 100, 0},
		{subjectServer, crowd.RTSPUDP, 100, 0},
		{subjectFloor, crowd.PlainUDP, 1000, 0},
		{subjectFloor, crowd.PlainSendto, 1000, 0},
		{subjectServer, crowd.RTSPUDP, 1000, 0},
	}, o.viewerCells(true))
	require.Empty(t, o.publisherCells(true))
	require.Equal(t, []cell{{subjectServer, crowd.RTSPUDP, 200, 0}}, o.joinCells())

	o, err = parse([]string{"-n", "3000", "-modes", "100ms", "-only", "rtsp,server,publishers"})
	require.NoError(t, err)
	require.Equal(t, []cell{{subjectServer, crowd.RTSP, 3000, 100 * time.Millisecond}}, o.viewerCells(true))
	require.Equal(t, []cell{{subjectServer, crowd.RTSP, 100, 0}}, o.publisherCells(true))

	for _, bad := range [][]string{
		{"-n", "x"}, {"-n", "0"}, {"-modes", "1"}, {"-only", "x"}, {"-repeat", "0"}, {"-probes", "0"}, {"-what"},
	} {
		_, err := parse(bad)
		require.Error(t, err, bad)
	}
}

// TestNames tells all that is measured apart, and finds what it is compared to.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	cells := options{viewers: []int{100}, modes: []time.Duration{0}, protocols: protocols()}.viewerCells(true)
	for _, c := range cells {
		require.NotEmpty(t, c.name())
		seen[c.name()] = true
	}
	require.Len(t, seen, len(cells))
	for _, c := range cells {
		require.Equal(t, c.udp(), floorOf(c).udp())
		require.Contains(t, cells, floorOf(c))
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
