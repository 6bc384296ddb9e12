package livehttp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	defaultSilence = 15 * time.Second
	maxAnswer      = 64 << 10 // bytes of a response header
	userAgent      = "MediaKit"
)

// A Client asks HTTP and WebSocket servers for live streams. The zero value is
// ready for use.
type Client struct {
	HTTP        *http.Client  // nil: one of our own for each stream, with the proxy of the environment
	Header      http.Header   // sent with the request
	ReadTimeout time.Duration // longest silence of the server; 0 means 15 s, negative no limit
}

// Open asks for u, which is http, https, ws or wss, and returns when the server
// has answered. Redirects are followed. What the server refuses is a
// *StatusError. ctx is for opening only.
func (c *Client) Open(ctx context.Context, u *url.URL) (*Body, error) {
	b := &Body{timeout: c.ReadTimeout}
	if b.timeout == 0 {
		b.timeout = defaultSilence
	}
	b.ctx, b.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { b.cancel(context.Cause(ctx)) })
	b.alarm()
	var err error
	switch u.Scheme {
	case "http", "https":
		err = c.get(b, u)
	case "ws", "wss":
		err = c.dial(b, u)
	default:
		err = fmt.Errorf("%w: scheme %q", source.ErrUnsupported, u.Scheme)
	}
	b.rest()
	if !stop() {
		<-b.ctx.Done() // it has begun
	}
	if err = b.why(err); err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// OpenURL parses rawURL, asks for it, and makes a Reader of the answer, which
// knows its tracks. probe reads ahead for these until ctx ends. Errors begin with
// the name of the format, "flv".
func OpenURL[R source.Reader](ctx context.Context, c *Client, name, rawURL string, probe func(context.Context, *Body) (R, error)) (r R, err error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	b, err := c.Open(ctx, u)
	if err == nil {
		if r, err = probe(ctx, b); err == nil {
			return r, nil
		}
		_ = b.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	var none R
	return none, fmt.Errorf("%s: open %s: %w", name, u.Redacted(), err)
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

// header returns what is sent with a request.
func (c *Client) header() http.Header {
	h := make(http.Header, len(c.Header)+1)
	h.Set("User-Agent", userAgent)
	for name, vs := range c.Header {
		h[name] = vs
	}
	return h
}

// get asks over HTTP.
func (c *Client) get(b *Body, u *url.URL) error {
	req, err := http.NewRequestWithContext(b.ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header = c.header()
	resp, err := c.client().Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it repeats the URL
			err = ue.Err
		}
		return err
	}
	b.body = resp.Body
	b.contentType = resp.Header.Get("Content-Type")
	if resp.StatusCode != http.StatusOK {
		return Refusal(resp)
	}
	return nil
}

// A Body is the stream that a server sends. It ends with an error when the server
// is silent for too long while somebody reads.
type Body struct {
	ctx         context.Context
	cancel      context.CancelCauseFunc
	timeout     time.Duration
	timer       *time.Timer   // nil without a limit
	body        io.ReadCloser // nil until there is an answer
	contentType string
	closed      atomic.Bool
}

// ContentType returns what the server said that it sends; "" over WebSocket.
func (b *Body) ContentType() string { return b.contentType }

// alarm starts to wait for a sign of life.
func (b *Body) alarm() {
	if b.timeout < 0 {
		return
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(b.timeout, func() {
			b.cancel(fmt.Errorf("%w: nothing in %v", source.ErrTimeout, b.timeout))
		})
		return
	}
	b.timer.Reset(b.timeout)
}

// rest stops waiting.
func (b *Body) rest() {
	if b.timer != nil {
		b.timer.Stop()
	}
}

// Read reads what the server sends.
func (b *Body) Read(p []byte) (int, error) {
	b.alarm()
	n, err := b.body.Read(p)
	b.rest()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.why(err)
	}
	return n, err
}

// why returns the reason for which we ended the stream, else err.
func (b *Body) why(err error) error { return cmp.Or(context.Cause(b.ctx), err) }

// Close ends the connection; a blocked Read returns.
func (b *Body) Close() error {
	b.rest()
	b.cancel(source.ErrClosed)
	if b.body == nil || b.closed.Swap(true) {
		return nil
	}
	return b.body.Close()
}
