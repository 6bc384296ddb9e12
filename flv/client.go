package flv

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/mediakit-go/mediakit/source"
)

const (
	defaultSilence = 15 * time.Second
	maxAnswer      = 64 << 10 // bytes of a response header
	maxText        = 256      // bytes of a refusal that are kept
)

// A Client pulls live FLV from HTTP and WebSocket servers. The zero value is
// ready for use.
type Client struct {
	HTTP        *http.Client  // nil: one of our own for each stream, with the proxy of the environment
	Header      http.Header   // sent with the request
	ReadTimeout time.Duration // longest silence of the server; 0 means 15 s, negative no limit
	MaxTagSize  int           // see Reader
}

// Open pulls url with a zero [Client].
func Open(ctx context.Context, url string) (source.Reader, error) {
	return (&Client{}).Open(ctx, url)
}

// Open pulls url, which is http, https, ws or wss, and returns when the tracks
// are known. Redirects are followed. What the server refuses is a *StatusError.
// ctx is for opening only.
func (c *Client) Open(ctx context.Context, rawURL string) (source.Reader, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("flv: %w", err)
	}
	p := &pull{timeout: c.ReadTimeout}
	if p.timeout == 0 {
		p.timeout = defaultSilence
	}
	p.ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { p.cancel(context.Cause(ctx)) })()
	p.alarm()
	switch u.Scheme {
	case "http", "https":
		err = c.get(p, u)
	case "ws", "wss":
		err = c.dial(p, u)
	default:
		err = fmt.Errorf("%w: scheme %q", source.ErrUnsupported, u.Scheme)
	}
	if err == nil {
		r := NewReader(p)
		r.MaxTagSize = c.MaxTagSize
		if r.probe(ctx); r.err == nil || len(r.queue) > 0 {
			return r, nil
		}
		err = r.err
	}
	err = p.why(err)
	_ = p.Close()
	return nil, fmt.Errorf("flv: open %s: %w", u.Redacted(), err)
}

// client returns the http.Client to use. Ours keeps no connection: there is
// nothing to ask the server after a live stream.
func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxAnswer, TLSHandshakeTimeout: 10 * time.Second,
	}}
}

// get opens a stream over HTTP.
func (c *Client) get(p *pull, u *url.URL) error {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	for name, vs := range c.Header {
		req.Header[name] = vs
	}
	resp, err := c.client().Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it repeats the URL
			err = ue.Err
		}
		return err
	}
	p.body = resp.Body
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	return nil
}

// refusal returns what resp says as an error.
func refusal(resp *http.Response) error {
	e := &StatusError{Code: resp.StatusCode}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, maxText))
		line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte("\n"))
		e.Text = strings.ToValidUTF8(string(line), "")
	}
	return e
}

// dial opens a stream over WebSocket.
func (c *Client) dial(p *pull, u *url.URL) error {
	conn, resp, err := websocket.Dial(p.ctx, u.String(), &websocket.DialOptions{
		HTTPClient: c.client(), HTTPHeader: c.Header, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return refusal(resp)
		}
		return err
	}
	conn.SetReadLimit(-1) // messages are a stream to us: nothing is kept of them
	p.body = &messages{ctx: p.ctx, conn: conn}
	return nil
}

// A StatusError is what a server refused the stream with.
type StatusError struct {
	Code int    // HTTP status, or status of the WebSocket CLOSE frame (1000 and above)
	Text string // for people; may be empty
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("flv: server answered %d %s", e.Code, cmp.Or(e.Text, http.StatusText(e.Code)))
}

// Unwrap returns source.ErrUnauthorized, ErrForbidden, ErrNotFound or ErrLimit
// where the status means that, else nil.
func (e *StatusError) Unwrap() error {
	switch e.Code {
	case http.StatusUnauthorized:
		return source.ErrUnauthorized
	case http.StatusForbidden:
		return source.ErrForbidden
	case http.StatusNotFound:
		return source.ErrNotFound
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return source.ErrLimit
	}
	return nil
}

// A pull is the body of a server's answer, which ends when the server is silent
// for too long.
type pull struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timeout time.Duration
	timer   *time.Timer
	body    io.ReadCloser // nil until there is an answer
	closed  atomic.Bool
}

// alarm starts to wait for a sign of life.
func (p *pull) alarm() {
	if p.timeout < 0 {
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.timeout, func() {
			p.cancel(fmt.Errorf("%w: nothing in %v", source.ErrTimeout, p.timeout))
		})
		return
	}
	p.timer.Reset(p.timeout)
}

// Read reads from the body.
func (p *pull) Read(b []byte) (int, error) {
	p.alarm()
	n, err := p.body.Read(b)
	if p.timer != nil {
		p.timer.Stop()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = p.why(err)
	}
	return n, err
}

// why returns the reason for which we ended the pull, else err.
func (p *pull) why(err error) error { return cmp.Or(context.Cause(p.ctx), err) }

// Close ends the connection; a blocked Read returns.
func (p *pull) Close() error {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.cancel(source.ErrClosed)
	if p.body == nil || p.closed.Swap(true) {
		return nil
	}
	return p.body.Close()
}

// messages is the binary messages of a WebSocket as one stream of bytes.
type messages struct {
	ctx  context.Context
	conn *websocket.Conn
	r    io.Reader // of the message; nil between two
}

func (m *messages) Read(b []byte) (int, error) {
	for {
		if m.r == nil {
			kind, r, err := m.conn.Reader(m.ctx)
			if err == nil && kind != websocket.MessageBinary {
				_, err = io.Copy(io.Discard, r)
				r = nil
			}
			if err != nil {
				return 0, ended(err)
			}
			if m.r = r; r == nil {
				continue
			}
		}
		n, err := m.r.Read(b)
		switch {
		case errors.Is(err, io.EOF):
			m.r, err = nil, nil
		case err != nil:
			err = ended(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes the connection without waiting for the peer to agree.
func (m *messages) Close() error {
	_ = m.conn.CloseNow() // fails if it is closed already
	return nil
}

// ended returns io.EOF for the normal end of a WebSocket, a *StatusError for
// another, of which ours begin with the HTTP status.
func ended(err error) error {
	var e websocket.CloseError
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == websocket.StatusNormalClosure {
		return io.EOF
	}
	if len(e.Reason) > 4 && e.Reason[3] == ' ' {
		if code, err := strconv.Atoi(e.Reason[:3]); err == nil && code >= 400 {
			return &StatusError{Code: code, Text: e.Reason[4:]}
		}
	}
	return &StatusError{Code: int(e.Code), Text: e.Reason}
}
