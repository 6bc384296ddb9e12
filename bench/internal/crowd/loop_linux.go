package crowd

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
)

// A viewer is one connection.
type viewer struct {
	fd    int
	bytes atomic.Uint64 // that came since it was handed to its loop
	gone  atomic.Bool   // the server closed the connection
	probe *probe        // nil for those who only count
}

// A loop reads the connections of its viewers until it is closed.
type loop struct {
	epoll int
	buf   []byte
	flags int // of recv
	done  sync.WaitGroup
	stop  atomic.Bool

	mu      sync.Mutex // guards viewers and what their probes hold
	viewers []*viewer
}

// epollET is syscall.EPOLLET, which is negative where the field is unsigned.
const epollET = 1 << 31

// newLoop starts a loop. One that discards leaves the bytes in the kernel.
func newLoop(discard bool) (*loop, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("crowd: epoll: %w", err)
	}
	l := &loop{epoll: fd, buf: make([]byte, 256<<10), flags: syscall.MSG_DONTWAIT}
	if discard {
		l.flags |= syscall.MSG_TRUNC
		l.buf = make([]byte, 4<<20) // never touched
	}
	l.done.Go(l.run)
	return l, nil
}

// add hands v to the loop.
func (l *loop) add(v *viewer) error {
	l.mu.Lock()
	i := len(l.viewers)
	l.viewers = append(l.viewers, v)
	l.mu.Unlock()
	e := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | epollET, Fd: int32(i)}
	if err := syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, v.fd, &e); err != nil {
		return fmt.Errorf("crowd: epoll: %w", err)
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
			l.read(l.viewers[e.Fd], e.Events&(syscall.EPOLLRDHUP|syscall.EPOLLHUP) != 0)
		}
		l.mu.Unlock()
	}
}

// read takes what has come for v; with ended, to the end of the connection.
func (l *loop) read(v *viewer, ended bool) {
	for {
		n, _, err := syscall.Recvfrom(v.fd, l.buf, l.flags)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return
		case err != nil || n <= 0:
			v.gone.Store(true)
			return
		}
		v.bytes.Add(uint64(n))
		if v.probe != nil {
			if err := v.probe.scanner.Scan(l.buf[:n]); err != nil {
				v.gone.Store(true)
				return
			}
		}
		if n < len(l.buf) && !ended {
			return // edge triggered: what comes from now on is a new event
		}
	}
}

// close ends the loop and closes its connections.
func (l *loop) close() {
	l.stop.Store(true)
	l.done.Wait()
	for _, v := range l.viewers {
		syscall.Close(v.fd)
	}
	syscall.Close(l.epoll)
}
