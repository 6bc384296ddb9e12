package rtmp

import (
	"errors"
	"fmt"

	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

var (
	ErrServerClosed = errors.New("rtmp: server closed") // Serve, after its context is done
	ErrHandshake    = handshake.ErrInvalid              // the peer does not speak RTMP
	ErrProtocol     = wire.ErrInvalid                   // the peer broke the protocol or exceeded a limit

	// ErrURL is of a URL that is not rtmp://host/app/stream. It unwraps to
	// source.ErrBadKey: no other attempt mends that.
	ErrURL = fmt.Errorf("rtmp: bad URL: %w", source.ErrBadKey)
)

// A StatusError is what a peer's server refused us with. It unwraps to the
// error of package source that says the same, if there is one.
type StatusError struct {
	Code string // such as "NetStream.Publish.BadName"
	Text string // for people; may be empty
}

func (e *StatusError) Error() string {
	if e.Text == "" {
		return "rtmp: " + e.Code
	}
	return "rtmp: " + e.Code + ": " + e.Text
}

// Unwrap returns the error that a [source.Handler] would have given, or nil.
func (e *StatusError) Unwrap() error {
	switch e.Code {
	case codePlayNotFound:
		return source.ErrNotFound
	case codePlayBadAuth, codePublishBadAuth, codeConnectRejected:
		return source.ErrUnauthorized
	case codePublishBadName:
		return source.ErrBusy
	}
	return nil
}
