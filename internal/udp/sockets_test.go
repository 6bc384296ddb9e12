package udp

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type worldListener struct {
	net.Listener // nil
	w            *world
	address      string
}

// listenTCP opens a port of TCP, which is another than that of UDP.
func (w *world) listenTCP(network, address string) (net.Listener, error) {
	c, err := w.listen(network, "tcp "+address)
	if err != nil {
		return nil, err
	}
	return worldListener{w: w, address: c.LocalAddr().String()}, nil
}

func (l worldListener) Close() error { return (&worldConn{w: l.w, address: l.address}).Close() }

type closer interface{ Close() error }

// TestPairTCP: three sockets or none, free when all are closed.
func TestPairTCP(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		w := newWorld("tcp 127.0.0.1:40002", "127.0.0.1:40005")
		p := &Ports{Min: 40000, Max: 40009, Listen: w.listen, ListenTCP: w.listenTCP}
		pair := p.PairTCP
		if quiet {
			pair = p.QuietPairTCP
		}
		var all [][]closer
		for range 3 {
			rtp, rtcp, ln, err := pair(loopback4)
			require.NoError(t, err)
			port := rtp.LocalAddr().Port()
			require.Contains(t, []uint16{40000, 40006, 40008}, port)
			require.Equal(t, port+1, rtcp.LocalAddr().Port())
			require.True(t, w.taken["tcp "+rtp.LocalAddr().String()])
			all = append(all, []closer{rtp, rtcp, ln})
		}
		_, _, ln, err := pair(loopback4)
		require.ErrorIs(t, err, ErrNoPorts)
		require.True(t, ln == nil, "an interface without a listener is not nil")
		require.Len(t, w.taken, 3*3+2, "a part of a pair was left open")
		require.Equal(t, 3, p.Open())
		for i, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
			for k, which := range order {
				require.Equal(t, 3-i, p.Open(), "free after %d of 3", k)
				require.NoError(t, all[i][which].Close())
				require.ErrorIs(t, all[i][which].Close(), net.ErrClosed)
			}
		}
		require.Zero(t, p.Open())
		require.Len(t, w.taken, 2)
	}
}

// TestPairTCPErrors: what is wrong with more than a port ends the search.
func TestPairTCPErrors(t *testing.T) {
	w := newWorld()
	stop := errors.New("no descriptors")
	p := &Ports{Min: 40000, Max: 40003, Listen: w.listen, ListenTCP: func(string, string) (net.Listener, error) { return nil, stop }}
	for range 5 {
		_, _, _, err := p.PairTCP(loopback4)
		require.ErrorIs(t, err, stop)
		require.Zero(t, p.Open())
		require.Empty(t, w.taken)
	}
}

// TestRest: with a rest, a pair is not handed out before it is over; the others
// are.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := &Ports{Min: 40000, Max: 40005, Listen: w.listen, Rest: 5 * time.Second}
		seen := map[uint16]int{}
		open := func() error {
			rtp, rtcp, err := p.Pair(loopback4)
			if err == nil {
				seen[rtp.LocalAddr().Port()]++
				closeBoth(t, rtp, rtcp)
			}
			return err
		}
		require.NoError(t, open())
		time.Sleep(time.Second)
		require.NoError(t, open())
		require.NoError(t, open())
		require.Len(t, seen, 3)
		require.ErrorIs(t, open(), ErrNoPorts)
		time.Sleep(4*time.Second - 1)
		require.ErrorIs(t, open(), ErrNoPorts)
		time.Sleep(time.Nanosecond)
		require.NoError(t, open())
		require.ErrorIs(t, open(), ErrNoPorts)
		time.Sleep(time.Second)
		require.NoError(t, open())
		require.NoError(t, open())
		require.Equal(t, map[uint16]int{40000: 2, 40002: 2, 40004: 2}, seen)
		require.Zero(t, p.Open())
	})
}

