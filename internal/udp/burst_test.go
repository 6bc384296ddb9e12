package udp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// numbered returns datagrams of these sizes, no two of which are alike.
func numbered(sizes ...int) [][]byte {
	var all [][]byte
	for i, n := range sizes {
		d := bytes.Repeat([]byte{byte(i)}, n)
		if n > 1 {
			d[1] = byte(i >> 8)
		}
		all = append(all, d)
	}
	return all
}

func times(n, size int) []int { return slices.Repeat([]int{size}, n) }

var burstCases = []struct {
	name string
	each [][]byte
	runs []int // datagrams that can be sent as one
}{
	{"nothing", nil, nil},
	{"one", numbered(1200), []int{1}},
	{"one byte", numbered(1), []int{1}},
	{"empty", numbered(0), []int{1}},
	{"one size", numbered(1200, 1200, 1200), []int{3}},
	{"last is shorter", numbered(1200, 1200, 7), []int{3}},
	{"last is empty", numbered(1200, 1200, 0), []int{2, 1}},
	{"empty ones", numbered(0, 0, 5, 5, 0), []int{1, 1, 2, 1}},
	{"sizes grow", numbered(1, 2, 3), []int{1, 1, 1}},
	{"sizes fall", numbered(3, 2, 1), []int{2, 1}},
	{"frames", numbered(1400, 1400, 300, 1400, 1400, 1400, 20, 160), []int{3, 4, 1}},
	{"64", numbered(times(64, 100)...), []int{64}},
	{"65", numbered(times(65, 100)...), []int{64, 1}},
	{"200", numbered(times(200, 700)...), []int{64, 64, 64, 8}},
	{"most bytes", numbered(times(13, 5039)...), []int{13}},
	{"more bytes", numbered(append(times(13, 5039), 1)...), []int{13, 1}},
	{"longest", numbered(65507), []int{1}},
	{"longest ones", numbered(65507, 65507), []int{1, 1}},
}

// connections of all kinds, with the network and address of who receives.
var connections = []struct {
	name             string
	network, address string
	wrap             bool
	receiver, at     string
	to               netip.Addr
	six              bool // it can send to addresses of IPv6
}{
	{"IPv4", "udp4", "127.0.0.1:0", false, "udp4", "127.0.0.1:0", loopback4, false},
	{"IPv4 mapped", "udp4", "127.0.0.1:0", false, "udp4", "127.0.0.1:0", netip.AddrFrom16(loopback4.As16()), false},
	{"IPv6", "udp6", "[::1]:0", false, "udp6", "[::1]:0", loopback6, true},
	{"both, to IPv4", "udp", ":0", false, "udp4", "127.0.0.1:0", loopback4, true},
	{"both, to IPv6", "udp", ":0", false, "udp6", "[::1]:0", loopback6, true},
	{"wrapped IPv4", "udp4", "127.0.0.1:0", true, "udp4", "127.0.0.1:0", loopback4, false},
	{"wrapped both", "udp", ":0", true, "udp6", "[::1]:0", loopback6, true},
}

// receive reads what was sent, in order.
func receive(t *testing.T, c *Conn, want [][]byte, from netip.AddrPort) {
	t.Helper()
	b := make([]byte, 64<<10)
	for i, d := range want {
		n, a, err := c.ReadFrom(b)
		require.NoError(t, err, "datagram %d", i)
		require.True(t, bytes.Equal(d, b[:n]), "datagram %d has %d bytes, not %d: % x", i, n, len(d), b[:min(n, 4)])
		require.Equal(t, from.Port(), a.Port())
		require.False(t, a.Addr().Is4In6())
	}
}

