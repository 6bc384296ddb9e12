package rtsp

import (
	"errors"
	"fmt"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

var (
	ErrServerClosed = errors.New("rtsp: server closed") // Serve, after its context is done
	ErrProtocol     = wire.ErrInvalid                   // the peer broke the protocol or exceeded a limit
)

// errLeft ends a session whose peer said goodbye.
var errLeft = errors.New("rtsp: peer left")

// A StatusError is what a peer's server refused us with. It unwraps to the
// error of package source that says the same, if there is one.
type StatusError struct {
	Status int    // such as 404
	Reason string // the reason phrase; may be empty
}

func (e *StatusError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("rtsp: status %d", e.Status)
	}
	return fmt.Sprintf("rtsp: status %d %s", e.Status, e.Reason)
}

// Unwrap returns the error that a [source.Handler] would have given, or nil.
func (e *StatusError) Unwrap() error {
	switch e.Status {
	case 401, 407:
		return source.ErrUnauthorized
	case 403:
		return source.ErrForbidden
	case 404, 410, 454:
		return source.ErrNotFound
	case 406:
		return source.ErrBusy
	case 453, 503:
		return source.ErrLimit
	case 405, 415, 461, 501, 505, 551:
		return source.ErrUnsupported
	case 408, 504:
		return source.ErrTimeout
	}
	return nil
}

// refusal returns with which status a peer is told that a Handler refused it
// with err, and the text for people.
func refusal(err error, publish bool) (status int, reason, text string) {
	switch {
	case errors.Is(err, source.ErrUnauthorized):
		status, text = 401, "Not authorized."
	case errors.Is(err, source.ErrForbidden), errors.Is(err, source.ErrBadKey):
		status, text = 403, "Forbidden."
	case publish && errors.Is(err, source.ErrBusy):
		status, text = 406, "Already publishing."
	case errors.Is(err, udp.ErrNoPorts):
		status, text = 503, "No ports left."
	case errors.Is(err, source.ErrClosed):
		status, text = 503, "Going away."
	case errors.Is(err, source.ErrLimit):
		status, text = wire.StatusNotEnoughBandwidth, "Too many sessions."
	case errors.Is(err, source.ErrUnsupported):
		status, text = 415, "Nothing of this stream can be sent."
	case publish:
		status, text = 500, "Publishing failed."
	case errors.Is(err, source.ErrNotFound), errors.Is(err, source.ErrTimeout):
		status, reason, text = 404, "Stream Not Found", "No such stream."
	default:
		status, text = 500, "Playing failed."
	}
	if t := source.RefusalText(err); t != "" {
		text = t
	}
	return status, reason, text
}

// A refusedError ends a connection whose publish or play was refused; the peer
// has been told.
type refusedError struct {
	name string // of the stream
	err  error
}

func (e *refusedError) Error() string { return "rtsp: refused: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }
