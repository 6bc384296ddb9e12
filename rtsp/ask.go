package rtsp

import (
	"errors"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// newRequest returns the Request for the stream that a URL names.
func (c *conn) newRequest(r *wire.Request, rawURL string) (*source.Request, error) {
	key, params, err := c.srv.resolve(rawURL)
	req := &source.Request{
		ID:       source.NewID(),
		Schema:   "rtsp",
		Protocol: "rtsp",
		Key:      key,
		Params:   params,
		Remote:   c.nc.RemoteAddr(),
		Local:    c.nc.LocalAddr(),
		TLS:      c.tls,
		Header:   r.Header.HTTP(),
	}
	req.Header.Del("Authorization") // a password, maybe
	if c.tls != nil {
		req.Protocol = "rtsps"
	}
	return req, err
}

// An ask is a Handler being asked.
type ask struct {
	r       *wire.Request
	name    string // of the stream
	publish bool
	began   time.Time
	answer  chan answer // gets one
	then    func(answer) error
}

// An answer is what a Handler said.
type answer struct {
	req    *source.Request
	pub    source.Publication
	cursor *source.Cursor
	tracks []*codec.Track // that the stream had before there was the cursor
	length time.Duration  // of a film, which is nobody else's; 0: a live stream
	caster *caster
	err    error
}

// discard gives up what was granted to a peer that is gone.
func (a answer) discard(reason error) {
	if a.pub != nil {
		_ = a.pub.CloseWithError(reason)
	}
	if a.cursor != nil {
		_ = a.cursor.Close()
	}
	if a.caster != nil {
		a.caster.leave()
	}
}

// ask lets fn ask the Handler for the stream that rawURL names, once more if
// there is a challenge that r answers, while the connection goes on being read,
// without a limit of time. The reading is interrupted when there is an answer;
// then takes it, in the connection's goroutine, unless it is a refusal.
func (c *conn) ask(r *wire.Request, rawURL string, publish bool, fn func(*source.Request) (answer, error), then func(answer) error) error {
	req, err := c.newRequest(r, rawURL)
	if err == nil && c.srv.Handler == nil {
		err = source.ErrNotFound
		if publish {
			err = source.ErrForbidden
		}
	}
	if err != nil {
		return c.refuse(r, req.Key.Path(), err, publish)
	}
	_ = c.nc.SetDeadline(time.Time{})
	a := &ask{r, req.Key.Path(), publish, time.Now(), make(chan answer, 1), then}
	c.asking = a
	nc := c.nc
	c.serving.Go(func() {
		var got answer
		err := c.serving.Guard(c.raw, func() (err error) {
			got, err = fn(req)
			var challenge *source.Challenge
			if errors.As(err, &challenge) {
				var user string
				if user, err = c.login(r, challenge); err == nil {
					req, _ = c.newRequest(r, rawURL)
					req.User = user
					got, err = fn(req)
				}
			}
			return err
		})
		got.req, got.err = req, err
		_ = nc.SetReadDeadline(time.Unix(1, 0)) // before the answer: whoever has that resets it
		a.answer <- got
	})
	return nil
}

// answered does what the Handler said.
func (c *conn) answered(got answer) error {
	a := c.asking
	c.asking = nil
	if !c.until.IsZero() {
		c.until = c.until.Add(time.Since(a.began))
	}
	_ = c.nc.SetDeadline(c.until)
	var login *loginError
	switch {
	case errors.Is(got.err, listen.ErrPanic):
		return got.err
	case errors.As(got.err, &login):
		return c.challenge(a, login)
	case got.err != nil:
		return c.refuse(a.r, a.name, got.err, a.publish)
	}
	return a.then(got)
}

// refuse tells the peer that what it wants it cannot have.
func (c *conn) refuse(r *wire.Request, name string, err error, publish bool) error {
	status, reason, text := refusal(err, publish)
	c.reply(r, &reply{status: status, reason: reason, header: fields("Connection", "Close"), body: []byte(text)})
	return &refusedError{name, err}
}
