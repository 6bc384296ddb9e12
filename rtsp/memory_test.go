package rtsp

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

// A addressedListener accepts connections in memory that have addresses of TCP,
// as UDP needs them.
type addressedListener struct{ *memnet.Listener }

// An addressed is such a connection.
type addressed struct{ *memnet.Conn }

func (l addressedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressed{c.(*memnet.Conn)}, nil
}

func (addressed) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 554} }
func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 4321} }

// A memoryPort is a UDP port in memory.
type memoryPort struct {
	addr *net.UDPAddr
	in   chan datagram
	mu   sync.Mutex // guards what follows
	sent []datagram
	done chan struct{}
	once sync.Once
}

// A datagram is one that was sent, or is received, with the other's address.
type datagram struct {
	addr net.Addr
	b    []byte
}

func (p *memoryPort) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-p.in:
		return copy(b, d.b), d.addr, nil
	case <-p.done:
		return 0, nil, net.ErrClosed
	}
}

func (p *memoryPort) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, datagram{to, append([]byte(nil), b...)})
	return len(b), nil
}

func (p *memoryPort) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *memoryPort) LocalAddr() net.Addr              { return p.addr }
func (p *memoryPort) SetDeadline(time.Time) error      { return nil }
func (p *memoryPort) SetReadDeadline(time.Time) error  { return nil }
func (p *memoryPort) SetWriteDeadline(time.Time) error { return nil }

// receive lets the port receive a datagram.
func (p *memoryPort) receive(from string, b []byte) {
	p.in <- datagram{net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), b}
}

// to returns what was sent to an address.
func (p *memoryPort) to(addr string) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all [][]byte
	for _, d := range p.sent {
		if d.addr.String() == addr {
			all = append(all, d.b)
		}
	}
	return all
}

// memoryPorts are ports in memory, by their number.
type memoryPorts struct {
	mu    sync.Mutex
	ports map[uint16]*memoryPort // that were opened and not taken out
	used  map[uint16]bool        // by somebody else
}

func (m *memoryPorts) listen(_, address string) (net.PacketConn, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used[a.Port()] {
		return nil, os.ErrExist
	}
	if m.ports == nil {
		m.ports = map[uint16]*memoryPort{}
	}
	p := &memoryPort{addr: net.UDPAddrFromAddrPort(a), in: make(chan datagram), done: make(chan struct{})}
	m.ports[a.Port()] = p
	return p, nil
}

func (m *memoryPorts) port(n uint16) *memoryPort {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ports[n]
}

// open returns how many ports are open.
func (m *memoryPorts) open() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, p := range m.ports {
		select {
		case <-p.done:
		default:
			n++
		}
	}
	return n
}

// inMemory runs f in a bubble of virtual time, with a server of s on connections
// in memory.
func inMemory(t *testing.T, s *Server, f func(t *testing.T, ln *memnet.Listener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(0)
		serve(t, s, addressedListener{ln})
		f(t, ln)
	})
}

// dialMemory connects to a server in memory.
func dialMemory(t *testing.T, ln *memnet.Listener) net.Conn {
	t.Helper()
	nc, err := ln.Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// memoryPeer is a peer of a server in memory, without a limit of time.
func memoryPeer(t *testing.T, ln *memnet.Listener) *testPeer {
	t.Helper()
	p := newTestPeer(t, dialMemory(t, ln))
	_ = p.nc.SetReadDeadline(time.Time{})
	return p
}
