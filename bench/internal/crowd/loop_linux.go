package crowd

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
)

// A viewer has one connection, and the sockets for its datagrams.
type viewer struct {
	sockets []*socket
	bytes   atomic.Uint64 // of the stream that came since it was handed to its loop
	gone    atomic.Bool   // the server closed the connection, or sent nonsense
	probe   *probe        // nil for those who only count
}

// close closes the sockets.
func (v *viewer) close() {
	for _, s := range v.sockets {
		syscall.Close(s.fd)
	}
}

// A socket is a connection that brings the stream, one beside which it comes, or
// one for datagrams, RTP or RTCP.
type socket struct {
	fd       int
	viewer   *viewer
	stream   bool               // a connection, and it brings the stream
	idle     bool               // is never read
	arrivals *arrivals          // of RTP; nil for a connection
	scan     func([]byte) error // takes what comes for a probe
}

// A loop reads the sockets of its viewers until it is closed.
type loop struct {
	epoll    int
	buf      []byte
	receiver *receiver
	flags    int // of recv
	done     sync.WaitGroup
	stop     atomic.Bool

	mu      sync.Mutex // guards viewers, sockets and what the probes and the arrivals hold
	viewers []*viewer
	sockets []*socket
}

// epollET is syscall.EPOLLET, which is negative where the field is unsigned.
const epollET = 1 << 31

// newLoop starts a loop. One that discards leaves the bytes in the kernel.
func newLoop(discard bool) (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("crowd: epoll: %w", err)
	}
	l := &loop{epoll: fd, flags: syscall.MSG_DONTWAIT}
	if discard {
		l.flags |= syscall.MSG_TRUNC
		l.buf = make([]byte, 4<<20) // never touched
		l.receiver = newReceiver(4) // up to the sequence number
	} else {
		l.buf = make([]byte, 256<<10)
		l.receiver = newReceiver(2048)
	}
	l.done.Go(l.run)
	return l, nil
}

// add hands v to the loop.
func (l *loop) add(v *viewer) error {
	l.mu.Lock()
	first := len(l.sockets)
	l.viewers = append(l.viewers, v)
	l.sockets = append(l.sockets, v.sockets...)
	l.mu.Unlock()
	for i, s := range v.sockets {
		if s.idle {
			continue
		}
		e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | epollET, Fd: int32(first + i)}
		if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, s.fd, &e); err != nil {
			return fmt.Errorf("crowd: epoll: %w", err)
		}
	}
	return nil
}

// run reads until close.
func (l *loop) run() {
	events := make([]syscall.EpollEvent, 1024)
	for !l.stop.Load() {
		n, err := syscall.EpollWait(l.epoll, events, 100)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
		l.mu.Lock()
		for _, e := range events[:max(n, 0)] {
			s := l.sockets[e.Fd]
			more := l.read
			if s.arrivals != nil {
				more = l.readDatagrams
			}
			for more(s, e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP) != 0) {
			}
		}
		l.mu.Unlock()
	}
}

// read takes what has come by a connection, with ended to its end. It reports
// whether there may be more. What comes from now on is a new event: they are
// edge triggered.
func (l *loop) read(s *socket, ended bool) bool {
	n, _, err := syscall.Recvfrom(s.fd, l.buf, l.flags)
	switch {
	case errors.Is(err, syscall.EINTR):
		return true
	case errors.Is(err, syscall.EAGAIN):
		return false
	case err != nil || n <= 0:
		s.viewer.gone.Store(true)
		return false
	}
	if s.stream {
		s.viewer.bytes.Add(uint64(n))
	}
	return l.look(s, l.buf[:n]) && (n == len(l.buf) || ended)
}

// readDatagrams does the same for a socket with datagrams.
func (l *loop) readDatagrams(s *socket, _ bool) bool {
	n, err := l.receiver.read(s.fd, l.flags)
	if err != nil {
		return errors.Is(err, syscall.EINTR)
	}
	for i := range n {
		b, size := l.receiver.datagram(i)
		s.viewer.bytes.Add(uint64(size))
		if q, ok := sequence(b); ok {
			s.arrivals.add(q)
		}
		if !l.look(s, b) {
			return false
		}
	}
	return n == datagrams
}

// look lets a probe take b. It reports false if that is nonsense.
func (l *loop) look(s *socket, b []byte) bool {
	if s.viewer.probe == nil || s.scan == nil {
		return true
	}
	err := s.scan(b)
	if err != nil {
		s.viewer.gone.Store(true)
	}
	return err == nil
}

// missing returns how many datagrams have not come to the viewers so far.
func (l *loop) missing() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sockets {
		if s.arrivals != nil {
			n += s.arrivals.missing()
		}
	}
	return n
}

// close ends the loop and closes its sockets.
func (l *loop) close() {
	l.stop.Store(true)
	l.done.Wait()
	for _, v := range l.viewers {
		v.close()
	}
	syscall.Close(l.epoll)
}
