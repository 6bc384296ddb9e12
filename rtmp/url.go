package rtmp

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// An address is a URL taken apart.
type address struct {
	secure   bool
	host     string // without port and brackets
	hostPort string
	user     *url.Userinfo // nil if there is none
	target
}

// parseURL takes apart rtmp[s]://host[:port]/app/stream[?params]. The app is the
// first element of the path, all the rest is the name: as it was written, with
// the parameters.
func parseURL(raw string) (address, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, fmt.Errorf("%w: not a URL", ErrURL) // err has the URL, and it may have a password
	}
	a := address{user: u.User, host: u.Hostname()}
	port := defaultPort
	switch u.Scheme {
	case "rtmp":
	case "rtmps":
		a.secure, port = true, "443"
	default:
		return address{}, fmt.Errorf("%w: scheme %q", ErrURL, u.Scheme)
	}
	if a.host == "" {
		return address{}, fmt.Errorf("%w: no host", ErrURL)
	}
	if p := u.Port(); p != "" {
		port = p
	}
	a.hostPort = net.JoinHostPort(a.host, port)
	_, path, _ := strings.Cut(raw, "://")
	_, path, _ = strings.Cut(path, "/")
	a.app, a.name, _ = strings.Cut(path, "/")
	if a.app == "" || a.name == "" {
		return address{}, fmt.Errorf("%w: need /app/stream", ErrURL)
	}
	a.tcURL = u.Scheme + "://" + u.Host + "/" + a.app
	return a, nil
}

// redirected returns the address of a for whose stream the server named another
// URL: a whole one, or one that ends with the app.
func (a address) redirected(raw string) (address, error) {
	b, err := parseURL(raw)
	if err != nil {
		b, err = parseURL(strings.TrimRight(raw, "/") + "/" + a.name)
	}
	b.user = a.user
	return b, err
}
