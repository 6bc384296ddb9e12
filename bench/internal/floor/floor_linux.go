package floor

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

// A Floor is a running server.
type Floor struct {
	ln   net.Listener
	stop chan struct{}
	done sync.WaitGroup
}

// newFloor returns a server that nothing runs for yet.
func newFloor(ln net.Listener) *Floor { return &Floor{ln: ln, stop: make(chan struct{})} }

// Start serves the connections to ln. window is the time for which a batch is
// collected; 0 makes one per video frame, with the audio before it.
func Start(ln net.Listener, window time.Duration) *Floor {
	f := newFloor(ln)
	var loops []*loop
	for range runtime.GOMAXPROCS(0) {
		l := &loop{wake: make(chan struct{}, 1)}
		loops = append(loops, l)
		f.done.Go(func() { l.run(f.stop) })
	}
	f.done.Go(func() {
		f.accept(func(i int, conn net.Conn) {
			defer conn.Close()
			if fd, err := socket(conn.(*net.TCPConn)); err == nil {
				loops[i%len(loops)].add(fd)
			}
		})
	})
	f.done.Go(func() { f.produce(window, &tagBatch{loops: loops}) })
	return f
}

// Close ends the server.
func (f *Floor) Close() {
	f.ln.Close()
	close(f.stop)
	f.done.Wait()
}

// accept hands connection after connection to fn.
func (f *Floor) accept(fn func(i int, conn net.Conn)) {
	for i := 0; ; i++ {
		conn, err := f.ln.Accept()
		if err != nil {
			return
		}
		fn(i, conn)
	}
}

// socket returns a socket that the Go runtime does not know. The connection is
// to be closed by the caller.
func socket(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	if e := raw.Control(func(f uintptr) { fd, err = syscall.Dup(int(f)) }); e != nil {
		err = e
	}
	return fd, err
}

// A batch is what is sent at once.
type batch interface {
	add(media.Packet)
	flush() // sends it and begins the next
}

// produce makes the stream in real time, in batches of the window.
func (f *Floor) produce(window time.Duration, b batch) {
	var s media.Stream
	start := time.Now()
	next := window
	for n := uint32(0); ; {
		p := s.Next()
		if window > 0 && p.DTS >= next {
			if !f.sleepUntil(start.Add(next)) {
				return
			}
			b.flush()
			next += window
		}
		if !f.sleepUntil(start.Add(p.DTS)) {
			return
		}
		if p.Type == media.TagVideo {
			media.Stamp(p.Body, n, proc.Now())
			n++
		}
		b.add(p)
		if window == 0 && p.Type == media.TagVideo {
			b.flush()
		}
	}
}

// sleepUntil reports false when the server is closed.
func (f *Floor) sleepUntil(t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	select {
	case <-f.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// A tagBatch is written to connections: FLV tags.
type tagBatch struct {
	loops []*loop
	b     []byte
}

func (t *tagBatch) add(p media.Packet) { t.b = wire.AppendTag(t.b, p.Type, p.DTS, p.Body) }

func (t *tagBatch) flush() {
	for _, l := range t.loops {
		l.send(t.b)
	}
	t.b = nil // the loops keep it
}

// kept is how many batches a loop keeps for sockets that are full.
const kept = 256

// A loop writes the batches to its sockets.
type loop struct {
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	batches [kept][]byte
	head    int // number of the next batch
	added   []int
}

// A socket's position is the batch it needs next and how much of it was written.
type position struct {
	fd, batch, offset int
	dead              bool
}

func (l *loop) add(fd int) {
	l.mu.Lock()
	l.added = append(l.added, fd)
	l.mu.Unlock()
}

func (l *loop) send(batch []byte) {
	l.mu.Lock()
	l.batches[l.head%kept] = batch
	l.head++
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it will see both
	}
}

func (l *loop) run(stop <-chan struct{}) {
	var sockets []position
	defer func() {
		for _, s := range sockets {
			syscall.Close(s.fd)
		}
	}()
	for {
		select {
		case <-stop:
			return
		case <-l.wake:
		}
		l.mu.Lock()
		for _, fd := range l.added {
			sockets = append(sockets, position{fd: fd, batch: l.head - 1})
		}
		l.added = l.added[:0]
		batches, head := l.batches, l.head
		l.mu.Unlock()
		for i := range sockets {
			sockets[i].write(&batches, head)
		}
	}
}

// write writes what the socket has not had, as far as it goes without waiting.
func (p *position) write(batches *[kept][]byte, head int) {
	if p.dead {
		return
	}
	if head-p.batch >= kept {
		p.dead = true // too slow; the report shows it as behind
		return
	}
	for p.batch < head {
		b := batches[p.batch%kept][p.offset:]
		n, err := syscall.Write(p.fd, b)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			return
		}
		if err != nil {
			p.dead = true
			return
		}
		if n < len(b) {
			p.offset += n
			return
		}
		p.batch, p.offset = p.batch+1, 0
	}
}