// TestAt: a port that is named, of the range or not.
func TestAt(t *testing.T) {
	for _, c := range []struct {
		name  string
		taken string
		port  uint16
		tcp   bool
		err   error
		rtcp  bool
		open  int // pairs of the range
		left  int // that can be opened still
	}{
		{"of the range", "", 40002, false, nil, true, 1, 2},
		{"of the range, with TCP", "", 40002, true, nil, true, 1, 2},
		{"odd", "", 40003, false, nil, true, 1, 1}, // 40004 is the next one's
		{"below", "", 39999, false, nil, true, 0, 2},
		{"above", "", 40006, true, nil, true, 0, 3},
		{"last", "", 65535, true, nil, false, 0, 3},
		{"first", "", 1, true, nil, true, 0, 3},
		{"none", "", 0, true, nil, false, 0, 3},
		{"taken", "127.0.0.1:40002", 40002, true, ErrInUse, false, 0, 2},
		{"next one taken", "127.0.0.1:40003", 40002, true, nil, false, 1, 2},
		{"taken by TCP", "tcp 127.0.0.1:40002", 40002, true, ErrInUse, false, 0, 3},
		{"taken by TCP, UDP only", "tcp 127.0.0.1:40002", 40002, false, nil, true, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(c.taken)
			p := &Ports{Min: 40000, Max: 40005, Listen: w.listen, ListenTCP: w.listenTCP}
			rtp, rtcp, ln, err := p.At(loopback4, c.port, c.tcp, false)
			if c.err != nil || c.port == 0 {
				require.Error(t, err)
				require.True(t, c.err == nil || errors.Is(err, c.err), "%v", err)
				require.True(t, rtp == nil && rtcp == nil && ln == nil)
				require.Len(t, w.taken, 1, "something was left open")
			} else {
				require.NoError(t, err)
				require.Equal(t, c.port, rtp.LocalAddr().Port())
				require.Equal(t, c.rtcp, rtcp != nil)
				require.Equal(t, c.tcp, ln != nil)
				_, _, _, err := p.At(loopback4, c.port, c.tcp, false)
				require.ErrorIs(t, err, ErrInUse, "a port was opened twice")
			}
			require.Equal(t, c.open, p.Open())
			var others []closer
			for range c.left {
				rtp, rtcp, err := p.Pair(loopback4)
				require.NoError(t, err)
				others = append(others, rtp, rtcp)
			}
			_, _, err = p.Pair(loopback4)
			require.ErrorIs(t, err, ErrNoPorts)
			if rtp != nil {
				others = append(others, rtp)
			}
			if rtcp != nil {
				others = append(others, rtcp)
			}
			if ln != nil {
				others = append(others, ln)
			}
			for _, s := range others {
				require.NoError(t, s.Close())
			}
			require.Zero(t, p.Open())
			require.Len(t, w.taken, 1)
		})
	}
}

// TestAtRests: a pair that was named and closed is the last one handed out.
func TestAtRests(t *testing.T) {
	w := newWorld()
	p := &Ports{Min: 40000, Max: 40009, Listen: w.listen}
	rtp, rtcp, _, err := p.At(loopback4, 40004, false, false)
	require.NoError(t, err)
	closeBoth(t, rtp, rtcp)
	for i := range 5 {
		rtp, rtcp, err := p.Pair(loopback4)
		require.NoError(t, err)
		require.Equal(t, i == 4, rtp.LocalAddr().Port() == 40004)
		defer closeBoth(t, rtp, rtcp)
	}
}

// TestSocketNetworks: which ports of TCP are asked for.
func TestSocketNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"127.0.0.1": "tcp4 127.0.0.1:", "::1": "tcp6 [::1]:", "::": "tcp [::]:", "0.0.0.0": "tcp4 0.0.0.0:", "": "tcp :",
	} {
		var a netip.Addr
		if ip != "" {
			a = netip.MustParseAddr(ip)
		}
		stop := errors.New("stop")
		p := &Ports{Listen: newWorld().listen, ListenTCP: func(network, address string) (net.Listener, error) {
			require.Equal(t, want, network+" "+address[:strings.LastIndex(address, ":")+1])
			return nil, stop
		}}
		_, _, _, err := p.PairTCP(a)
		require.ErrorIs(t, err, stop)
	}
}

// TestReuse: who wants to share a port may, others may not.
func TestReuse(t *testing.T) {
	if runtime.GOOS == "solaris" || runtime.GOOS == "illumos" || runtime.GOOS == "aix" {
		t.Skip("ports are not shared on this system")
	}
	p := &Ports{Min: 43000, Max: 43999}
	ordinary := func(ip netip.Addr, port uint16, tcp, reuse bool) (*Conn, *Conn, net.Listener, error) {
		s, err := p.bind(ip, port, p.open, options{tcp: tcp, reuse: reuse})
		if err != nil && InUse(err) {
			err = errors.Join(ErrInUse, err)
		}
		return s.rtp, s.rtcp, s.listener(), err
	}
	for name, open := range map[string]func(netip.Addr, uint16, bool, bool) (*Conn, *Conn, net.Listener, error){"At": p.At, "ordinary": ordinary} {
		t.Run(name, func(t *testing.T) {
			free, rtcp, ln, err := p.PairTCP(loopback4)
			require.NoError(t, err)
			port := free.LocalAddr().Port()
			closeBoth(t, free, rtcp)
			require.NoError(t, ln.Close())

			var all []closer
			for range 2 {
				rtp, rtcp, ln, err := open(loopback4, port, true, true)
				require.NoError(t, err)
				require.NotNil(t, rtcp)
				all = append(all, rtp, rtcp, ln)
			}
			_, _, _, err = open(loopback4, port, true, false)
			require.ErrorIs(t, err, ErrInUse)
			for _, c := range all {
				require.NoError(t, c.Close())
			}
			require.Zero(t, p.Open())
		})
	}
}

