package rtsp

import (
	"errors"
	"log/slog"

	"github.com/mediakit-go/mediakit/rtsp/internal/auth"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A loginError is a challenge that was not met.
type loginError struct {
	challenge *source.Challenge
	stale     bool  // the answer was right, but too old
	err       error // what is wrong with the answer
}

func (e *loginError) Error() string { return "rtsp: login: " + e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// login returns the user whom r identifies in answer to challenge (RFC 2326, D.2,
// and RFC 7616).
func (c *conn) login(r *wire.Request, challenge *source.Challenge) (user string, err error) {
	user, stale, err := c.srv.auth.Verify(c.ctx, challenge, r.Header.Get("Authorization"), r.Method, r.URL)
	if err != nil {
		return "", &loginError{challenge, stale, err}
	}
	return user, nil
}

// challenge asks the peer to log in. It may try on this connection, not for ever.
func (c *conn) challenge(a *ask, e *loginError) error {
	answer := &reply{status: 401}
	for _, value := range c.srv.auth.Challenge(e.challenge, e.stale) {
		answer.header.Add("WWW-Authenticate", value)
	}
	var err error
	if errors.Is(e.err, auth.ErrWrong) && !e.stale {
		c.srv.stats.loginsFailed.Add(1)
		c.srv.listen.Print(slog.LevelWarn, "login failed", "stream", a.name, "remote", c.nc.RemoteAddr(), "error", e.err)
		if c.logins++; c.logins >= auth.MaxFailures {
			answer.header.Add("Connection", "Close")
			err = &refusedError{a.name, e}
		}
	}
	c.reply(a.r, answer)
	return err
}
