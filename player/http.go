package player

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// within bounds ctx by the client's Timeout, if it has one.
func (c *Client) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("player: %w: no stream in %v", source.ErrTimeout, c.Timeout))
}

// transport returns a transport of our own.
func (c *Client) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            c.Dial,
		TLSClientConfig:        c.TLSConfig.Clone(),
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// openHTTP opens what a server has, by HTTP or WebSocket.
func (c *Client) openHTTP(ctx context.Context, rawURL string) (source.Reader, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("player: %w: not a URL with a host", source.ErrBadKey)
	}
	ctx, cancel := c.within(ctx)
	defer cancel()
	switch ext := strings.ToLower(path.Ext(u.Path)); ext {
	case ".m3u8", ".m3u":
		return c.openHLS(ctx, rawURL)
	}
	t := c.transport()
	t.DisableKeepAlives = true // there is nothing to ask the server after a stream
	t.DisableCompression = true
	lc := &livehttp.Client{HTTP: &http.Client{Transport: t}, Header: c.Header, ReadTimeout: c.ReadTimeout}
	playlist := false
	r, err := livehttp.OpenURL(ctx, lc, "player", rawURL, func(ctx context.Context, b *livehttp.Body) (source.Reader, error) {
		stop := context.AfterFunc(ctx, func() { _ = b.Close() })
		defer stop()
		r, err := c.openBody(ctx, b, u)
		playlist = r == nil && err == nil
		return r, err
	})
	if playlist {
		return c.openHLS(ctx, rawURL)
	}
	return r, err
}

// openBody opens what a server sends; nil means a playlist.
func (c *Client) openBody(ctx context.Context, b *livehttp.Body, u *url.URL) (source.Reader, error) {
	head, body, err := peek(b)
	if err != nil {
		return nil, err
	}
	if len(head) < sniffMin {
		return nil, fmt.Errorf("%d bytes: %w", len(head), io.ErrUnexpectedEOF)
	}
	is, err := sniff(head)
	if cut := calledFormat(b.ContentType(), u.Path); err != nil && cut != 0 {
		is, err = cut, nil
	}
	if err != nil {
		return nil, err
	}
	if is == formatHLS {
		_ = b.Close()
		return nil, nil
	}
	r, err := newReader(is, body)
	if err != nil {
		return nil, err
	}
	return begun(ctx, r)
}

// calledFormat returns what a server says that something is which may have been cut
// anywhere; 0 if it does not say that.
func calledFormat(contentType, name string) format {
	contentType, _, _ = strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(contentType) {
	case "video/mp2t":
		return formatTS
	case "video/mp2p", "video/mpeg":
		return formatPS
	}
	return formatOf(kindOf(name))
}

// begun waits until r knows its tracks.
func begun(ctx context.Context, r source.Reader) (source.Reader, error) {
	if len(r.Tracks()) > 0 {
		return r, nil
	}
	f, err := r.ReadFrame(ctx)
	if err == io.EOF { // it is an empty one
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return &returned{Reader: r, first: f}, nil
}

// A returned is a Reader of which a frame was read.
type returned struct {
	source.Reader
	first *codec.Frame // nil when it has been read again
}

// Unwrap returns the Reader of the frames behind it.
func (r *returned) Unwrap() source.Reader { return r.Reader }

func (r *returned) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if f := r.first; f != nil {
		r.first = nil
		return f, nil
	}
	return r.Reader.ReadFrame(ctx)
}

// openHLS opens an HLS stream.
func (c *Client) openHLS(ctx context.Context, rawURL string) (source.Reader, error) {
	t := c.transport()
	t.ForceAttemptHTTP2 = true
	t.IdleConnTimeout = time.Minute
	r, err := (&hls.Client{
		HTTP: &http.Client{Transport: t, Jar: livehttp.NewJar()}, Header: c.Header,
		ReadTimeout: c.ReadTimeout, MaxBandwidth: c.MaxBandwidth, Logger: c.Logger,
	}).Open(ctx, rawURL)
	if err != nil {
		t.CloseIdleConnections()
		return nil, err
	}
	live := r.(*hls.Reader).Live()
	r = &connected{Reader: r, idle: t.CloseIdleConnections}
	if c.Paced && !live {
		r = source.Pace(r)
	}
	return r, nil
}

// A connected is a Reader whose connections stay open between requests.
type connected struct {
	source.Reader
	idle func()
}

// Unwrap returns the Reader without its connections.
func (c *connected) Unwrap() source.Reader { return c.Reader }

func (c *connected) Close() error {
	err := c.Reader.Close()
	c.idle()
	return err
}

// openUDP receives a transport stream.
func (c *Client) openUDP(ctx context.Context, rawURL string) (source.Reader, error) {
	ctx, cancel := c.within(ctx)
	defer cancel()
	return (&ts.Listener{ReadTimeout: c.ReadTimeout, Logger: c.Logger}).Open(ctx, rawURL)
}