// TestSocketsAreReal: what is handed out can be sent and connected to, and hears
// datagrams of any length.
func TestSocketsAreReal(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, netip.IPv4Unspecified(), netip.IPv6Unspecified(), {}} {
		t.Run(ip.String(), func(t *testing.T) {
			start := starter(t)
			var p Ports
			rtp, rtcp, ln, err := p.QuietPairTCP(ip)
			require.NoError(t, err)
			require.Equal(t, at(rtp, loopback4).Port(), uint16(ln.Addr().(*net.TCPAddr).Port))
			require.Zero(t, rtp.LocalAddr().Port()%2)
			_, _, _, err = p.At(ip, rtp.LocalAddr().Port(), true, false)
			require.ErrorIs(t, err, ErrInUse)
			nc, err := net.Dial("tcp4", at(rtp, loopback4).String())
			require.NoError(t, err)
			defer nc.Close()
			accepted, err := ln.Accept()
			require.NoError(t, err)
			defer accepted.Close()

			peer := listen(t, "udp4", "127.0.0.1:0", false)
			var heard [2]watched
			for i, c := range []*Conn{rtp, rtcp} {
				require.NoError(t, c.Watch(start, heard[i].take))
				for _, d := range numbered(0, 1, 1400, 9000, 65507, 7) {
					_, err := peer.WriteTo(d, at(c, loopback4))
					require.NoError(t, err)
				}
				require.Eventually(t, func() bool { return heard[i].count() == 6 }, 10*time.Second, time.Millisecond)
				got, from := heard[i].all()
				require.Equal(t, peer.LocalAddr(), from)
				for k, d := range numbered(0, 1, 1400, 9000, 65507, 7) {
					require.True(t, string(d) == got[k], "datagram of %d bytes came as one of %d", len(d), len(got[k]))
				}
				_, err := c.WriteTo([]byte("answer"), peer.LocalAddr())
				require.NoError(t, err)
				receive(t, peer, [][]byte{[]byte("answer")}, at(c, loopback4))
			}
			closeBoth(t, rtcp, rtp)
			require.NoError(t, ln.Close())
			require.Zero(t, p.Open())
		})
	}
}

// TestSocketCycles: row G6. Ports with TCP that were opened and closed leave
// nothing behind, and are never handed out twice.
func TestSocketCycles(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 500
	}
	p := &Ports{Min: 44000, Max: 44099}
	files := openFiles()
	var mu sync.Mutex
	open := map[uint16]bool{}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for range n / 4 {
				rtp, rtcp, ln, err := p.QuietPairTCP(loopback4)
				if err != nil {
					t.Error(err)
					return
				}
				port := rtp.LocalAddr().Port()
				mu.Lock()
				if open[port] {
					t.Errorf("port %d twice", port)
				}
				open[port] = true
				mu.Unlock()
				if err := rtp.Watch(all.Go, func([]byte, netip.AddrPort) {}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				delete(open, port)
				mu.Unlock()
				for i := range 3 {
					if err := []closer{rtp, rtcp, ln}[(i+worker)%3].Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, p.Open())
	require.Equal(t, files, openFiles())
}

// TestWatchMany: many ports, on as many loops as there are, hear all that is theirs
// and in order.
func TestWatchMany(t *testing.T) {
	const ports, each = 40, 200
	var p Ports
	start := starter(t)
	var conns []*Conn
	var heard [2 * ports]watched
	for range ports {
		rtp, rtcp, err := p.QuietPair(loopback4)
		require.NoError(t, err)
		for _, c := range []*Conn{rtp, rtcp} {
			c.SetReadBuffer(1 << 20)
			require.NoError(t, c.Watch(start, heard[len(conns)].take))
			conns = append(conns, c)
		}
	}
	var all sync.WaitGroup
	for s := range 2 {
		peer := listen(t, "udp4", "127.0.0.1:0", false)
		all.Go(func() {
			for n := range each {
				for i := s; i < len(conns); i += 2 {
					if _, err := peer.WriteTo([]byte{byte(i), byte(n)}, conns[i].LocalAddr()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	for i := range conns {
		require.Eventually(t, func() bool { return heard[i].count() == each }, 20*time.Second, time.Millisecond)
		got, _ := heard[i].all()
		for n, d := range got {
			require.Equal(t, string([]byte{byte(i), byte(n)}), d)
		}
		require.NoError(t, conns[i].Close())
	}
}
