package rtmp

import (
	"errors"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/source"
)

// request returns the Request for the stream called name.
func (c *conn) request(name string) (*source.Request, error) {
	t := c.target
	t.name = name
	key, params, err := t.resolve(c.srv.Vhost)
	req := &source.Request{
		ID:       source.NewID(),
		Schema:   "rtmp",
		Protocol: "rtmp",
		Key:      key,
		Params:   params,
		Remote:   c.nc.RemoteAddr(),
		Local:    c.nc.LocalAddr(),
		TLS:      c.tls,
	}
	if c.tls != nil {
		req.Protocol = "rtmps"
	}
	return req, err
}

// A refusedError ends a connection whose publish or play was refused; the peer
// has been told.
type refusedError struct {
	name string // of the stream
	err  error
}

func (e *refusedError) Error() string { return "rtmp: refused: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// refuse tells the peer that what it wants it cannot have.
func (c *conn) refuse(req *source.Request, err error, publish bool) error {
	code, text := refusal(err, publish)
	c.out = appendStatus(c.out, c.size, levelError, code, text)
	return &refusedError{req.Key.Path(), err}
}

// mayAsk reports whether the peer may publish or play now. If not it is told,
// and what it does already goes on.
func (c *conn) mayAsk(publish bool) (bool, error) {
	code := codePlayFailed
	if publish {
		code = codePublishBadName
	}
	switch {
	case !c.connected:
		c.out = appendStatus(c.out, c.size, levelError, code, "Not connected.")
		return false, fmt.Errorf("%w: publish or play before connect", ErrProtocol)
	case c.asking != nil || c.pub != nil:
		c.out = appendStatus(c.out, c.size, levelError, code, "The connection is in use.")
		return false, nil
	}
	return true, nil
}

// An ask is a Handler being asked.
type ask struct {
	publish bool
	req     *source.Request
	answer  chan answer // gets one
}

// An answer is what a Handler said.
type answer struct {
	pub  source.Publication
	play *granted
	err  error
}

// discard gives up what was granted to a peer that is gone.
func (a answer) discard(reason error) {
	switch {
	case a.pub != nil:
		_ = a.pub.CloseWithError(reason)
	case a.play != nil:
		_ = a.play.cursor.Close()
	}
}

// ask lets fn ask the Handler while the connection goes on being read, without
// a limit of time. The reading is interrupted when there is an answer.
func (c *conn) ask(req *source.Request, publish bool, fn func() (answer, error)) {
	c.until = time.Time{}
	_ = c.nc.SetDeadline(c.until)
	a := &ask{publish, req, make(chan answer, 1)}
	c.asking = a
	nc := c.nc
	c.srv.Go(func() {
		var got answer
		err := c.srv.Guard(nc, func() (err error) {
			got, err = fn()
			return err
		})
		got.err = err
		_ = nc.SetReadDeadline(time.Unix(1, 0)) // before the answer: whoever has that resets it
		a.answer <- got
	})
}

// answered does what the Handler said.
func (c *conn) answered(a answer) error {
	req, publish := c.asking.req, c.asking.publish
	c.asking = nil
	_ = c.nc.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(a.err, listen.ErrPanic):
		return a.err
	case a.err != nil:
		return c.refuse(req, a.err, publish)
	case a.play != nil:
		c.play = a.play
		return nil
	}
	return c.startPublishing(a.pub, req)
}
