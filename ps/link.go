package ps

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// An origin is whom packets come from, to be compared.
type origin struct {
	conn *tcpConn       // nil: datagrams
	port *udp.Conn      // that datagrams come to
	addr netip.AddrPort // of the sender of datagrams
}

// link returns a new session's link. Reports go out of the port rtcp, or that of
// the packets if it is nil.
func (o origin) link(rtcp *udp.Conn) link {
	if o.conn != nil {
		o.conn.link.use()
		return o.conn.link
	}
	return &udpLink{rtp: o.port, rtcp: rtcp, peer: o.addr}
}

// A udpLink sends from the port that a session's datagrams come to.
type udpLink struct {
	rtp, rtcp *udp.Conn // rtcp is nil for the shared port

	mu        sync.Mutex // guards what follows
	peer      netip.AddrPort
	reporting netip.AddrPort // where the peer's reports come from, once there was one
	burst     udp.Burst
}

func (l *udpLink) protocol() string { return "udp" }
func (l *udpLink) local() net.Addr  { return net.UDPAddrFromAddrPort(l.rtp.LocalAddr()) }
func (l *udpLink) close()           {}

func (l *udpLink) remote() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return net.UDPAddrFromAddrPort(l.peer)
}

// move makes another address the peer's.
func (l *udpLink) move(peer netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peer, l.reporting = peer, netip.AddrPort{}
}

// reports tells where a report came from, and reports whether that may be the peer:
// the port of its packets, the one behind that (RFC 3550, 11), or else the first one
// that reports came from.
func (l *udpLink) reports(from netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	usual := from.Port() == l.peer.Port() || from.Port() == l.peer.Port()+1
	if from.Addr() != l.peer.Addr() || !usual && l.reporting.IsValid() && l.reporting != from {
		return false
	}
	l.reporting = from
	return true
}

func (l *udpLink) send(packets [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.burst.Reset()
	for _, p := range packets {
		l.burst.Add(p)
	}
	_, err := l.rtp.Send(&l.burst, l.peer)
	return err
}

// report sends to where reports come from, or else to the port behind that of the
// packets (RFC 3550, 11).
func (l *udpLink) report(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.reporting
	if !to.IsValid() {
		to = netip.AddrPortFrom(l.peer.Addr(), l.peer.Port()+1)
	}
	from := l.rtcp
	if from == nil {
		from = l.rtp
	}
	defer l.burst.Reset()
	l.burst.Add(b)
	_, err := from.Send(&l.burst, to)
	return err
}

// Bounds of a tcpLink.
const (
	maxUnsent    = 1 << 20 // bytes that wait to be sent
	writeTimeout = 10 * time.Second
)

// A tcpLink sends on the connection that a session's packets come on. What the
// peer does not take waits, up to maxUnsent bytes; beyond that, or after
// writeTimeout, nothing more is sent. Receiving goes on.
type tcpLink struct {
	nc   net.Conn
	goes func(func()) // starts a goroutine that somebody waits for

	mu      sync.Mutex // guards what follows
	users   int        // sessions; the last one closes the connection
	form    framing.Form
	channel uint8
	unsent  []byte
	spare   []byte // memory of what was sent
	writing bool
	err     error // why nothing more is sent
}

func (l *tcpLink) protocol() string { return "tcp" }
func (l *tcpLink) remote() net.Addr { return l.nc.RemoteAddr() }
func (l *tcpLink) local() net.Addr  { return l.nc.LocalAddr() }

// use counts a session, which will close l.
func (l *tcpLink) use() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users++
}

func (l *tcpLink) close() {
	l.mu.Lock()
	l.users--
	last := l.users == 0
	l.mu.Unlock()
	if last {
		l.hangUp()
	}
}

// hangUp closes the connection.
func (l *tcpLink) hangUp() {
	l.fail(net.ErrClosed)
	_ = l.nc.Close()
}

// frame says how the peer frames.
func (l *tcpLink) frame(form framing.Form, channel uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.form, l.channel = form, channel
}

func (l *tcpLink) send(packets [][]byte) error { return l.write(packets, 0) }
func (l *tcpLink) report(b []byte) error       { return l.write([][]byte{b}, 1) }

// write sends packets on the peer's channel or the one behind it.
func (l *tcpLink) write(packets [][]byte, channel uint8) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	for _, p := range packets {
		if len(p) > framing.MaxPacket {
			return fmt.Errorf("ps: packet of %d bytes", len(p))
		}
		l.unsent = l.form.Append(l.unsent, l.channel+channel, p)
	}
	if len(l.unsent) > maxUnsent {
		l.unsent, l.err = nil, fmt.Errorf("ps: %w: the peer does not read", source.ErrStalled)
		return l.err
	}
	if !l.writing && len(l.unsent) > 0 {
		l.writing = true
		l.goes(l.drain)
	}
	return nil
}

// drain writes until nothing is left.
func (l *tcpLink) drain() {
	for {
		b := l.next()
		if b == nil {
			return
		}
		_ = l.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := l.nc.Write(b); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = source.ErrStalled
			}
			l.fail(fmt.Errorf("ps: %w", err))
		}
		l.spent(b)
	}
}

// next returns what is to be written; nil for nothing.
func (l *tcpLink) next() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unsent) == 0 || l.err != nil {
		l.writing = false
		return nil
	}
	b := l.unsent
	l.unsent, l.spare = l.spare, nil
	return b
}

// spent gives memory back.
func (l *tcpLink) spent(b []byte) {
	const kept = 64 << 10
	if cap(b) <= kept {
		l.mu.Lock()
		l.spare = b[:0]
		l.mu.Unlock()
	}
}

func (l *tcpLink) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.unsent, l.err = nil, err
	}
}
