package player

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/source"
)

// openHTTP opens a live FLV stream.
func (c *Client) openHTTP(ctx context.Context, rawURL string) (source.Reader, error) {
	if u, err := url.Parse(rawURL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("player: %w: not a URL with a host", source.ErrBadKey)
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("player: %w: no stream in %v", source.ErrTimeout, c.Timeout))
		defer cancel()
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            c.Dial,
		TLSClientConfig:        c.TLSConfig.Clone(),
		TLSHandshakeTimeout:    10 * time.Second,
		DisableKeepAlives:      true, // there is nothing to ask the server after a live stream
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return (&flv.Client{
		HTTP:        &http.Client{Transport: flvOnly{transport}},
		Header:      c.Header,
		ReadTimeout: c.ReadTimeout,
	}).Open(ctx, rawURL)
}

// flvOnly looks at how an answer begins and fails with what it is instead of
// FLV.
type flvOnly struct{ http.RoundTripper }

// minFLV is the length of an FLV header: any stream has so many bytes.
const minFLV = 9

func (t flvOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	b := make([]byte, sniffLen)
	n, _ := io.ReadAtLeast(resp.Body, b, minFLV) // an error comes again
	if b = b[:n]; n >= minFLV {
		if err := notFLV(b); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(b), resp.Body), resp.Body}
	return resp, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}
