package udp

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// sockets are those of a pair of ports.
type sockets struct {
	rtp, rtcp *Conn // rtcp: nil if it was not to be had and need not
	ln        *listener
}

// options say what is bound.
type options struct {
	tcp    bool // listen to TCP on the first port
	reuse  bool // others may have the ports as well
	single bool // the second port may be missing
}

// An opener opens a port.
type opener func(a netip.AddrPort, reuse bool) (*Conn, error)

// bind opens port and the next one. Either all that is asked for is open then, or
// nothing.
func (p *Ports) bind(ip netip.Addr, port uint16, open opener, o options) (s sockets, err error) {
	defer func() {
		if err != nil {
			s.close()
			s = sockets{}
		}
	}()
	a := netip.AddrPortFrom(ip, port)
	if s.rtp, err = open(a, o.reuse); err != nil {
		return s, err
	}
	if next := port + 1; next > port {
		s.rtcp, err = open(netip.AddrPortFrom(ip, next), o.reuse)
	}
	if err != nil && !(o.single && InUse(err)) {
		return s, err
	}
	if o.tcp {
		ln, err := p.listen(a, o.reuse)
		if err != nil {
			return s, err
		}
		s.ln = &listener{Listener: ln}
	}
	s.rtp.setWriteBuffer(writeBuffer)
	return s, nil
}

// listener returns the listener, nil if there is none.
func (s *sockets) listener() net.Listener {
	if s.ln == nil {
		return nil
	}
	return s.ln
}

// len returns the number of sockets.
func (s *sockets) len() (n int) {
	for _, there := range []bool{s.rtp != nil, s.rtcp != nil, s.ln != nil} {
		if there {
			n++
		}
	}
	return n
}

// release has each socket call f when it is closed.
func (s *sockets) release(f func()) {
	s.rtp.release = f
	if s.rtcp != nil {
		s.rtcp.release = f
	}
	if s.ln != nil {
		s.ln.release = f
	}
}

// whole makes Watch hand over datagrams of any length.
func (s *sockets) whole() {
	for _, c := range []*Conn{s.rtp, s.rtcp} {
		if c != nil {
			c.whole = true
		}
	}
}

func (s *sockets) close() {
	for _, c := range []*Conn{s.rtp, s.rtcp} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// A listener is that of a port that is given back when it is closed.
type listener struct {
	net.Listener
	closed  sync.Once
	release func() // nil: it belongs to nobody
}

func (l *listener) Close() error {
	err := net.ErrClosed
	l.closed.Do(func() {
		err = l.Listener.Close()
		if l.release != nil {
			l.release()
		}
	})
	return err
}

// open opens a port of UDP.
func (p *Ports) open(a netip.AddrPort, reuse bool) (*Conn, error) {
	listen := p.Listen
	if listen == nil {
		listen = func(network, address string) (net.PacketConn, error) {
			return listenConfig(reuse).ListenPacket(context.Background(), network, address)
		}
	}
	pc, err := listen(networkOf("udp", a))
	if err != nil {
		return nil, err
	}
	return NewConn(pc), nil
}

// listen opens a port of TCP.
func (p *Ports) listen(a netip.AddrPort, reuse bool) (net.Listener, error) {
	listen := p.ListenTCP
	if listen == nil {
		listen = func(network, address string) (net.Listener, error) {
			return listenConfig(reuse).Listen(context.Background(), network, address)
		}
	}
	return listen(networkOf("tcp", a))
}

// networkOf returns what the net package calls a port of a kind, udp or tcp.
func networkOf(kind string, a netip.AddrPort) (network, address string) {
	network = kind
	host, ip := "", a.Addr()
	if ip.IsValid() {
		host = ip.String()
	}
	switch {
	case ip.Is4():
		network += "4"
	case ip.Is6() && !ip.IsUnspecified():
		network += "6"
	}
	return network, net.JoinHostPort(host, strconv.Itoa(int(a.Port())))
}

// listenConfig returns how ports are opened that others may have as well if reuse
// is set.
func listenConfig(reuse bool) *net.ListenConfig {
	if !reuse {
		return new(net.ListenConfig)
	}
	return &net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return raw.Control(shareAlike) }}
}
