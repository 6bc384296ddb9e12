package rtsp

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
)

// What the two requests of a tunnel say.
const (
	tunnelType   = "application/x-rtsp-tunnelled"
	tunnelLength = "32767"  // of the request that has no end: there must be a length
	maxTunnelled = 64 << 10 // bytes of the headers of an answer
)

// A tunnel is a connection by two HTTP requests: what the server says is the
// answer to a GET, and what we say is the body of a POST, in base64. A cookie
// tells the server that they belong together.
type tunnel struct {
	net.Conn               // of the GET
	in       *bufio.Reader // from there
	up       net.Conn      // of the POST
	out      []byte        // kept for its memory
}

// connect connects to a, directly or through a tunnel.
func (c *Client) connect(ctx context.Context, a address, t Transport) (net.Conn, error) {
	ctx, cancel := within(ctx, c.timeout())
	defer cancel()
	if t != TransportHTTP {
		return c.dial(ctx, a)
	}
	l := c.loginFor(a)
	for sent := ""; ; {
		nc, res, err := c.dig(ctx, a, l)
		if err != nil {
			return nil, c.verdict(ctx, err)
		}
		if nc != nil {
			return nc, nil
		}
		again, _ := l.learn(res.Header.Values("WWW-Authenticate"), sent)
		if res.StatusCode != http.StatusUnauthorized || !again || sent != "" {
			return nil, &StatusError{Status: res.StatusCode, Reason: http.StatusText(res.StatusCode)}
		}
		sent = "once"
	}
}

// dig makes a tunnel to a. If the server refuses, its answer is returned.
func (c *Client) dig(ctx context.Context, a address, l *login) (net.Conn, *http.Response, error) {
	cookie := rand.Text()
	down, err := c.dial(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	limited := &io.LimitedReader{R: down, N: maxTunnelled}
	t := &tunnel{Conn: down, in: bufio.NewReader(limited)}
	var res *http.Response
	err = during(ctx, down, func() error {
		if _, err := down.Write(c.tunnelRequest(http.MethodGet, a, l, cookie, "Accept: "+tunnelType)); err != nil {
			return err
		}
		res, err = http.ReadResponse(t.in, nil) // the body goes on
		return err
	})
	if err != nil || res.StatusCode != http.StatusOK {
		_ = down.Close()
		return nil, res, err
	}
	limited.N = math.MaxInt64
	if t.up, err = c.dial(ctx, a); err != nil {
		_ = down.Close()
		return nil, nil, err
	}
	err = during(ctx, t.up, func() error {
		_, err := t.up.Write(c.tunnelRequest(http.MethodPost, a, l, cookie, "Content-Type: "+tunnelType, "Content-Length: "+tunnelLength))
		return err
	})
	if err != nil {
		_ = t.Close()
		return nil, nil, err
	}
	return t, nil, nil
}

// tunnelRequest returns one of the requests, whose answer or body has no end.
func (c *Client) tunnelRequest(method string, a address, l *login, cookie string, headers ...string) []byte {
	_, path, _ := strings.Cut(a.url, "://")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		path = path[i:]
	} else {
		path = "/"
	}
	headers = append([]string{
		method + " " + path + " HTTP/1.1",
		"Host: " + a.hostPort,
		"User-Agent: " + c.agent(),
		"x-sessioncookie: " + cookie,
		"Pragma: no-cache",
		"Cache-Control: no-cache",
	}, headers...)
	if authorization := l.authorization(method, path); authorization != "" {
		headers = append(headers, "Authorization: "+authorization)
	}
	return []byte(strings.Join(headers, "\r\n") + "\r\n\r\n")
}

// during calls f, whose reads and writes of nc fail when ctx is done.
func during(ctx context.Context, nc net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	err := f()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// Read reads what the server says.
func (t *tunnel) Read(b []byte) (int, error) { return t.in.Read(b) }

// Write says something to the server. Each call is a whole in base64.
func (t *tunnel) Write(b []byte) (int, error) {
	t.out = base64.StdEncoding.AppendEncode(t.out[:0], b)
	n, err := t.up.Write(t.out)
	if err != nil {
		return base64.StdEncoding.DecodedLen(n), err
	}
	return len(b), nil
}

// Close closes both connections.
func (t *tunnel) Close() error {
	err := t.Conn.Close()
	_ = t.up.Close()
	return err
}

// SetDeadline sets both deadlines.
func (t *tunnel) SetDeadline(at time.Time) error {
	_ = t.up.SetDeadline(at)
	return t.Conn.SetDeadline(at)
}

// SetWriteDeadline sets the deadline of Write.
func (t *tunnel) SetWriteDeadline(at time.Time) error { return t.up.SetWriteDeadline(at) }
