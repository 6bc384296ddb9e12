package udp

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// longestWait is how long sending a burst datagram by datagram may wait for the
// system: many do not say that they would.
const longestWait = 10 * time.Millisecond

// sendEach sends b datagram by datagram.
func (c *Conn) sendEach(b *Burst, to netip.AddrPort) (bytes int, err error) {
	write := func(d []byte) (int, error) { return c.udp.WriteToUDPAddrPort(d, to) }
	if c.udp == nil {
		addr := net.UDPAddrFromAddrPort(to)
		write = func(d []byte) (int, error) { return c.pc.WriteTo(d, addr) }
	}
	_ = c.pc.SetWriteDeadline(time.Now().Add(longestWait))
	defer func() { _ = c.pc.SetWriteDeadline(time.Time{}) }()
	for i, d := range b.datagrams {
		n, err := write(d)
		var t net.Error
		var a *net.AddrError
		switch {
		case err == nil:
			bytes += n
		case errors.Is(err, net.ErrClosed):
			return bytes, err
		case errors.As(err, &a):
			return bytes, errors.Join(ErrAddress, err)
		case errors.As(err, &t) && t.Timeout():
			c.dropped.Add(uint64(len(b.datagrams) - i))
			return bytes, nil
		default:
			c.dropped.Add(1)
		}
	}
	return bytes, nil
}
