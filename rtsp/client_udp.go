package rtsp

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/mediakit-go/mediakit/source"
)

// Sizes for what comes by datagrams, in bytes.
const (
	slabSize    = 64 << 10 // memory taken at once
	maxDatagram = 16 << 10 // longest that is expected: jumbo frames have 9000
	smallBuffer = 2 << 10  // for reports
)

// readBuffer is what we ask the system to keep of what has not been read, in
// bytes: some key frames.
const readBuffer = 2 << 20

// listenPair opens the sockets of m.
func (c *Client) listenPair(s *clientConn, m *clientMedia) error {
	local := addrOf(s.nc.LocalAddr())
	if !local.IsValid() {
		return fmt.Errorf("%w: %w beside %T", errNoUDP, source.ErrUnsupported, s.nc)
	}
	c.once.Do(func() {
		c.ports.Min, c.ports.Max, c.ports.Listen = c.UDPPorts[0], c.UDPPorts[1], c.ListenPacket
	})
	rtp, rtcp, err := c.ports.Pair(local)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoUDP, err)
	}
	rtp.SetReadBuffer(readBuffer)
	m.rtp, m.rtcp = rtp, rtcp
	return nil
}

// addrOf returns the address of a without its port; an invalid one if it has
// none.
func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}
