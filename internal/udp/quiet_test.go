package udp

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is what a port was sent.
type watched struct {
	mu   sync.Mutex
	got  []string
	from []netip.AddrPort
}

func (w *watched) take(b []byte, from netip.AddrPort) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, string(b))
	w.from = append(w.from, from)
}

func (w *watched) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.got)
}

// all returns what came, and from whom the last.
func (w *watched) all() ([]string, netip.AddrPort) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got), w.from[len(w.from)-1]
}

// starter starts the goroutines that ports need, and waits for them.
func starter(t *testing.T) func(func()) {
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	return all.Go
}

// TestQuietPair: a quiet pair sends and hears as any other.
func TestQuietPair(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, netip.AddrFrom16(loopback4.As16()), loopback6, {}} {
		for _, custom := range []bool{false, true} {
			t.Run(ip.String(), func(t *testing.T) {
				var p Ports
				if custom {
					p.Listen = net.ListenPacket
				}
				to := loopback4
				if ip == loopback6 {
					to = loopback6
				}
				peer := listen(t, map[bool]string{true: "udp4", false: "udp6"}[to.Is4()], net.JoinHostPort(to.String(), "0"), false)
				start := starter(t)
				rtp, rtcp, err := p.QuietPair(ip)
				require.NoError(t, err)
				require.Zero(t, rtp.LocalAddr().Port()%2)
				require.Equal(t, rtp.LocalAddr().Port()+1, rtcp.LocalAddr().Port())
				require.Equal(t, 1, p.Open())
				_, err = p.openQuiet(rtp.LocalAddr(), false)
				require.True(t, InUse(err), "%v", err)

				each := numbered(1400, 1400, 300, 20)
				var b Burst
				for _, d := range each {
					b.Add(d)
				}
				n, err := rtp.Send(&b, peer.LocalAddr())
				require.NoError(t, err)
				require.Equal(t, b.Bytes(), n)
				receive(t, peer, each, at(rtp, to))
				_, err = rtcp.WriteTo([]byte("report"), peer.LocalAddr())
				require.NoError(t, err)
				receive(t, peer, [][]byte{[]byte("report")}, at(rtcp, to))

				var heard [2]watched
				for i, c := range []*Conn{rtp, rtcp} {
					require.NoError(t, c.Watch(start, heard[i].take))
				}
				for i, c := range []*Conn{rtp, rtcp} {
					for _, word := range []string{"one", "two", ""} {
						_, err := peer.WriteTo([]byte(word), at(c, to))
						require.NoError(t, err)
					}
					require.Eventually(t, func() bool { return heard[i].count() == 3 }, 10*time.Second, time.Millisecond)
					got, from := heard[i].all()
					require.Equal(t, []string{"one", "two", ""}, got)
					require.Equal(t, peer.LocalAddr(), from)
				}
				require.NoError(t, rtp.Close())
				require.ErrorIs(t, rtp.Close(), net.ErrClosed)
				_, err = rtp.Send(&b, peer.LocalAddr())
				require.ErrorIs(t, err, net.ErrClosed)
				_, err = peer.WriteTo([]byte("three"), at(rtcp, to)) // which is still there
				require.NoError(t, err)
				require.Eventually(t, func() bool { return heard[1].count() == 4 }, 10*time.Second, time.Millisecond)
				require.Equal(t, 1, p.Open())
				require.NoError(t, rtcp.Close())
				require.Zero(t, p.Open())
				require.Equal(t, 3, heard[0].count())
			})
		}
	}
}

// TestQuietFlood: who is flooded keeps nobody else from hearing, and all ports
// come back, whoever closes them when.
func TestQuietFlood(t *testing.T) {
	var p Ports
	start := starter(t)
	flooded, other, err := p.QuietPair(loopback4)
	require.NoError(t, err)
	var heard watched
	require.NoError(t, other.Watch(start, heard.take))
	stop := make(chan struct{})
	require.NoError(t, flooded.Watch(start, func([]byte, netip.AddrPort) {
		select {
		case <-stop:
		case <-time.After(time.Millisecond): // so that it is never done
		}
	}))
	var flood sync.WaitGroup
	peer := listen(t, "udp4", "127.0.0.1:0", false)
	flood.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = peer.WriteTo([]byte("flood"), flooded.LocalAddr())
			}
		}
	})
	for i := range 5 {
		_, err := peer.WriteTo([]byte("hello"), other.LocalAddr())
		require.NoError(t, err)
		require.Eventually(t, func() bool { return heard.count() == i+1 }, 20*time.Second, time.Millisecond)
	}
	require.NoError(t, flooded.Close())
	close(stop)
	flood.Wait()
	require.NoError(t, other.Close())

	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 100 {
				a, b, err := p.QuietPair(loopback4)
				if err != nil {
					t.Error(err)
					return
				}
				for _, c := range []*Conn{a, b} {
					if err := c.Watch(start, func([]byte, netip.AddrPort) {}); err != nil {
						t.Error(err)
					}
				}
				_, _ = a.WriteTo([]byte("hello"), b.LocalAddr())
				_ = a.Close()
				_ = b.Close()
				if err := a.Watch(start, nil); err == nil && a.quiet != nil {
					t.Error("watched when closed")
				}
			}
		})
	}
	work.Wait()
	require.Zero(t, p.Open())
}
