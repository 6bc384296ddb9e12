package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A quiet is a socket that Go's poller knows nothing of. That one asks to be told
// when a socket can be written again, which the kernel then does for each datagram
// that has left: with a thousand receivers that took half as long as sending.
type quiet struct {
	addr     netip.AddrPort
	watchers *watchers

	mu sync.RWMutex // held for writing by who closes fd
	fd int          // -1: closed
	id int32        // of who watches it
	fn func(b []byte, from netip.AddrPort)
}

// openQuiet opens a port. One that is not of a plain address is an ordinary port.
func (p *Ports) openQuiet(a netip.AddrPort) (*Conn, error) {
	ip := a.Addr()
	if p.Listen != nil || !ip.IsValid() || ip.IsUnspecified() || ip.Zone() != "" {
		return p.open(a)
	}
	var at unix.Sockaddr
	domain := unix.AF_INET6
	if ip.Is4() {
		domain, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	} else {
		at = &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("udp: %w", os.NewSyscallError("socket", err))
	}
	if err := unix.Bind(fd, at); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("udp: %w", os.NewSyscallError("bind", err))
	}
	c := &Conn{quiet: &quiet{addr: a, watchers: &p.watchers, fd: fd}}
	c.speedUp()
	return c, nil
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

func (q *quiet) setWriteBuffer(size int) {
	_ = q.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, size) })
}

func (q *quiet) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fn != nil {
		q.watchers.remove(q.id)
		q.fn = nil
	}
	err := unix.Close(q.fd)
	q.fd = -1
	return err
}

// watch has fn called with each datagram that comes.
func (q *quiet) watch(fn func(b []byte, from netip.AddrPort)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fd < 0 {
		return net.ErrClosed
	}
	id, err := q.watchers.add(q)
	if err == nil {
		q.id, q.fn = id, fn
	}
	return err
}

// receive reads a datagram. fn is nil if there is none.
func (q *quiet) receive(b []byte) (n int, from netip.AddrPort, fn func([]byte, netip.AddrPort)) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.fd < 0 || q.fn == nil {
		return 0, from, nil
	}
	const tolerated = 16 // errors that are about datagrams sent
	for range tolerated {
		n, a, err := unix.Recvfrom(q.fd, b, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			break
		}
		switch a := a.(type) {
		case *unix.SockaddrInet4:
			return n, netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), q.fn
		case *unix.SockaddrInet6:
			return n, netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)), q.fn
		}
	}
	return 0, from, nil
}

// watchers is one goroutine that listens to any number of sockets, and ends with
// the last of them. The zero value is ready.
type watchers struct {
	mu    sync.Mutex // guards what follows
	epoll *os.File   // nil: nobody is watched
	socks map[int32]*quiet
	last  int32 // id
}

// add makes q be watched. It asks for nothing but what can be read.
func (w *watchers) add(q *quiet) (id int32, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epoll == nil {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err == nil {
			err = unix.SetNonblock(fd, true) // so that Go's poller takes it
		}
		if err != nil {
			return 0, fmt.Errorf("udp: %w", os.NewSyscallError("epoll_create1", err))
		}
		w.epoll, w.socks = os.NewFile(uintptr(fd), "epoll"), map[int32]*quiet{}
		go w.run(w.epoll)
	}
	for w.last++; w.socks[w.last] != nil; w.last++ {
	}
	raw, err := w.epoll.SyscallConn()
	if err != nil {
		return 0, err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: w.last}
	var errAdd error
	if err = raw.Control(func(fd uintptr) { errAdd = unix.EpollCtl(int(fd), unix.EPOLL_CTL_ADD, q.fd, &event) }); err == nil {
		err = errAdd
	}
	if err != nil {
		return 0, fmt.Errorf("udp: %w", os.NewSyscallError("epoll_ctl", err))
	}
	w.socks[w.last] = q
	return w.last, nil
}

// remove forgets the socket that is about to be closed, which takes it out of
// epoll.
func (w *watchers) remove(id int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.socks, id)
	if len(w.socks) == 0 {
		_ = w.epoll.Close() // run ends
		w.epoll = nil
	}
}

func (w *watchers) get(id int32) *quiet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.socks[id]
}

// atOnce is how many datagrams of a socket are taken in before others have
// their turn.
const atOnce = 16

// run reads from sockets that have something until epoll is closed.
func (w *watchers) run(epoll *os.File) {
	raw, err := epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	b := make([]byte, maxWatched)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			q := w.get(e.Fd)
			for range atOnce {
				if q == nil {
					break
				}
				n, from, fn := q.receive(b)
				if fn == nil {
					break
				}
				fn(b[:n], from)
			}
		}
	}
}
