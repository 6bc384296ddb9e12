package livehttp

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// lastWords is how long a connection without a Delivery stays after the session
// is over, for the peer to answer CLOSE.
const lastWords = 500 * time.Millisecond

// A viewer is one session. It begins with the request's goroutine; once the
// connection is hijacked there is one goroutine that reads it (watch), and the
// Delivery, which alone writes to it.
type viewer struct {
	out    *Output
	opt    *Options
	req    *source.Request
	cancel context.CancelFunc // ends the waiting for the stream, and what the Reader does for this viewer

	mu     sync.Mutex       // guards what follows, and writing until there is a Delivery
	conn   net.Conn         // nil until hijacked
	d      *source.Delivery // nil until the stream was found
	socket *socket          // nil without WebSocket
	reason error            // why we end it; nil while we do not
	told   bool             // a CLOSE frame told so, before the stream's end
	gone   bool             // nobody reads any more

	watched bool // watch runs, or is about to; used by the request's goroutine
}

// deliver starts to write the stream to the viewer. If the session is over it
// closes cur and returns why.
func (v *viewer) deliver(cur *source.Cursor, o source.DeliverOptions) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone || v.reason != nil {
		_ = cur.Close()
		return cmp.Or(v.reason, net.ErrClosed)
	}
	o.MergeWindow, o.StallTimeout = v.opt.MergeWindow, v.opt.StallTimeout
	v.d = cur.Deliver(v.conn, o)
	return nil
}

// stop asks the viewer to go. A session that still waits for its stream sees
// that the waiting ends; else writing ends with the packet that is being written.
func (v *viewer) stop() {
	v.end(errShutdown)
	v.cancel()
	v.mu.Lock()
	d, socket := v.d, v.socket
	v.told = d != nil
	v.mu.Unlock()
	if d == nil {
		return
	}
	var last []byte
	if socket != nil {
		last = closeFrame(closeGoingAway, textOf(errShutdown))
	}
	d.End(last, errShutdown)
}

// abort makes the viewer go.
func (v *viewer) abort() {
	v.cancel()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn != nil {
		_ = v.conn.Close()
	}
}

// end records why we end the session, unless that is known.
func (v *viewer) end(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reason == nil {
		v.reason = err
	}
}

// watch reads the connection until it fails, and ends the session. first is what
// was read already. It is the viewer's goroutine.
func (v *viewer) watch(first []byte) {
	err := v.why(v.read(first))
	v.mu.Lock()
	v.gone = true
	d := v.d
	v.mu.Unlock()
	if d != nil {
		v.ended(d.Close(err))
	}
	_ = v.conn.Close()
	v.leave()
}

// ended reports the end of a session that had its stream.
func (v *viewer) ended(err error) {
	v.log(slog.LevelInfo, "playing ended", "reason", err)
}

// leave is the last that is done for a viewer.
func (v *viewer) leave() {
	v.cancel()
	v.out.remove(v)
}

// read reads until the connection fails, which is how viewers leave, and returns
// io.EOF. Without WebSocket there is nothing to understand: who asked for a live
// stream cannot ask for anything else on that connection.
func (v *viewer) read(first []byte) (err error) {
	defer v.recover(&err)
	if v.socket == nil {
		var buf [64]byte
		for {
			if _, err := v.conn.Read(buf[:]); err != nil {
				return io.EOF
			}
		}
	}
	if !v.socket.take(v, first) {
		return io.EOF
	}
	var buf [128]byte
	for {
		n, err := v.conn.Read(buf[:])
		if !v.socket.take(v, buf[:n]) || err != nil {
			return io.EOF
		}
	}
}

// recover turns a panic into the end of this session alone.
func (v *viewer) recover(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("livehttp: panic: %v", p)
		v.panicked(p)
	}
}

// panicked counts and reports a panic.
func (v *viewer) panicked(p any) {
	v.out.panics.Add(1)
	v.log(slog.LevelError, "panic", "panic", p, "stack", string(debug.Stack()))
}

// why returns the reason for which we end the session, else err.
func (v *viewer) why(err error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return cmp.Or(v.reason, err)
}
