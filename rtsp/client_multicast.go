package rtsp

import (
	"fmt"
	"net/netip"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// join joins the group to which the server sends a media.
func (c *Client) join(s *clientConn, m *clientMedia, got *transport) error {
	group, err := netip.ParseAddr(got.destination)
	if err != nil || !group.IsMulticast() || !got.groupPorts.ok {
		return fmt.Errorf("rtsp: %w: the server sends to %q, port %d", source.ErrUnsupported, got.destination, got.groupPorts.rtp)
	}
	ifi := c.Interface
	if ifi == nil {
		if ifi, err = udp.InterfaceOf(addrOf(s.nc.LocalAddr())); err != nil {
			return fmt.Errorf("rtsp: %w", err)
		}
	}
	from := addrOf(s.nc.RemoteAddr())
	m.server = append(m.server, from)
	if a, err := netip.ParseAddr(got.source); err == nil {
		from = a.Unmap()
		m.server = append(m.server, from)
	}
	if m.rtp, err = udp.ListenMulticast(netip.AddrPortFrom(group, got.groupPorts.rtp), from, ifi); err != nil {
		return fmt.Errorf("rtsp: %w", err)
	}
	if m.rtcp, err = udp.ListenMulticast(netip.AddrPortFrom(group, got.groupPorts.ctl), from, ifi); err != nil {
		_ = m.rtp.Close()
		m.rtp = nil
		return fmt.Errorf("rtsp: %w", err)
	}
	m.rtp.SetReadBuffer(readBuffer)
	return nil
}
