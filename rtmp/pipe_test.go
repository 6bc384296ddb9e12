package rtmp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A pipeConn is one end of a connection in memory. Unlike those of net.Pipe it
// has a buffer, as sockets have; unlike sockets it waits in a way that
// testing/synctest understands.
type pipeConn struct {
	in, out *pipeBuffer
	addr    net.Addr
}

// newPipe returns both ends of a connection that buffers size bytes each way.
func newPipe(size int) (a, b *pipeConn) {
	x, y := newPipeBuffer(size), newPipeBuffer(size)
	return &pipeConn{x, y, pipeAddr("a")}, &pipeConn{y, x, pipeAddr("b")}
}

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

func (c *pipeConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *pipeConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *pipeConn) LocalAddr() net.Addr         { return c.addr }
func (c *pipeConn) RemoteAddr() net.Addr        { return c.addr }

func (c *pipeConn) CloseWrite() error {
	c.out.set(func(b *pipeBuffer) { b.ended = true })
	return nil
}

func (c *pipeConn) Close() error {
	c.in.set(func(b *pipeBuffer) { b.closed = true })
	c.out.set(func(b *pipeBuffer) { b.ended = true })
	return nil
}

func (c *pipeConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(func(b *pipeBuffer) { b.readers.set(b, t) })
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func(b *pipeBuffer) { b.writers.set(b, t) })
	return nil
}

// A pipeBuffer is one direction of a pipe.
type pipeBuffer struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    []byte
	size    int
	ended   bool // the writer has closed
	closed  bool // the reader has
	readers pipeDeadline
	writers pipeDeadline
}

type pipeDeadline struct {
	passed bool
	timer  *time.Timer
}

func newPipeBuffer(size int) *pipeBuffer {
	b := &pipeBuffer{size: size}
	b.changed = sync.NewCond(&b.mu)
	return b
}

func (d *pipeDeadline) set(b *pipeBuffer, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.passed, d.timer = false, nil
	switch wait := time.Until(t); {
	case t.IsZero():
	case wait <= 0:
		d.passed = true
	default:
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			b.set(func(*pipeBuffer) { d.passed = d.passed || d.timer == timer })
		})
		d.timer = timer
	}
}

func (b *pipeBuffer) set(f func(*pipeBuffer)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
	b.changed.Broadcast()
}

func (b *pipeBuffer) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.closed:
			return 0, net.ErrClosed
		case b.readers.passed:
			return 0, os.ErrDeadlineExceeded
		case len(b.data) > 0:
			n := copy(p, b.data)
			b.data = append(b.data[:0], b.data[n:]...)
			b.changed.Broadcast()
			return n, nil
		case b.ended:
			return 0, io.EOF
		}
		b.changed.Wait()
	}
}

func (b *pipeBuffer) write(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.ended:
			return n, net.ErrClosed
		case b.closed:
			return n, errors.New("broken pipe")
		case b.writers.passed:
			return n, os.ErrDeadlineExceeded
		}
		k := min(len(p), b.size-len(b.data))
		b.data = append(b.data, p[:k]...)
		n, p = n+k, p[k:]
		if k > 0 {
			b.changed.Broadcast()
		}
		if len(p) == 0 {
			return n, nil
		}
		b.changed.Wait()
	}
}

// A pipeListener accepts pipes.
type pipeListener struct {
	conns  chan net.Conn
	errs   chan error // returned by Accept
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.errs:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr("listener") }

// Dial connects to whoever accepts on l; it is of the type of Client.Dial.
func (l *pipeListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := newPipe(64 << 10)
	select {
	case l.conns <- b:
		return a, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
