package ps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// A sendTCP sends over a connection, in the framing of RFC 4571.
type sendTCP struct {
	x      *Sender
	conn   atomic.Pointer[net.Conn] // nil before there is one
	local  net.Addr
	ln     net.Listener  // nil: we connect
	ports  [2]*udp.Conn  // that were opened with ln, so that nobody else has them
	left   chan struct{} // closed when the receiver has said all it has to say
	reason error         // why that is; valid then
}

// openSendTCP connects, or opens the port that a receiver connects to.
func openSendTCP(x *Sender) (sendWay, error) {
	o := &x.options
	w := &sendTCP{x: x, left: make(chan struct{})}
	var err error
	switch {
	case !o.Mode.passive():
		var conn net.Conn
		if conn, err = x.dial(); err == nil {
			w.local = conn.LocalAddr()
			w.conn.Store(&conn)
		}
	case o.Port == 0:
		w.ports[0], w.ports[1], w.ln, err = x.set.ports.QuietPairTCP(netip.Addr{})
	default:
		w.ports[0], w.ports[1], w.ln, err = x.set.ports.At(netip.Addr{}, o.Port, true, false)
	}
	if err != nil {
		return nil, portError(err)
	}
	if w.ln != nil {
		w.local = w.ln.Addr()
	}
	return w, nil
}

// dial connects to the receiver.
func (x *Sender) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(x.ctx, connectTimeout,
		fmt.Errorf("%w: no connection to %s in %v", source.ErrTimeout, x.options.To, connectTimeout))
	defer cancel()
	dial := x.set.Dial
	if dial == nil {
		d := net.Dialer{}
		if x.options.Port != 0 {
			d.LocalAddr = &net.TCPAddr{Port: int(x.options.Port)}
		}
		dial = d.DialContext
	}
	conn, err := dial(ctx, "tcp", x.options.To)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return conn, err
}

func (w *sendTCP) meet(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = w.ln.Close() })()
	conn, err := w.ln.Accept()
	w.closePorts() // nobody else is waited for
	switch {
	case err == nil:
		w.conn.Store(&conn)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return err
}

func (w *sendTCP) closePorts() {
	if w.ln != nil {
		_ = w.ln.Close()
	}
	for _, port := range w.ports {
		if port != nil {
			_ = port.Close()
		}
	}
}

func (w *sendTCP) deliver(c *source.Cursor) *source.Delivery {
	conn := *w.conn.Load()
	listen.KeepAlive(conn)
	w.x.set.work.Go(func() { w.listen(conn) })
	return c.Deliver(conn, source.DeliverOptions{})
}

// listen reads until the connection ends. What a receiver says, RTCP or nothing, is
// of no use here.
func (w *sendTCP) listen(conn net.Conn) {
	defer close(w.left)
	var b [128]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			w.reason = goneFor(err)
			return
		}
	}
}

// goneFor returns the error for a connection that has failed with err.
func goneFor(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrReceiverGone
	}
	return fmt.Errorf("%w: %w", ErrReceiverGone, err)
}

func (w *sendTCP) gone() (<-chan struct{}, func() error) {
	return w.left, func() error { return w.reason }
}

func (w *sendTCP) explain(err error) error { return lostTo(err) }

// lostTo tells errors of a connection from others.
func lostTo(err error) error {
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return goneFor(err)
	}
	return err
}

// rest waits until the receiver, who knows of the end by now, has read all and
// hangs up.
func (w *sendTCP) rest(ctx context.Context) {
	select {
	case <-w.left:
	case <-ctx.Done():
	}
}

func (w *sendTCP) close() {
	w.closePorts()
	if conn := w.conn.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

func (w *sendTCP) addrs() (local, remote net.Addr) {
	if conn := w.conn.Load(); conn != nil {
		return (*conn).LocalAddr(), (*conn).RemoteAddr()
	}
	return w.local, nil
}

func (w *sendTCP) dropped() uint64 { return 0 }
