package livehttp

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A responseConn is a ResponseWriter that cannot be hijacked as the net.Conn
// that a Delivery writes to. It is valid until the handler returns.
type responseConn struct {
	w             http.ResponseWriter
	control       *http.ResponseController
	local, remote net.Addr
	finished      chan struct{} // closed by finish
	once          sync.Once

	mu       sync.Mutex // guards what follows
	deadline time.Time
	writing  bool
	closed   bool
}

// Write writes b and flushes. The deadline is set for this write only: where
// HTTP/2 meets one that has passed it resets the stream, whether or not anybody
// writes.
func (c *responseConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, net.ErrClosed
	}
	t := c.deadline
	c.writing = true
	_ = c.control.SetWriteDeadline(t) // where it is not supported, the peer's leaving ends the write
	c.mu.Unlock()
	n, err := c.w.Write(b)
	if err == nil {
		err = c.control.Flush()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	switch {
	case err == nil && !c.closed:
		_ = c.control.SetWriteDeadline(time.Time{})
	case err != nil && c.closed:
		err = net.ErrClosed
	case err != nil && !t.IsZero() && !time.Now().Before(t):
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Read waits for Close: what the peer sends is not for us.
func (c *responseConn) Read([]byte) (int, error) {
	<-c.finished
	return 0, net.ErrClosed
}

// finish ends the serving of the request.
func (c *responseConn) finish() { c.once.Do(func() { close(c.finished) }) }

// Close ends it too, and makes a blocked Write return.
func (c *responseConn) Close() error {
	c.mu.Lock()
	if c.writing && !c.closed {
		_ = c.control.SetWriteDeadline(time.Now())
	}
	c.closed = true
	c.mu.Unlock()
	c.finish()
	return nil
}

func (c *responseConn) LocalAddr() net.Addr  { return c.local }
func (c *responseConn) RemoteAddr() net.Addr { return c.remote }

// SetWriteDeadline is for the writes that begin after it.
func (c *responseConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

// SetReadDeadline does nothing: Read waits for Close anyway.
func (c *responseConn) SetReadDeadline(time.Time) error { return nil }

// SetDeadline is SetWriteDeadline.
func (c *responseConn) SetDeadline(t time.Time) error { return c.SetWriteDeadline(t) }

// serveResponse shows the stream through a ResponseWriter. It returns at the end
// of the session.
func (v *viewer) serveResponse(w http.ResponseWriter, r *http.Request, cur *source.Cursor) {
	w.Header().Del("Connection") // HTTP/2 has no such thing, and HTTP/1 knows itself
	w.WriteHeader(http.StatusOK)
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	conn := &responseConn{
		w: w, control: http.NewResponseController(w), finished: make(chan struct{}),
		local: local, remote: peerAddr(r.RemoteAddr),
	}
	v.mu.Lock()
	v.conn = conn
	v.mu.Unlock()
	defer v.leave()
	if v.deliver(cur, source.DeliverOptions{}) != nil {
		return
	}
	select {
	case <-conn.finished: // by the Delivery, which knows why, or by stop
	case <-r.Context().Done(): // the peer left
	}
	v.ended(v.d.Close(v.why(io.EOF)))
}
