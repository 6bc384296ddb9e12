package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A quiet is a socket that Go's poller knows nothing of. That one asks to be told
// when a socket can be written again, which the kernel then does for each datagram
// that has left: with a thousand receivers that took half as long as sending.
type quiet struct {
	addr     netip.AddrPort
	watchers *watchers

	mu      sync.RWMutex // held for writing by who closes fd
	fd      int          // -1: closed
	watcher *watcher     // nil: nobody
	id      int32        // which that one knows it by
	fn      func(b []byte, from netip.AddrPort)
	gone    atomic.Bool // closed
}

// openQuiet opens a port, which others may have as well that want to share it. One
// that is not of a plain address is an ordinary port.
func (p *Ports) openQuiet(a netip.AddrPort, reuse bool) (*Conn, error) {
	ip := a.Addr()
	if p.Listen != nil || ip.Zone() != "" {
		return p.open(a, reuse)
	}
	both := !ip.IsValid() || ip == netip.IPv6Unspecified() // of IPv4 as well
	if both {
		ip = netip.IPv6Unspecified()
	}
	fd, err := bindQuiet(netip.AddrPortFrom(ip, a.Port()), both, reuse)
	if both && err != nil && !InUse(err) { // no IPv6 here?
		ip = netip.IPv4Unspecified()
		fd, err = bindQuiet(netip.AddrPortFrom(ip, a.Port()), false, reuse)
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{quiet: &quiet{addr: netip.AddrPortFrom(ip, a.Port()), watchers: &p.watchers, fd: fd}}
	c.speedUp()
	return c, nil
}

// bindQuiet opens a socket; both says that one of IPv6 is of IPv4 as well.
func bindQuiet(a netip.AddrPort, both, reuse bool) (fd int, err error) {
	var at unix.Sockaddr
	domain := unix.AF_INET6
	if ip := a.Addr(); ip.Is4() {
		domain, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	} else {
		at = &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	}
	fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("udp: %w", os.NewSyscallError("socket", err))
	}
	if both {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if reuse {
		shareAlike(uintptr(fd))
	}
	if err := unix.Bind(fd, at); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("udp: %w", os.NewSyscallError("bind", err))
	}
	return fd, nil
}

// Control calls f with the socket, as a syscall.RawConn does.
func (q *quiet) Control(f func(fd uintptr)) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.fd < 0 {
		return net.ErrClosed
	}
	f(uintptr(q.fd))
	return nil
}

// Write is Control: f does not wait.
func (q *quiet) Write(f func(fd uintptr) bool) error {
	return q.Control(func(fd uintptr) { f(fd) })
}

// Read is not to be had.
func (q *quiet) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

func (q *quiet) setBuffer(option, size int) {
	_ = q.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, size) })
}

func (q *quiet) setReadBuffer(size int)  { q.setBuffer(unix.SO_RCVBUF, size) }
func (q *quiet) setWriteBuffer(size int) { q.setBuffer(unix.SO_SNDBUF, size) }

func (q *quiet) Close() error {
	q.gone.Store(true)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.watcher != nil {
		q.watcher.remove(q.id)
		q.watcher = nil
	}
	err := unix.Close(q.fd)
	q.fd = -1
	return err
}

// watch has fn called with each datagram that comes.
func (q *quiet) watch(fn func(b []byte, from netip.AddrPort)) error {
	joinSegments(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fd < 0 {
		return net.ErrClosed
	}
	q.fn = fn
	var err error
	q.watcher, q.id, err = q.watchers.add(q)
	return err
}

// receive hands over what has come and b has room for.
func (q *quiet) receive(b *Batch) {
	if !q.read(b) {
		return
	}
	for i := range b.Len() {
		if q.gone.Load() {
			return
		}
		q.fn(b.Datagram(i))
	}
}

// read reads what has come and b has room for. It reports false if that is
// nothing, or what became of a datagram that was sent.
func (q *quiet) read(b *Batch) bool {
	b.prepare()
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.fd < 0 {
		return false
	}
	b.clear()
	b.once(uintptr(q.fd))
	return b.unpack() == nil
}
