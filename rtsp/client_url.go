package rtsp

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/mediakit-go/mediakit/source"
)

// ErrURL is of a URL that is not rtsp://host/path. It unwraps to
// source.ErrBadKey: no other attempt mends that.
var ErrURL = fmt.Errorf("rtsp: bad URL: %w", source.ErrBadKey)

func badURL(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrURL}, args...)...)
}

// An address is a URL taken apart.
type address struct {
	secure   bool
	host     string // without port and brackets
	hostPort string
	url      string // as requests name it: without user and password
	user     string
	password string
	login    bool // there are a user and a password
}

// parseURL takes apart rtsp[s]://[user:password@]host[:port]/path[?query]. Path
// and query stay as they were written, and so do user and password where they
// are not percent-encoded: people copy "p@ss#1" from their camera as it is.
func parseURL(raw string) (address, error) {
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return address{}, badURL("blank or control character")
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return address{}, badURL("no scheme")
	}
	a := address{}
	port := "554"
	switch scheme = strings.ToLower(scheme); scheme {
	case "rtsp":
	case "rtsps":
		a.secure, port = true, "322"
	default:
		return address{}, badURL("scheme %q", scheme)
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	} else if i := strings.IndexByte(rest, '?'); i >= 0 && !strings.Contains(rest[i:], "@") {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		a.user, a.password, a.login = unescape(user), unescape(password), true
		authority = authority[i+1:]
	}
	u, err := url.Parse("//" + authority)
	if err != nil || u.Hostname() == "" || u.Host != authority {
		return address{}, badURL("no host") // err has the URL, and it may have a password
	}
	if p := u.Port(); p != "" {
		port = p
	}
	a.host = u.Hostname()
	a.hostPort = net.JoinHostPort(a.host, port)
	a.url = scheme + "://" + authority + path
	return a, nil
}

// unescape decodes what is percent-encoded, or returns s.
func unescape(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// redirected returns the address of the URL to which a's server sends us. The
// user and password go along to the same host only, and never from an encrypted
// connection to one that is not.
func (a address) redirected(raw string) (address, error) {
	b, err := parseURL(raw)
	if err == nil && !b.login && strings.EqualFold(a.host, b.host) && (b.secure || !a.secure) {
		b.user, b.password, b.login = a.user, a.password, a.login
	}
	return b, err
}

// controlURL returns the URL of a media or presentation whose control attribute
// is control, where base is what it is relative to. Servers mean by that: base, a
// slash, control, also where there is a query in base, and not what RFC 2396
// says of relative URLs.
func controlURL(base, control string) string {
	switch {
	case control == "" || control == "*":
		return base
	case isURL(control):
		return withoutUser(control)
	case strings.HasSuffix(base, "/") && strings.HasPrefix(control, "/"):
		return base + control[1:]
	case strings.HasSuffix(base, "/"), strings.HasPrefix(control, "/"), strings.HasPrefix(control, "?"):
		return base + control
	}
	return base + "/" + control
}

// isURL reports whether s is an absolute URL of a stream.
func isURL(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	return ok && (strings.EqualFold(scheme, "rtsp") || strings.EqualFold(scheme, "rtsps"))
}

// withoutUser returns a URL without user and password, as far as it is one.
func withoutUser(raw string) string {
	if a, err := parseURL(raw); err == nil {
		return a.url
	}
	return raw
}
