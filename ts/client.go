package ts

import (
	"context"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// A Client pulls live transport streams from HTTP and WebSocket servers. The zero
// value is ready for use.
type Client struct {
	HTTP        *http.Client  // nil: one of our own for each stream, with the proxy of the environment
	Header      http.Header   // sent with the request
	ReadTimeout time.Duration // longest silence of the server; 0 means 15 s, negative no limit
}

// A StatusError is what a server refused the stream with.
type StatusError = livehttp.StatusError

// Open pulls url with a zero [Client].
func Open(ctx context.Context, url string) (source.Reader, error) {
	return (&Client{}).Open(ctx, url)
}

// Open pulls url, which is http, https, ws or wss, and returns when the tracks
// are known. Redirects are followed. What the server refuses is a *StatusError.
// ctx is for opening only.
func (c *Client) Open(ctx context.Context, url string) (source.Reader, error) {
	return livehttp.OpenURL(ctx, (*livehttp.Client)(c), "ts", url, func(ctx context.Context, b *livehttp.Body) (source.Reader, error) {
		r := NewReader(b)
		return r, r.in.Ahead.LookAhead(ctx)
	})
}