func TestSend(t *testing.T) {
	for _, k := range connections {
		t.Run(k.name, func(t *testing.T) {
			from := listen(t, k.network, k.address, k.wrap)
			to := listen(t, k.receiver, k.at, false)
			other := listen(t, k.receiver, k.at, true)
			if to.SetReadBuffer(2<<20) < 1<<20 || other.SetReadBuffer(2<<20) < 1<<20 {
				t.Skip("the system keeps too few bytes")
			}
			var b Burst
			for _, c := range burstCases {
				b.Reset()
				size := 0
				for _, d := range c.each {
					b.Add(d)
					size += len(d)
				}
				require.Equal(t, len(c.each), b.Len())
				require.Equal(t, size, b.Bytes())
				for _, r := range []*Conn{to, other, to} {
					n, err := from.Send(&b, at(r, k.to))
					require.NoError(t, err, c.name)
					require.Equal(t, size, n, c.name)
					receive(t, r, c.each, from.LocalAddr())
				}
			}
			require.Zero(t, from.Dropped())
		})
	}
}

// TestSendGrowing: datagrams may be added after a Send.
func TestSendGrowing(t *testing.T) {
	from, to := listen(t, "udp4", "127.0.0.1:0", false), listen(t, "udp4", "127.0.0.1:0", false)
	each := numbered(times(70, 100)...)
	var b Burst
	for i, d := range each {
		b.Add(d)
		n, err := from.Send(&b, to.LocalAddr())
		require.NoError(t, err)
		require.Equal(t, b.Bytes(), n)
		receive(t, to, each[:i+1], from.LocalAddr())
	}
}

func TestSendErrors(t *testing.T) {
	for _, k := range connections {
		t.Run(k.name, func(t *testing.T) {
			from, to := listen(t, k.network, k.address, k.wrap), listen(t, k.receiver, k.at, false)
			var b Burst
			b.Add([]byte("abc"))
			for _, a := range []netip.AddrPort{{}, netip.AddrPortFrom(k.to, 0)} {
				n, err := from.Send(&b, a)
				require.Zero(t, n)
				require.ErrorIs(t, err, ErrAddress)
			}
			if !k.six {
				_, err := from.Send(&b, netip.MustParseAddrPort("[::1]:9"))
				require.ErrorIs(t, err, ErrAddress)
			} else if !k.wrap {
				_, err := from.Send(&b, netip.MustParseAddrPort("[fe80::1%no-such-interface]:9"))
				require.ErrorIs(t, err, ErrAddress)
			}
			require.Zero(t, from.Dropped())

			// What is too long is lost, and nothing else.
			b.Add(make([]byte, 70_000))
			b.Add([]byte("def"))
			n, err := from.Send(&b, at(to, k.to))
			require.NoError(t, err)
			require.Equal(t, 6, n)
			receive(t, to, [][]byte{[]byte("abc"), []byte("def")}, from.LocalAddr())
			require.EqualValues(t, 1, from.Dropped())

			require.NoError(t, from.Close())
			_, err = from.Send(&b, at(to, k.to))
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, from.Close(), net.ErrClosed)
		})
	}
}

// A full PacketConn takes a few datagrams and then none.
type full struct {
	net.PacketConn
	left int
}

func (f *full) WriteTo(b []byte, _ net.Addr) (int, error) {
	if f.left--; f.left < 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return len(b), nil
}

func TestSendFull(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	c := NewConn(&full{PacketConn: pc, left: 2})
	defer c.Close()
	var b Burst
	for range 5 {
		b.Add([]byte("abc"))
	}
	n, err := c.Send(&b, c.LocalAddr())
	require.NoError(t, err)
	require.Equal(t, 6, n)
	require.EqualValues(t, 3, c.Dropped())
}

// strange is an address that is not of UDP.
type strange string

func (s strange) Network() string { return "strange" }
func (s strange) String() string  { return string(s) }

type elsewhere struct {
	net.PacketConn
	from net.Addr
}

func (e elsewhere) ReadFrom(b []byte) (int, net.Addr, error) { return copy(b, "abc"), e.from, nil }
func (e elsewhere) LocalAddr() net.Addr                      { return e.from }

