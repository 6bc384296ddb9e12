package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A world has ports that no test's own process has to share with another.
type world struct {
	mu     sync.Mutex
	taken  map[string]bool
	opened int
	err    error
}

type worldConn struct {
	net.PacketConn // nil
	w              *world
	address        string
}

func newWorld(taken ...string) *world {
	w := &world{taken: map[string]bool{}}
	for _, a := range taken {
		w.taken[a] = true
	}
	return w
}

func (w *world) listen(network, address string) (net.PacketConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	if w.taken[address] {
		return nil, &net.OpError{Op: "listen", Net: network, Err: os.NewSyscallError("bind", errInUse)}
	}
	w.taken[address] = true
	w.opened++
	return &worldConn{w: w, address: address}, nil
}

func (c *worldConn) LocalAddr() net.Addr { return strange(c.address) }

func (c *worldConn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if !c.w.taken[c.address] {
		return net.ErrClosed
	}
	delete(c.w.taken, c.address)
	return nil
}

func closeBoth(t *testing.T, a, b *Conn) {
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// TestPorts: all pairs of a range once, and no more.
func TestPorts(t *testing.T) {
	for _, c := range []struct {
		name     string
		min, max uint16
		pairs    int
		first    uint16
	}{
		{"default", 0, 0, 2500, 30000},
		{"even", 40000, 40009, 5, 40000},
		{"odd", 40001, 40010, 4, 40002},
		{"odd and even", 40001, 40009, 4, 40002},
		{"one pair", 40000, 40001, 1, 40000},
		{"one port", 40000, 40000, 0, 0},
		{"two ports that are no pair", 40001, 40002, 0, 0},
		{"reversed", 40001, 40000, 0, 0},
		{"to the end", 65530, 65535, 3, 65530},
		{"from the beginning", 0, 5, 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			p := &Ports{Min: c.min, Max: c.max, Listen: w.listen}
			seen := map[uint16]bool{}
			var all []*Conn
			for range c.pairs {
				rtp, rtcp, err := p.Pair(loopback4)
				require.NoError(t, err)
				port := rtp.LocalAddr().Port()
				require.Zero(t, port%2)
				require.Equal(t, port+1, rtcp.LocalAddr().Port())
				require.False(t, seen[port], "port %d twice", port)
				seen[port] = true
				all = append(all, rtp, rtcp)
			}
			require.Equal(t, c.pairs, p.Open())
			for range 3 {
				_, _, err := p.Pair(loopback4)
				require.ErrorIs(t, err, ErrNoPorts)
			}
			if c.pairs > 0 {
				require.True(t, seen[c.first])
				require.NoError(t, all[0].Close())
				_, _, err := p.Pair(loopback4)
				require.ErrorIs(t, err, ErrNoPorts, "half of a pair is free")
				require.Equal(t, c.pairs, p.Open())
				require.ErrorIs(t, all[0].Close(), net.ErrClosed)
				_, _, err = p.Pair(loopback4)
				require.ErrorIs(t, err, ErrNoPorts, "one of a pair was closed twice")
				require.NoError(t, all[1].Close())
				require.Equal(t, c.pairs-1, p.Open())
				rtp, rtcp, err := p.Pair(loopback4)
				require.NoError(t, err)
				all = append(all[2:], rtp, rtcp)
			}
			for _, c := range all {
				require.NoError(t, c.Close())
			}
			require.Zero(t, p.Open())
			require.Empty(t, w.taken)
		})
	}
}

// TestPortsRest: the pair that was closed last is used last.
func TestPortsRest(t *testing.T) {
	w := newWorld()
	p := &Ports{Min: 40000, Max: 40009, Listen: w.listen}
	var order []uint16
	for range 15 {
		rtp, rtcp, err := p.Pair(loopback4)
		require.NoError(t, err)
		order = append(order, rtp.LocalAddr().Port())
		closeBoth(t, rtp, rtcp)
	}
	require.Equal(t, order[:5], order[5:10])
	require.Equal(t, order[:5], order[10:])
}

// TestPortsOfOthers: ports that others have are skipped, and used once they are
// free.
func TestPortsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("127.0.0.1:40000", "127.0.0.1:40003")
		p := &Ports{Min: 40000, Max: 40007, Listen: w.listen}
		var all []*Conn
		for range 2 {
			rtp, rtcp, err := p.Pair(loopback4)
			require.NoError(t, err)
			all = append(all, rtp, rtcp)
		}
		_, _, err := p.Pair(loopback4)
		require.ErrorIs(t, err, ErrNoPorts)
		require.Equal(t, 2, p.Open())
		require.Len(t, w.taken, 6, "half of a pair was left open")

		opened := w.opened
		for range 100 { // it does not try again and again
			_, _, err := p.Pair(loopback4)
			require.ErrorIs(t, err, ErrNoPorts)
		}
		require.Equal(t, opened, w.opened)

		delete(w.taken, "127.0.0.1:40003")
		time.Sleep(time.Second)
		rtp, rtcp, err := p.Pair(loopback4)
		require.NoError(t, err)
		require.EqualValues(t, 40002, rtp.LocalAddr().Port())
		all = append(all, rtp, rtcp)
		_, _, err = p.Pair(loopback4)
		require.ErrorIs(t, err, ErrNoPorts)
		for _, c := range all {
			require.NoError(t, c.Close())
		}
		require.Equal(t, map[string]bool{"127.0.0.1:40000": true}, w.taken)
	})
}

