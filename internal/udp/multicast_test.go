package udp

import (
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func TestInterfaceOf(t *testing.T) {
	for _, ip := range []netip.Addr{loopback4, netip.AddrFrom16(loopback4.As16())} {
		ifi, err := InterfaceOf(ip)
		require.NoError(t, err)
		require.NotZero(t, ifi.Flags&net.FlagLoopback)
	}
	_, err := InterfaceOf(netip.MustParseAddr("192.0.2.255"))
	require.Error(t, err)
	_, err = InterfaceOf(netip.Addr{})
	require.Error(t, err)
}

func TestSetMulticast(t *testing.T) {
	lo, err := InterfaceOf(loopback4)
	require.NoError(t, err)
	c := listen(t, "udp4", "127.0.0.1:0", false)
	p := ipv4.NewPacketConn(c.udp)
	for _, m := range []Multicast{{Interface: lo, TTL: 16}, {Loopback: true}, {Interface: lo, TTL: 255, Loopback: true}} {
		require.NoError(t, c.SetMulticast(m))
		ttl, err := p.MulticastTTL()
		require.NoError(t, err)
		require.Equal(t, max(m.TTL, 1), ttl)
		loop, err := p.MulticastLoopback()
		require.NoError(t, err)
		require.Equal(t, m.Loopback, loop)
		if m.Interface != nil {
			ifi, err := p.MulticastInterface()
			if err == nil && ifi != nil { // not every system tells
				require.Equal(t, m.Interface.Index, ifi.Index)
			}
		}
	}
	require.Error(t, c.SetMulticast(Multicast{TTL: 1000}))
	require.NoError(t, listen(t, "udp4", "127.0.0.1:0", true).SetMulticast(Multicast{TTL: 1000}))

	c = listen(t, "udp6", "[::1]:0", false)
	require.NoError(t, c.SetMulticast(Multicast{Interface: lo, TTL: 16, Loopback: true}))
	hops, err := ipv6.NewPacketConn(c.udp).MulticastHopLimit()
	require.NoError(t, err)
	require.Equal(t, 16, hops)
}

// TestMulticast: over the loopback interface, where the system has groups there.
func TestMulticast(t *testing.T) {
	lo, err := InterfaceOf(loopback4)
	require.NoError(t, err)
	for _, k := range []struct {
		network, address string
		group            string
		from             netip.Addr
	}{
		{"udp4", "127.0.0.1:0", "239.255.77.1", loopback4},
		{"udp6", "[::1]:0", "ff01::77", loopback6},
	} {
		for _, source := range []netip.Addr{{}, k.from} {
			t.Run(k.network+" "+source.String(), func(t *testing.T) {
				from := listen(t, k.network, k.address, false)
				port := listen(t, k.network, k.address, false).LocalAddr().Port() // one that is free elsewhere
				group := netip.AddrPortFrom(netip.MustParseAddr(k.group), port+1)
				var members []*Conn
				for range 2 {
					m, err := ListenMulticast(group, source, lo)
					if err != nil {
						t.Skipf("no groups on %s: %v", lo.Name, err)
					}
					defer m.Close()
					require.NoError(t, m.SetReadDeadline(time.Now().Add(5*time.Second)))
					members = append(members, m)
				}
				require.NoError(t, from.SetMulticast(Multicast{Interface: lo, TTL: 1, Loopback: true}))
				each := numbered(1200, 1200, 7, 100)
				var b Burst
				for _, d := range each {
					b.Add(d)
				}
				n, err := from.Send(&b, group)
				require.NoError(t, err)
				if n == 0 {
					t.Skipf("no way to groups on %s", lo.Name)
				}
				require.Equal(t, b.Bytes(), n)
				for _, m := range members {
					receive(t, m, each, from.LocalAddr())
				}
			})
		}
	}
}

func TestListenMulticastErrors(t *testing.T) {
	_, err := ListenMulticast(netip.MustParseAddrPort("127.0.0.1:7000"), netip.Addr{}, nil)
	require.Error(t, err)
	_, err = ListenMulticast(netip.AddrPort{}, netip.Addr{}, nil)
	require.Error(t, err)
}

// TestSharedPort: a receiver of a group can have the port that is sent from, on
// the same host; nobody else can.
func TestSharedPort(t *testing.T) {
	c := listen(t, "udp4", "127.0.0.1:0", false)
	port := strconv.Itoa(int(c.LocalAddr().Port()))
	_, err := net.ListenPacket("udp4", "239.255.77.1:"+port)
	require.Error(t, err)
	require.NoError(t, c.SetMulticast(Multicast{}))
	if runtime.GOOS == "windows" {
		t.Skip("sharing is more than that here")
	}
	receiver, err := net.ListenPacket("udp4", "239.255.77.1:"+port)
	require.NoError(t, err)
	require.NoError(t, receiver.Close())
	_, err = net.ListenPacket("udp4", "127.0.0.1:"+port)
	require.Error(t, err)
}
