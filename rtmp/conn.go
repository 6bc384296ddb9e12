package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

// Limits of a peer until it may publish or play.
var beforeAuth = wire.Limits{Streams: 16, Media: 64 << 10, Other: 64 << 10, Pending: 64 << 10}

// errLeft ends a session whose peer said goodbye.
var errLeft = errors.New("rtmp: peer left")

// buffers are what a connection needs until it publishes or plays.
type buffers struct {
	in  [4096]byte
	out [handshake.Reply]byte
}

// A conn is a connection until it plays, or for its whole life if it publishes.
// One goroutine reads, and but for that while a Handler is asked, owns it all.
type conn struct {
	srv    *serving
	raw    net.Conn // as accepted
	nc     net.Conn // the same, or TLS over it
	tls    *tls.ConnectionState
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	buf    *buffers // nil before the handshake

	in       *wire.Reader
	peer     peer
	out      []byte    // answers to be written
	size     int       // of the chunks we send
	until    time.Time // when everything must have been said; zero: no limit
	patience listen.Patience

	connected bool
	streams   int // created
	target    target
	form      flv.Form
	asking    *ask // a Handler that has not answered yet, or nil
	early     early
	pub       *publisher // nil if it does not publish
	play      *granted   // a play that was granted, for which this conn gives way to a viewer
}

// serve runs the session of an accepted connection.
func (v *serving) serve(raw net.Conn) {
	ctx, cancel := context.WithCancel(v.Context())
	c := &conn{srv: v, raw: raw, nc: raw, ctx: ctx, cancel: cancel, size: wire.DefaultChunkSize}
	err := v.Guard(raw, c.run)
	if err == nil {
		err = v.Guard(raw, c.startViewer)
	}
	if err != nil {
		_ = v.Guard(raw, func() error { c.end(err); return nil })
	}
	if c.buf != nil {
		v.buffers.Put(c.buf)
	}
	if err != nil {
		cancel()
		v.Release(raw)
	}
}

// run talks to the peer until it may play, which returns nil, or the session
// ends.
func (c *conn) run() error {
	listen.KeepAlive(c.raw)
	c.limitTime()
	if err := c.shake(); err != nil {
		return err
	}
	c.in = wire.NewReader(c, c.buf.in[:], beforeAuth)
	for c.play == nil {
		m, err := c.in.Next()
		switch {
		case err == nil:
			err = c.message(&m)
		case c.asking != nil && errors.Is(err, os.ErrDeadlineExceeded):
			err = c.answered(<-c.asking.answer)
		}
		if err == nil {
			c.out = c.peer.acknowledge(c.out, c.in.Bytes())
			err = c.flush()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// limitTime gives the peer some time to publish or play.
func (c *conn) limitTime() {
	if t := c.srv.HandshakeTimeout; t == 0 {
		c.until = time.Now().Add(defaultHandshakeTimeout)
	} else if t > 0 {
		c.until = time.Now().Add(t)
	}
	_ = c.nc.SetDeadline(c.until)
}

// end says why the session ended, once everything it had is given up.
func (c *conn) end(err error) {
	v := c.srv
	if v.Context().Err() != nil {
		err = ErrServerClosed
	}
	if c.asking != nil {
		c.cancel()
		(<-c.asking.answer).discard(err)
		c.asking = nil
	}
	if c.play != nil {
		answer{play: c.play}.discard(err)
	}
	var refused *refusedError
	switch {
	case c.pub != nil:
		c.pub.end(err)
	case errors.As(err, &refused):
		v.stats.refused.Add(1)
		v.Print(slog.LevelWarn, "refused", "stream", refused.name, "remote", c.nc.RemoteAddr(), "error", refused.err)
	case !c.connected:
		v.stats.handshakesFailed.Add(1)
		v.Print(slog.LevelWarn, "bad connection", "remote", c.nc.RemoteAddr(), "error", err)
	case errors.Is(err, io.EOF), errors.Is(err, errLeft):
		v.Print(slog.LevelDebug, "connection closed", "remote", c.nc.RemoteAddr())
	default:
		v.Print(slog.LevelWarn, "connection failed", "remote", c.nc.RemoteAddr(), "error", err)
	}
	if len(c.out) > 0 && v.Context().Err() == nil {
		c.hangUp(errors.Is(err, errLeft))
	}
}

// shake does the TLS handshake, if there is one, and RTMP's.
func (c *conn) shake() error {
	if c.srv.TLSConfig != nil {
		t, err := c.srv.listen.TLS(c.ctx, c.raw, c.srv.TLSConfig)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrHandshake, err)
		}
		state := t.ConnectionState()
		c.nc, c.tls = t, &state
	}
	c.buf = c.srv.buffers.Get().(*buffers)
	c1 := c.buf.in[:handshake.Opening]
	for n := 0; n < len(c1); {
		k, err := c.nc.Read(c1[n:])
		if n += k; n > 0 {
			if err := handshake.CheckVersion(c1[0]); err != nil {
				return err
			}
		}
		if err != nil && n < len(c1) {
			return fmt.Errorf("%w: %d of %d bytes: %w", ErrHandshake, n, len(c1), err)
		}
	}
	if err := c.srv.listen.Compute(c.ctx, func() { handshake.Answer(c.buf.out[:], c1[1:]) }); err != nil {
		return err
	}
	if _, err := c.nc.Write(c.buf.out[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	// C2 is not looked at: some clients send anything.
	if _, err := io.ReadFull(c.nc, c.buf.in[:handshake.Size]); err != nil {
		return fmt.Errorf("%w: C2: %w", ErrHandshake, err)
	}
	return nil
}

// Read reads from the peer, as long as it may be silent.
func (c *conn) Read(b []byte) (int, error) {
	return c.patience.Read(c.nc, b)
}

// flush writes the answers.
func (c *conn) flush() (err error) {
	c.out, err = listen.Flush(c.nc, c.out, c.until)
	return err
}

// hangUp writes what is left to say and ends the connection so that the peer can
// read it, if it has not said goodbye itself.
func (c *conn) hangUp(goodbye bool) {
	if c.flush() == nil {
		listen.HangUp(c.nc, goodbye)
	}
}

// message takes in one message.
func (c *conn) message(m *wire.Message) error {
	switch m.Type {
	case wire.TypeCommand, wire.TypeCommandAMF3:
		var cmd wire.Command
		if err := cmd.Unmarshal(m.Type, m.Body); err != nil {
			return err
		}
		return c.command(&cmd)
	case wire.TypeAudio, wire.TypeVideo, wire.TypeAggregate, wire.TypeData, wire.TypeDataAMF3:
		return c.media(m)
	}
	var err error
	c.out, err = c.peer.control(c.out, m)
	return err
}

// media takes in a message of audio, video or data.
func (c *conn) media(m *wire.Message) error {
	if c.asking != nil && c.asking.publish && !isConfig(m) {
		// It can wait: nothing is lost if the Handler says yes.
		if err := c.answered(<-c.asking.answer); err != nil {
			return err
		}
	}
	if c.pub != nil {
		return c.pub.message(m)
	}
	c.early.keep(m)
	return nil
}
