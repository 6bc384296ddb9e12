package udp

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// maxWatchers is how many goroutines listen at most.
const maxWatchers = 16

// watchers listen to any number of sockets, with as many goroutines as there are
// processors. The zero value is ready.
type watchers struct {
	mu  sync.Mutex
	all []*watcher // made once
}

// add has a watcher listen to q: the same one for both ports of a pair.
func (w *watchers) add(q *quiet) (*watcher, int32, error) {
	w.mu.Lock()
	if w.all == nil {
		w.all = make([]*watcher, min(runtime.GOMAXPROCS(0), maxWatchers))
		for i := range w.all {
			w.all[i] = new(watcher)
		}
	}
	one := w.all[int(q.addr.Port()/2)%len(w.all)]
	w.mu.Unlock()
	id, err := one.add(q)
	if err != nil {
		return nil, 0, err
	}
	return one, id, nil
}

// A watcher is one goroutine that listens to any number of sockets, and ends with
// the last of them. The zero value is ready.
type watcher struct {
	mu    sync.Mutex // guards what follows
	epoll *os.File   // nil: nobody is watched
	socks map[int32]*quiet
	last  int32 // id
}

// add makes q be watched. It asks for nothing but what can be read.
func (w *watcher) add(q *quiet) (id int32, err error) {
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
		w.endIfIdle()
		return 0, fmt.Errorf("udp: %w", os.NewSyscallError("epoll_ctl", err))
	}
	w.socks[w.last] = q
	return w.last, nil
}

// remove forgets the socket that is about to be closed, which takes it out of
// epoll.
func (w *watcher) remove(id int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.socks, id)
	w.endIfIdle()
}

// endIfIdle ends run if nobody is watched. w.mu is held.
func (w *watcher) endIfIdle() {
	if len(w.socks) == 0 {
		_ = w.epoll.Close()
		w.epoll = nil
	}
}

func (w *watcher) get(id int32) *quiet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.socks[id]
}

// run reads from sockets that have something until epoll is closed. Each has its
// turn: of one that has more than a Batch takes, the rest waits for its next.
func (w *watcher) run(epoll *os.File) {
	raw, err := epoll.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	n := 0
	wait := func(fd uintptr) bool {
		n, _ = unix.EpollWait(int(fd), events, 0)
		return n > 0
	}
	var b Batch
	for raw.Read(wait) == nil {
		for _, e := range events[:n] {
			if q := w.get(e.Fd); q != nil {
				q.receive(&b)
			}
		}
	}
}
