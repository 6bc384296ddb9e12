package livehttp

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// basicAllowed reports whether a clear-text password may be asked for.
func basicAllowed(c *source.Challenge, r *http.Request) bool { return c.Basic || r.TLS != nil }

// Play asks h for the stream, a second time if it challenged and the request has
// an answer. ErrUnauthorized from here on means that it has none, or a wrong one.
func Play(ctx context.Context, h source.Handler, r *http.Request, req *source.Request) (source.Reader, error) {
	if h == nil {
		return nil, source.ErrNotFound
	}
	rd, err := h.Play(ctx, req)
	var c *source.Challenge
	if !errors.As(err, &c) {
		return rd, err
	}
	user, password, ok := r.BasicAuth()
	if !ok || !basicAllowed(c, r) || !verify(ctx, c, user, password) {
		return nil, err
	}
	req.User = user
	return h.Play(ctx, req)
}

// verify compares a password with the right one, which may be known as HA1 (RFC
// 7616, section 3.4.2) only. The time it takes tells nothing about the latter.
func verify(ctx context.Context, c *source.Challenge, user, password string) bool {
	if c.Secret == nil {
		return false
	}
	secret, hashed, err := c.Secret(ctx, user, true)
	if hashed {
		sum := md5.Sum([]byte(user + ":" + c.Realm + ":" + password))
		password, secret = hex.EncodeToString(sum[:]), strings.ToLower(secret)
	}
	a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && err == nil
}