// TestPortsOfTwo: two Ports of one range share it.
func TestPortsOfTwo(t *testing.T) {
	w := newWorld()
	a, b := &Ports{Min: 40000, Max: 40199, Listen: w.listen}, &Ports{Min: 40000, Max: 40199, Listen: w.listen}
	var all []*Conn
	for i := range 100 {
		p := a
		if i%2 == 1 {
			p = b
		}
		rtp, rtcp, err := p.Pair(loopback4)
		require.NoError(t, err, "pair %d", i)
		all = append(all, rtp, rtcp)
	}
	for _, p := range []*Ports{a, b} {
		require.Equal(t, 50, p.Open())
		_, _, err := p.Pair(loopback4)
		require.ErrorIs(t, err, ErrNoPorts)
	}
	for _, c := range all {
		require.NoError(t, c.Close())
	}
	require.Zero(t, a.Open()+b.Open())
}

// TestPortsErrors: what is wrong with more than a port ends the search.
func TestPortsErrors(t *testing.T) {
	w := newWorld()
	w.err = errors.New("no descriptors")
	p := &Ports{Min: 40000, Max: 40003, Listen: w.listen}
	for range 5 {
		_, _, err := p.Pair(loopback4)
		require.ErrorIs(t, err, w.err)
		require.Zero(t, p.Open())
	}
	w.err = nil
	for range 2 {
		_, _, err := p.Pair(loopback4)
		require.NoError(t, err)
	}
}

// TestPortsNetworks: which sockets are asked for.
func TestPortsNetworks(t *testing.T) {
	for _, c := range []struct{ ip, network, host string }{
		{"", "udp", ""},
		{"127.0.0.1", "udp4", "127.0.0.1"},
		{"0.0.0.0", "udp4", "0.0.0.0"},
		{"::ffff:127.0.0.1", "udp4", "127.0.0.1"},
		{"::1", "udp6", "[::1]"},
		{"fe80::1%lo", "udp6", "[fe80::1%lo]"},
		{"::", "udp", "[::]"},
	} {
		var ip netip.Addr
		if c.ip != "" {
			ip = netip.MustParseAddr(c.ip)
		}
		stop := errors.New("stop")
		p := &Ports{Listen: func(network, address string) (net.PacketConn, error) {
			require.Equal(t, c.network, network)
			require.Equal(t, c.host, address[:strings.LastIndex(address, ":")])
			return nil, stop
		}}
		_, _, err := p.Pair(ip)
		require.ErrorIs(t, err, stop)
	}
}

// TestPortCycles: row G6. Ports that were opened and closed, in small ranges and
// by many at once, leave none behind.
func TestPortCycles(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	p := &Ports{Min: 42000, Max: 42063}
	files := openFiles()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range n / 4 {
				rtp, rtcp, err := p.Pair(loopback4)
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == worker%2 {
					rtp, rtcp = rtcp, rtp
				}
				if rtp.Close() != nil || rtcp.Close() != nil {
					t.Error("not closed")
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, p.Open())
	require.Equal(t, files, openFiles())
	var conns []*Conn
	for { // they can all be opened still, but for those of others
		rtp, rtcp, err := p.Pair(loopback4)
		if err != nil {
			require.ErrorIs(t, err, ErrNoPorts)
			break
		}
		conns = append(conns, rtp, rtcp)
	}
	require.Equal(t, p.Open()*2, len(conns))
	require.Greater(t, len(conns), 32)
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
	require.Equal(t, files, openFiles())
}

// TestPortsAreReal: what is handed out can be sent to.
func TestPortsAreReal(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, {}} {
		p := new(Ports)
		rtp, rtcp, err := p.Pair(ip)
		require.NoError(t, err)
		require.NoError(t, rtcp.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err = rtp.WriteTo([]byte("abc"), at(rtcp, loopback4))
		require.NoError(t, err)
		receive(t, rtcp, [][]byte{[]byte("abc")}, rtp.LocalAddr())
		closeBoth(t, rtp, rtcp)
	}
}

func openFiles() int {
	runtime.GC()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not on this system
	}
	return len(names)
}
