package auth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mediakit-go/mediakit/source"
)

// MaxFailures is how many wrong answers a connection may give. Then it should be
// closed.
const MaxFailures = 5

// Both wrap source.ErrUnauthorized.
var (
	// ErrMissing is for a request without credentials: the client was not asked
	// yet, which is no failure.
	ErrMissing = fmt.Errorf("%w: no credentials", source.ErrUnauthorized)
	// ErrWrong is for everything that is not the right answer: what was wrong
	// about it is nobody's business.
	ErrWrong = fmt.Errorf("%w: wrong credentials", source.ErrUnauthorized)
)

// maxUser is the length up to which names of users are looked up, in bytes.
const maxUser = 256

// A Verifier makes challenges and verifies the answers. The zero value is ready
// for use by several goroutines, and must not be copied then. What one has
// challenged only the same one verifies.
type Verifier struct {
	once sync.Once
	mint *mint
}

func (v *Verifier) init() { v.once.Do(func() { v.mint = newMint() }) }

// Challenge returns the values of the WWW-Authenticate headers for c, in the
// order in which they are to be sent: of several, ffmpeg knows the last one
// only, and it does not know SHA-256. With stale, the answer was right but for
// its age, and the client need not ask its user again.
func (v *Verifier) Challenge(c *source.Challenge, stale bool) []string {
	v.init()
	realm := quote(c.Realm)
	if c.Basic {
		return []string{"Basic realm=" + realm}
	}
	// One nonce for both: there are clients that mix the two up.
	nonce := v.mint.nonce(c.Realm)
	var all []string
	for _, a := range []algorithm{algorithmSHA256, algorithmMD5} {
		if c.MD5 && a != algorithmMD5 {
			continue
		}
		s := fmt.Sprintf(`Digest realm=%s, nonce="%s"`, realm, nonce)
		if a != algorithmMD5 { // which is understood, even by clients that know of no others
			s += ", algorithm=" + string(a)
		}
		if stale {
			s += ", stale=true"
		}
		all = append(all, s)
	}
	return all
}

// Verify verifies the Authorization header of a request with the given method
// and URL, as the client sent them, and returns who that is. The error is
// ErrMissing, ErrWrong, or that of ctx. With stale, which comes with ErrWrong,
// the client has the password but used an old nonce: it is to be challenged
// again, and this is no failure.
//
// What a client answers must be for the path it requests, and for the method,
// or for DESCRIBE: some use that for all methods.
func (v *Verifier) Verify(ctx context.Context, c *source.Challenge, authorization, method, url string) (user string, stale bool, err error) {
	v.init()
	scheme, rest, _ := strings.Cut(strings.Trim(authorization, " \t"), " ")
	switch {
	case scheme == "":
		return "", false, ErrMissing
	case c.Basic && strings.EqualFold(scheme, "Basic"):
		user, err = verifyBasic(ctx, c, rest)
	case !c.Basic && strings.EqualFold(scheme, "Digest"):
		user, stale, err = v.verifyDigest(ctx, c, rest, method, url)
	default:
		err = ErrWrong
	}
	if err != nil {
		user = ""
	}
	return user, stale, err
}

// verifyBasic verifies a clear-text password.
func verifyBasic(ctx context.Context, c *source.Challenge, credentials string) (user string, err error) {
	b, err := base64.StdEncoding.DecodeString(strings.Trim(credentials, " \t"))
	if err != nil {
		return "", ErrWrong
	}
	user, password, ok := strings.Cut(string(b), ":")
	if !ok || len(user) > maxUser {
		return "", ErrWrong
	}
	secret, hashed, known, err := lookUp(ctx, c, user, true)
	if err != nil {
		return "", err
	}
	if hashed {
		password = algorithmOf(secret).sum(user, c.Realm, password)
		secret = strings.ToLower(secret)
	}
	if !equal(password, secret) || !known {
		return "", ErrWrong
	}
	return user, nil
}

// verifyDigest verifies a digest.
func (v *Verifier) verifyDigest(ctx context.Context, c *source.Challenge, credentials, method, url string) (user string, stale bool, err error) {
	d, ok := parseDigest(credentials)
	if !ok || len(d.user) > maxUser || d.realm != c.Realm || !sameURI(method, url, d.uri) {
		return "", false, ErrWrong
	}
	secret, hashed, known, err := lookUp(ctx, c, d.user, false)
	if err != nil {
		return "", false, err
	}
	ha1 := strings.ToLower(secret)
	if !hashed {
		ha1 = d.algorithm.sum(d.user, c.Realm, secret)
	}
	right := equal(d.response, d.want(ha1, method))
	right = equal(d.response, d.want(ha1, "DESCRIBE")) || right
	switch {
	case !right || !known:
		return "", false, ErrWrong
	case !v.mint.fresh(d.nonce, c.Realm):
		return "", true, ErrWrong
	}
	return d.user, false, nil
}

// lookUp returns a user's secret. For a user that is not known it returns one
// that fits nothing, so that it takes as long to find that out.
func lookUp(ctx context.Context, c *source.Challenge, user string, plain bool) (secret string, hashed, known bool, err error) {
	err = errors.New("nobody knows anybody")
	if c.Secret != nil {
		secret, hashed, err = c.Secret(ctx, user, plain)
	}
	if ctx.Err() != nil {
		return "", false, false, ctx.Err()
	}
	if err != nil || secret == "" {
		return "\x00nobody", false, false, nil
	}
	return secret, hashed, true, nil
}

// equal compares in a time that does not depend on the contents.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
