package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
)

// A visit is a connection to an HTTP, from being accepted until it is closed. It
// is closed if no request comes in time, and bounds how long the peer may take
// nothing of what is written, until somebody hijacks it.
type visit struct {
	nc      net.Conn
	serving *listen.Serving
	stall   time.Duration
	late    *time.Timer // closes it before the first request
	came    time.Time   // when it was accepted

	mu       sync.Mutex // guards what follows
	asked    bool       // a request has come
	hijacked bool
	deadline time.Time // of writes, as the handler wants it; zero: none
	armed    time.Time // the deadline that nc has because of stall; zero: another
	closed   bool
}

// newVisit returns a visit, and the connection to use instead of nc.
func (s *HTTP) newVisit(v *listen.Serving, nc net.Conn) (*visit, net.Conn) {
	c := &visit{nc: nc, serving: v, stall: s.limits.stall, came: time.Now()}
	c.late = time.AfterFunc(s.limits.request, func() { _ = nc.Close() })
	if tcp, ok := nc.(*net.TCPConn); ok {
		return c, &tcpVisit{c, tcpConn{tcp}}
	}
	return c, &otherVisit{c, otherConn{nc}}
}

// begin notes that a request has come and returns how much of limit is left for
// the rest of it.
func (c *visit) begin(limit time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return limit
	}
	c.asked = true
	c.late.Stop()
	return max(0, limit-time.Since(c.came))
}

// leave is called when everybody has to go: who has asked for nothing has
// nothing to wait for.
func (c *visit) leave() {
	c.mu.Lock()
	asked := c.asked
	c.mu.Unlock()
	if !asked {
		_ = c.nc.Close()
	}
}

// free gives the connection to whoever hijacked it.
func (c *visit) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hijacked = true
}

// arm sets the deadline for a write: that of the handler, or one that is later
// than any progress by stall. That is moved now and then only, for it costs as
// much as a small answer otherwise.
func (c *visit) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hijacked {
		return
	}
	d := time.Now().Add(c.stall)
	switch {
	case !c.deadline.IsZero() && c.deadline.Before(d):
		d, c.armed = c.deadline, time.Time{}
	case d.Sub(c.armed) < c.stall/64:
		return
	default:
		c.armed = d
	}
	_ = c.nc.SetWriteDeadline(d)
}

// goOn reports whether a write that made progress and then failed may be tried
// again.
func (c *visit) goOn(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = time.Time{}
	return !c.hijacked && errors.Is(err, os.ErrDeadlineExceeded) && (c.deadline.IsZero() || time.Now().Before(c.deadline))
}

// Write writes b, however long it takes as long as there is progress.
func (c *visit) Write(b []byte) (int, error) {
	for written := 0; ; {
		c.arm()
		n, err := c.nc.Write(b[written:])
		written += n
		if err == nil || n == 0 || !c.goOn(err) {
			return written, err
		}
	}
}

// SetWriteDeadline sets the deadline for writes, in place of none.
func (c *visit) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if t.IsZero() && !c.hijacked {
		return nil // as net/http wants after each answer; arm decides when there is the next write
	}
	c.armed = time.Time{}
	return c.nc.SetWriteDeadline(t)
}

// SetDeadline sets both deadlines.
func (c *visit) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline, c.armed = t, time.Time{}
	return c.nc.SetDeadline(t)
}

// Close closes the connection, which then counts no more.
func (c *visit) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	c.late.Stop()
	c.serving.Release(c.nc)
	return nil
}

// NetConn returns the connection behind the visit.
func (c *visit) NetConn() net.Conn { return c.nc }

func (c *visit) self() *visit { return c }

// A tcpVisit has besides what a TCP connection can do, for those who hijack it.
type tcpVisit struct {
	*visit
	tcpConn
}

// A tcpConn keeps the methods of a TCP connection behind those of a visit.
type tcpConn struct{ *net.TCPConn }

// An otherVisit is a visit that did not come by TCP, in a test say.
type otherVisit struct {
	*visit
	otherConn
}

type otherConn struct{ net.Conn }

// ReadFrom sends a part of a file without copying it, where the system can. It
// goes on as long as there is progress.
func (c *tcpVisit) ReadFrom(r io.Reader) (int64, error) {
	part, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(writerOnly{c.visit}, r)
	}
	file, ok := part.R.(*os.File)
	if !ok {
		return io.Copy(writerOnly{c.visit}, r)
	}
	start, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return io.Copy(writerOnly{c.visit}, r)
	}
	for sent, size := int64(0), part.N; ; {
		c.arm()
		n, err := c.TCPConn.ReadFrom(part)
		sent += n
		part.N = size - sent
		if err == nil || n == 0 || !c.goOn(err) {
			return sent, err
		}
		// More than what was sent may have been read.
		if _, err := file.Seek(start+sent, io.SeekStart); err != nil {
			return sent, err
		}
	}
}

// writerOnly hides that a connection can read from files.
type writerOnly struct{ io.Writer }

// visitUnder finds the visit that a connection lies over.
func visitUnder(nc net.Conn) *visit {
	for {
		if c, ok := nc.(interface{ self() *visit }); ok {
			return c.self()
		}
		nc = nc.(interface{ NetConn() net.Conn }).NetConn() // TLS, of listen
	}
}

// visitKey is the key of a request's visit in its context.
type visitKey struct{}

func withVisit(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, visitKey{}, visitUnder(nc))
}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }
