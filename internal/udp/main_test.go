package udp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
)

// wrapped is a net.PacketConn that is not the system's.
type wrapped struct{ net.PacketConn }

// listen opens a port until the test ends. Reading does not wait for ever.
func listen(t testing.TB, network, address string, wrap bool) *Conn {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil && network != "udp4" {
		t.Skipf("no IPv6 here: %v", err)
	}
	require.NoError(t, err)
	if wrap {
		pc = wrapped{pc}
	}
	c := NewConn(pc)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	return c
}

// at returns c's port at another address.
func at(c *Conn, ip netip.Addr) netip.AddrPort { return netip.AddrPortFrom(ip, c.LocalAddr().Port()) }
