package memnet

import (
	"errors"
	"net"
	"sync"
	"time"
)

// DefaultBuffer is the buffer's size in bytes where 0 is given.
const DefaultBuffer = 64 << 10

// An Addr is the address of one side of a connection, or of a [Listener].
type Addr string

// Network returns "mem".
func (Addr) Network() string { return "mem" }

// String returns the address as it is.
func (a Addr) String() string { return string(a) }

// A Conn is one side of a connection. Close lets the peer read what was written
// before; the peer's writes then fail.
type Conn struct {
	in, out       *half
	local, remote Addr
	once          sync.Once
}

var _ net.Conn = (*Conn)(nil)

// Pipe returns the two sides of a connection on which size bytes written by
// either can wait to be read; a Write that finds no room waits.
func Pipe(size int) (client, server *Conn) { return pipe(size, "client", "server") }

func pipe(size int, from, to Addr) (client, server *Conn) {
	if size <= 0 {
		size = DefaultBuffer
	}
	up, down := newHalf(size), newHalf(size)
	return &Conn{in: down, out: up, local: from, remote: to}, &Conn{in: up, out: down, local: to, remote: from}
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) { return c.in.Read(b) }

// Write implements net.Conn. After a deadline it returns how many bytes the
// peer will read nevertheless.
func (c *Conn) Write(b []byte) (int, error) { return c.out.Write(b) }

// CloseWrite ends the writing: the peer reads io.EOF after what was written.
func (c *Conn) CloseWrite() error { return c.out.finish() }

// Close implements net.Conn.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		_ = c.out.finish()
		c.in.abort()
		err = nil
	})
	return err
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return set(&c.in.read, c.in, t, &c.in.aborted) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return set(&c.out.write, c.out, t, &c.out.finished)
}

// set sets a deadline unless its side is closed.
func set(d *deadline, h *half, t time.Time, closed *bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *closed {
		return net.ErrClosed
	}
	d.set(h, t)
	return nil
}

// SetWriteBuffer changes how many bytes written by c can wait to be read.
func (c *Conn) SetWriteBuffer(size int) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.size = max(size, 1)
	c.out.changed.Broadcast()
	return nil
}

// Buffered returns how many bytes wait to be read by c.
func (c *Conn) Buffered() int {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return len(c.in.buf)
}
