package livehttp

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// maxText is how many bytes of the text of a refusal are kept.
const maxText = 256

// A StatusError is what a server refused the stream with.
type StatusError struct {
	Code int    // HTTP status, or status of the WebSocket CLOSE frame (1000 and above)
	Text string // for people; may be empty
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("server answered %d %s", e.Code, cmp.Or(e.Text, http.StatusText(e.Code)))
}

// Unwrap returns source.ErrUnauthorized, ErrForbidden, ErrNotFound or ErrLimit
// where the status means that, else nil.
func (e *StatusError) Unwrap() error {
	switch e.Code {
	case http.StatusUnauthorized:
		return source.ErrUnauthorized
	case http.StatusForbidden:
		return source.ErrForbidden
	case http.StatusNotFound, http.StatusGone:
		return source.ErrNotFound
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return source.ErrLimit
	}
	return nil
}

// Refusal returns what resp, which is no success, says as an error: a *StatusError.
func Refusal(resp *http.Response) error {
	e := &StatusError{Code: resp.StatusCode}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxText))
		line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
		e.Text = strings.ToValidUTF8(string(line), "")
	}
	return e
}