func TestReadFromStrangers(t *testing.T) {
	for a, want := range map[net.Addr]string{
		strange("10.0.0.1:7"):                             "10.0.0.1:7",
		strange("[::ffff:10.0.0.1]:7"):                    "10.0.0.1:7",
		strange("nobody"):                                 "",
		&net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7}:  "10.0.0.1:7",
		&net.UDPAddr{IP: net.ParseIP("fd00::1"), Port: 7}: "[fd00::1]:7",
		nil: "",
	} {
		c := NewConn(elsewhere{from: a})
		n, from, err := c.ReadFrom(make([]byte, 10))
		if want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.Equal(t, want, from.String())
		require.Equal(t, want, c.LocalAddr().String())
	}
}

func TestWriteTo(t *testing.T) {
	for _, k := range connections {
		t.Run(k.name, func(t *testing.T) {
			from, to := listen(t, k.network, k.address, k.wrap), listen(t, k.receiver, k.at, false)
			n, err := from.WriteTo([]byte("abc"), at(to, k.to))
			require.NoError(t, err)
			require.Equal(t, 3, n)
			receive(t, to, [][]byte{[]byte("abc")}, from.LocalAddr())
		})
	}
}

func TestReadBuffer(t *testing.T) {
	c := listen(t, "udp4", "127.0.0.1:0", false)
	got := c.SetReadBuffer(100 << 10)
	require.GreaterOrEqual(t, got, 32<<10)
	require.Equal(t, got, c.ReadBuffer())
	require.Positive(t, c.SetReadBuffer(1<<30), "what is too much gives nothing")
	w := listen(t, "udp4", "127.0.0.1:0", true)
	require.Zero(t, w.SetReadBuffer(100<<10))
}

// TestAllocations: none for another receiver, and for receiving.
func TestAllocations(t *testing.T) {
	for _, k := range connections {
		if k.wrap {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			from, to := listen(t, k.network, k.address, k.wrap), listen(t, k.receiver, k.at, false)
			a := at(to, k.to)
			var b Burst
			each := numbered(1400, 1400, 300, 160)
			buf := make([]byte, 2048)
			fill := func() {
				b.Reset()
				for _, d := range each {
					b.Add(d)
				}
			}
			require.Zero(t, testing.AllocsPerRun(100, func() {
				fill()
				for range 3 {
					if _, err := from.Send(&b, a); err != nil {
						t.Fatal(err)
					}
					for range each {
						if _, _, err := to.ReadFrom(buf); err != nil {
							t.Fatal(err)
						}
					}
				}
			}))
		})
	}
}

func TestCloseEndsReading(t *testing.T) {
	c := listen(t, "udp4", "127.0.0.1:0", false)
	done := make(chan error)
	go func() {
		_, _, err := c.ReadFrom(make([]byte, 10))
		done <- err
	}()
	require.NoError(t, c.Close())
	require.True(t, errors.Is(<-done, net.ErrClosed))
}

// FuzzBurst: any sizes arrive as they were added.
func FuzzBurst(f *testing.F) {
	for _, c := range burstCases {
		var sizes strings.Builder
		for _, d := range c.each[:min(len(c.each), 100)] {
			sizes.WriteByte(byte(len(d)))
		}
		f.Add(sizes.String())
	}
	from, to := listen(f, "udp4", "127.0.0.1:0", false), listen(f, "udp4", "127.0.0.1:0", false)
	var b Burst
	f.Fuzz(func(t *testing.T, sizes string) {
		var lengths []int
		for _, n := range []byte(sizes[:min(len(sizes), 150)]) {
			lengths = append(lengths, int(n))
		}
		b.Reset()
		each := numbered(lengths...)
		for _, d := range each {
			b.Add(d)
		}
		require.NoError(t, to.SetReadDeadline(time.Now().Add(20*time.Second)))
		n, err := from.Send(&b, to.LocalAddr())
		require.NoError(t, err)
		require.Equal(t, b.Bytes(), n)
		receive(t, to, each, from.LocalAddr())
	})
}
