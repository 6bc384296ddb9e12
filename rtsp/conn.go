package rtsp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

const (
	connBuffer = 4 << 10 // read buffer before PLAY or RECORD
	maxStray   = 100     // packets in a row before PLAY or RECORD
)

// beforeAuth bounds a peer until it plays or publishes.
var beforeAuth = wire.Limits{Unwanted: maxStray, HTTP: true}

// A conn is a connection until it plays, or for its whole life if it publishes.
// One goroutine reads, and but for that while a Handler is asked, owns it all.
type conn struct {
	srv     *Server
	serving *listen.Serving
	raw     net.Conn // as accepted
	nc      net.Conn // the same, or TLS over it, or a tunnel through both
	tls     *tls.ConnectionState
	ctx     context.Context // ends with the connection
	cancel  context.CancelFunc

	in       *wire.Reader
	out      []byte    // answers to be written
	until    time.Time // when everything must have been said; zero: no limit
	patience listen.Patience

	understood bool // a request was
	tunnelled  bool // this is RTSP in HTTP
	logins     int  // that failed
	asking     *ask // a Handler that has not answered yet, or nil
	session    *session
	pub        *publisher    // nil if it does not publish
	play       *wire.Request // that was granted, for which this conn gives way to a viewer
}

// serve runs the session of an accepted connection.
func (s *Server) serve(v *listen.Serving, raw net.Conn) {
	ctx, cancel := context.WithCancel(v.Context())
	c := &conn{srv: s, serving: v, raw: raw, nc: raw, ctx: ctx, cancel: cancel}
	err := v.Guard(raw, c.run)
	if err == nil {
		err = v.Guard(raw, c.startViewer)
	}
	if err != nil {
		_ = v.Guard(raw, func() error { c.end(err); return nil })
		cancel()
		v.Release(raw)
	}
}

// run talks to the peer until it may play, which returns nil, or the session
// ends.
func (c *conn) run() error {
	listen.KeepAlive(c.raw)
	if t := limit(c.srv.HandshakeTimeout, defaultHandshakeTimeout); t > 0 {
		c.until = time.Now().Add(t)
	}
	_ = c.nc.SetDeadline(c.until)
	if c.srv.TLSConfig != nil {
		t, err := c.srv.listen.TLS(c.ctx, c.raw, c.srv.TLSConfig)
		if err != nil {
			return fmt.Errorf("rtsp: TLS: %w", err)
		}
		state := t.ConnectionState()
		c.nc, c.tls = t, &state
	}
	c.in = wire.NewReader(c, connBuffer, beforeAuth)
	for c.play == nil {
		item, err := c.in.Next()
		switch {
		case err == nil:
			err = c.item(item)
		case c.asking != nil && errors.Is(err, os.ErrDeadlineExceeded):
			err = c.answered(<-c.asking.answer)
		default:
			c.complain(err)
		}
		if err == nil {
			err = c.flush()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// item takes in what came.
func (c *conn) item(item wire.Item) error {
	switch m := item.(type) {
	case *wire.Request:
		if c.asking != nil { // it did not wait for the answer to another
			if err := c.answered(<-c.asking.answer); err != nil {
				return err
			}
			if err := c.flush(); err != nil {
				return err
			}
		}
		return c.request(m)
	case *wire.Interleaved:
		if c.pub != nil {
			return c.pub.interleaved(m)
		}
	}
	return nil // responses: we have asked for nothing
}

// request takes in one request.
func (c *conn) request(r *wire.Request) error {
	c.understood = true
	if r.IsHTTP() {
		return c.http(r)
	}
	if !c.ownSession(r) {
		c.reply(r, &reply{status: wire.StatusSessionNotFound})
		return fmt.Errorf("%w: not its session", ErrProtocol)
	}
	switch r.Method {
	case wire.MethodOptions:
		return c.options(r)
	case wire.MethodDescribe:
		return c.describe(r)
	case wire.MethodAnnounce:
		return c.announce(r)
	case wire.MethodSetup:
		return c.setup(r)
	case wire.MethodPlay:
		return c.wantPlay(r)
	case wire.MethodRecord:
		return c.record(r)
	case wire.MethodPause:
		return c.pause(r)
	case wire.MethodTeardown:
		return c.teardown(r)
	case wire.MethodGetParameter, wire.MethodSetParameter:
		return c.parameters(r)
	}
	c.reply(r, &reply{status: 403})
	return fmt.Errorf("%w: method %q", ErrProtocol, r.Method)
}

// ownSession reports whether r names no session but that of this connection
// (RFC 2326, 12.37). PLAY and RECORD have to name it.
func (c *conn) ownSession(r *wire.Request) bool {
	id := sessionID(r)
	switch r.Method {
	case wire.MethodPlay, wire.MethodRecord:
		return c.session != nil && id == c.session.id
	case wire.MethodOptions, wire.MethodDescribe, wire.MethodAnnounce:
		return true
	}
	return id == "" || c.session != nil && id == c.session.id
}

// sessionID returns the session that r names, "" if none.
func sessionID(r *wire.Request) string {
	id, _, _ := strings.Cut(r.Header.Get("Session"), ";")
	return strings.TrimSpace(id)
}

// reply answers r.
func (c *conn) reply(r *wire.Request, a *reply) {
	id := ""
	if c.session != nil {
		id = c.session.id
	}
	c.out = a.append(c.out, r, id)
}

// notNow answers a request that makes no sense in the state of the connection.
func (c *conn) notNow(r *wire.Request) error {
	c.reply(r, &reply{status: wire.StatusMethodNotValidInThisState})
	return nil
}

// complain tells the peer what it did wrong, if its message can be answered.
func (c *conn) complain(err error) {
	var e *wire.Error
	if errors.As(err, &e) {
		r := &wire.Request{}
		if e.CSeq != "" {
			r.Header.Add("CSeq", e.CSeq)
		}
		c.reply(r, &reply{status: e.Status, header: fields("Connection", "Close"), body: []byte(e.Text)})
	}
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

// end says why the session ended, once everything it had is given up.
func (c *conn) end(err error) {
	s := c.srv
	over := c.serving.Context().Err() != nil
	if over {
		err = ErrServerClosed
	}
	if c.asking != nil {
		c.cancel()
		(<-c.asking.answer).discard(err)
		c.asking = nil
	}
	published := c.pub != nil
	if published {
		c.pub.end(err)
	}
	if c.session != nil {
		c.session.close(err)
	}
	var refused *refusedError
	switch {
	case published:
	case errors.As(err, &refused):
		s.stats.refused.Add(1)
		s.listen.Print(slog.LevelWarn, "refused", "stream", refused.name, "remote", c.nc.RemoteAddr(), "error", refused.err)
	case !c.understood:
		s.stats.handshakesFailed.Add(1)
		s.listen.Print(slog.LevelWarn, "bad connection", "remote", c.nc.RemoteAddr(), "error", err)
	case errors.Is(err, io.EOF), errors.Is(err, errLeft):
		s.listen.Print(slog.LevelDebug, "connection closed", "remote", c.nc.RemoteAddr())
	default:
		s.listen.Print(slog.LevelWarn, "connection failed", "remote", c.nc.RemoteAddr(), "error", err)
	}
	if len(c.out) > 0 && !over {
		c.hangUp(errors.Is(err, errLeft))
	}
}

// hangUp writes what is left to say and ends the connection so that the peer can
// read it, if it has not said goodbye itself.
func (c *conn) hangUp(goodbye bool) {
	if c.flush() == nil {
		listen.HangUp(c.nc, goodbye)
	}
}
