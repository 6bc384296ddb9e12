package udp

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRuns(t *testing.T) {
	for _, c := range burstCases {
		var p prepared
		p.prepare(c.each)
		var runs []int
		for i, end := range p.runs.ends {
			if i > 0 {
				end -= p.runs.ends[i-1]
			}
			runs = append(runs, end)
		}
		require.Equal(t, c.runs, runs, c.name)
		p.split()
		require.Len(t, p.singles.headers, len(c.each))
	}
}

// A kernel answers calls in place of the real one.
type kernel struct {
	p       *prepared
	answers []any // how many messages it takes, or an error
	calls   []int // how many it was asked to take
}

func (k *kernel) call(uintptr) bool {
	k.calls = append(k.calls, len(k.p.rest))
	k.p.n, k.p.err = 0, 0
	switch a := k.answers[0].(type) {
	case int:
		k.p.n = min(a, len(k.p.rest))
	case unix.Errno:
		k.p.err = a
	}
	k.answers = k.answers[1:]
	return true
}

// TestKernels: whatever the kernel answers, each datagram is sent once or
// counted as dropped.
func TestKernels(t *testing.T) {
	const all = 1000
	sizes := []int{100, 100, 50, 200, 200, 300} // runs of 3, 2 and 1
	for _, c := range []struct {
		name    string
		answers []any
		calls   []int
		sent    int
		dropped uint64
		each    bool
	}{
		{"all", []any{all}, []int{3}, 950, 0, false},
		{"in parts", []any{1, 2}, []int{3, 2}, 950, 0, false},
		{"one by one", []any{1, 1, 1}, []int{3, 2, 1}, 950, 0, false},
		{"would block", []any{unix.EAGAIN}, []int{3}, 0, 6, false},
		{"no buffers", []any{unix.ENOBUFS}, []int{3}, 0, 6, false},
		{"would block after a part", []any{2, unix.EAGAIN}, []int{3, 1}, 650, 1, false},
		{"one is refused", []any{1, unix.EPERM, all}, []int{3, 2, 1}, 550, 2, false},
		{"last is refused", []any{2, unix.EMSGSIZE}, []int{3, 1}, 650, 1, false},
		{"no segmentation", []any{unix.EIO, all}, []int{3, 6}, 950, 0, true},
		{"no segmentation, in parts", []any{unix.EINVAL, 2, 3, 1}, []int{3, 6, 4, 1}, 950, 0, true},
		{"segments above the MTU", []any{1, unix.EMSGSIZE, all}, []int{3, 2, 3}, 950, 0, true},
		{"no segmentation, and refused", []any{unix.EIO, unix.EINVAL, 4, unix.EINVAL}, []int{3, 6, 5, 1}, 550, 2, true},
		{"no segmentation, and full", []any{1, unix.EIO, 1, unix.EAGAIN}, []int{3, 2, 3, 2}, 450, 2, true},
		{"unreachable", []any{unix.ENETUNREACH, unix.ENETUNREACH, unix.ENETUNREACH}, []int{3, 2, 1}, 0, 6, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := listen(t, "udp4", "127.0.0.1:0", false)
			var b Burst
			k := &kernel{p: &b.prepared, answers: c.answers}
			b.prepared.call = k.call
			for _, d := range numbered(sizes...) {
				b.Add(d)
			}
			n, err := from.Send(&b, from.LocalAddr())
			require.NoError(t, err)
			require.Equal(t, c.sent, n)
			require.Equal(t, c.dropped, from.Dropped())
			require.Equal(t, c.calls, k.calls)
			require.Empty(t, k.answers)
			require.Equal(t, c.each, from.fast.each.Load())
			if c.each { // it is remembered
				k.answers, k.calls = []any{all}, nil
				n, err := from.Send(&b, from.LocalAddr())
				require.NoError(t, err)
				require.Equal(t, 950, n)
				require.Equal(t, []int{6}, k.calls)
			}
		})
	}
}

// TestNoSegmentation: a socket without checksums is one that the kernel refuses
// segmentation.
func TestNoSegmentation(t *testing.T) {
	from, to := listen(t, "udp4", "127.0.0.1:0", false), listen(t, "udp4", "127.0.0.1:0", false)
	require.NoError(t, from.raw.Control(func(fd uintptr) {
		require.NoError(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1))
	}))
	each := numbered(1200, 1200, 1200, 7, 9)
	var b Burst
	for _, d := range each {
		b.Add(d)
	}
	for range 2 {
		n, err := from.Send(&b, to.LocalAddr())
		require.NoError(t, err)
		require.Equal(t, b.Bytes(), n)
		receive(t, to, each, from.LocalAddr())
		require.True(t, from.fast.each.Load())
	}
}

// TestManyMessages: more of them than the kernel takes with a call.
func TestManyMessages(t *testing.T) {
	from, to := listen(t, "udp4", "127.0.0.1:0", false), listen(t, "udp4", "127.0.0.1:0", false)
	if to.SetReadBuffer(8<<20) < 2<<20 {
		t.Skip("the system keeps too few bytes")
	}
	var sizes []int
	for i := range 1500 {
		sizes = append(sizes, 10+i%2*10)
	}
	sizes = append(sizes, 30)
	each := numbered(sizes...)
	var b Burst
	for _, d := range each {
		b.Add(d)
	}
	from.fast.each.Store(true)
	n, err := from.Send(&b, to.LocalAddr())
	require.NoError(t, err)
	require.Equal(t, b.Bytes(), n)
	receive(t, to, each, from.LocalAddr())
}

func TestZones(t *testing.T) {
	c := listen(t, "udp6", "[::1]:0", false)
	lo, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	for range 2 {
		n, err := c.zone("lo")
		require.NoError(t, err)
		require.EqualValues(t, lo.Index, n)
	}
	n, err := c.zone("77")
	require.NoError(t, err)
	require.EqualValues(t, 77, n)
	_, err = c.zone("no-such")
	require.ErrorIs(t, err, ErrAddress)
}
