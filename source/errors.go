package source

import (
	"context"
	"errors"
)

// What callers branch on. Every server maps these to its own wire codes.
var (
	ErrNotFound     = errors.New("source: no such stream")
	ErrUnauthorized = errors.New("source: not authorized")
	ErrForbidden    = errors.New("source: forbidden")
	ErrBusy         = errors.New("source: stream is already being published")
	ErrBadKey       = errors.New("source: bad stream name")
	ErrLimit        = errors.New("source: limit reached")
	ErrLagged       = errors.New("source: viewer too slow")
	ErrStalled      = errors.New("source: viewer makes no progress")
	ErrClosed       = errors.New("source: closed")
	ErrIdle         = errors.New("source: closed for nobody watched")
	ErrTimeout      = errors.New("source: timed out")
	ErrKicked       = errors.New("source: ended by the operator")
	ErrUnsupported  = errors.New("source: not supported")
	ErrNewFormat    = errors.New("source: a stream changed in a way its viewers cannot follow") // see Muxer
)

// Refuse returns an error that unwraps to err and carries the text the peer is
// told. Handlers return it; they know no protocol.
func Refuse(err error, text string) error { return &refusal{err, text} }

type refusal struct {
	err  error
	text string
}

func (r *refusal) Error() string { return r.err.Error() + ": " + r.text }
func (r *refusal) Unwrap() error { return r.err }

// RefusalText returns the text for the peer from an error made by [Refuse], or
// "" if there is none.
func RefusalText(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.text
	}
	return ""
}

// A Challenge is an error with which a Handler asks for a login. A server whose
// protocol can challenge does so, verifies the answer in constant time, sets
// Request.User and asks again; any other treats it as ErrUnauthorized.
type Challenge struct {
	Realm string
	Basic bool // ask for a clear-text password instead of a digest
	MD5   bool // ask for digests with MD5 only, not also with SHA-256: Secret has hashes made with that
	// Secret returns user's password, or with hashed the HA1 of RFC 7616.
	// plain says that only a clear-text password can be used.
	Secret func(ctx context.Context, user string, plain bool) (secret string, hashed bool, err error)
}

func (c *Challenge) Error() string { return "source: login required for " + c.Realm }

// Unwrap returns ErrUnauthorized.
func (c *Challenge) Unwrap() error { return ErrUnauthorized }
