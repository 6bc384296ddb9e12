package livehttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// errShutdown is what viewers are told after Shutdown was called.
var errShutdown = source.Refuse(source.ErrClosed, "server is shutting down")

// statusOf returns the HTTP status for an error of a source.Handler.
func statusOf(err error) int {
	switch {
	case errors.Is(err, source.ErrUnauthorized):
		return http.StatusUnauthorized
	case errors.Is(err, source.ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, source.ErrNotFound), errors.Is(err, source.ErrBadKey):
		return http.StatusNotFound
	case errors.Is(err, source.ErrUnsupported):
		return http.StatusNotAcceptable
	case errors.Is(err, source.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, source.ErrLimit), errors.Is(err, source.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// closeCodeOf returns the WebSocket status for an error of a source.Handler, and
// for the end of a session.
func closeCodeOf(err error) int {
	if errors.Is(err, errShutdown) {
		return closeGoingAway
	}
	switch statusOf(err) {
	case http.StatusInternalServerError, http.StatusGatewayTimeout:
		return closeInternal
	case http.StatusServiceUnavailable:
		return closeTryLater
	}
	return closePolicy
}

// textOf returns what the peer is told of err: the text meant for it, else what
// the status says. The error's own text stays here; it may name other hosts.
func textOf(err error) string {
	if s := source.RefusalText(err); s != "" {
		return s
	}
	return http.StatusText(statusOf(err))
}

// Refuse answers a request with an error.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding"} {
		h.Del(name)
	}
	var c *source.Challenge
	if errors.As(err, &c) && basicAllowed(c, r) {
		h.Set("WWW-Authenticate", fmt.Sprintf(`Basic realm="%s", charset="UTF-8"`, quotable(c.Realm)))
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Del("Connection")
	w.WriteHeader(statusOf(err))
	_, _ = io.WriteString(w, textOf(err)+"\n")
}

// quotable returns s without what may not stand in a quoted string (RFC 9110,
// section 5.6.4).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
