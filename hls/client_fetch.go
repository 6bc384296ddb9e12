package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

const (
	defaultReadTimeout = 15 * time.Second
	maxHeader          = 64 << 10 // bytes of a response's
	attempts           = 3        // at a resource, before it counts as missing
	firstPause         = 250 * time.Millisecond
)

// A StatusError is what a server refused a request with.
type StatusError = livehttp.StatusError

// A fetcher gets what a stream is made of.
type fetcher struct{ livehttp.Fetcher }

// resolve returns what ref is, seen from base, if it can be fetched.
func resolve(base *url.URL, ref string) (*url.URL, error) {
	u, err := base.Parse(ref)
	if err != nil {
		return nil, invalid("%.128q is no URI", ref)
	}
	return u, checkScheme(u)
}

func checkScheme(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%w: scheme %.32q", source.ErrUnsupported, u.Scheme)
	}
	if u.Host == "" {
		return fmt.Errorf("%w: not a URL with a host", source.ErrBadKey)
	}
	return nil
}

// get asks for length bytes of u that begin at from; for all of it if length is
// negative. budget bounds how long the answer is waited for in all; 0 is no
// limit.
func (f *fetcher) get(ctx context.Context, u *url.URL, from, length int64, budget time.Duration) (*download, error) {
	what := livehttp.Fetch{
		URL: u, Budget: budget, OK: []int{http.StatusOK},
		Header: http.Header{"Accept-Encoding": {"identity"}}, // offsets are those of the resource
	}
	if from > 0 || length >= 0 {
		end := ""
		if length >= 0 {
			end = strconv.FormatInt(from+length-1, 10)
		}
		what.Header.Set("Range", fmt.Sprintf("bytes=%d-%s", from, end))
		what.OK = append(what.OK, http.StatusPartialContent)
	}
	a, err := f.Do(ctx, what)
	if err != nil {
		return nil, err
	}
	d := &download{Answer: a, left: length}
	if a.Status == http.StatusOK { // it does not know ranges
		d.skip = from
	} else if at, _, ok := livehttp.ContentRange(a.Header); !ok || at != from {
		_ = a.Close()
		return nil, invalid("the server sent another range: %.64q", a.Header.Get("Content-Range"))
	}
	return d, nil
}

// playlist returns a playlist, without its first line, and where it was found in
// the end.
func (f *fetcher) playlist(ctx context.Context, u *url.URL) ([]byte, *url.URL, error) {
	a, err := f.Do(ctx, livehttp.Fetch{URL: u, Budget: 2 * max(f.Silence, 0), OK: []int{http.StatusOK}})
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	b, err := io.ReadAll(io.LimitReader(a, maxPlaylist+1))
	switch {
	case err != nil:
		return nil, nil, err
	case len(b) > maxPlaylist:
		return nil, nil, fmt.Errorf("%w: a playlist of more than %d bytes", source.ErrLimit, maxPlaylist)
	}
	b, err = checkPlaylist(b)
	return b, a.URL, err
}

// final reports whether asking again is of no use.
func final(err error) bool {
	var e *StatusError
	if errors.As(err, &e) {
		switch e.Code {
		case http.StatusNotFound, http.StatusRequestTimeout, http.StatusTooManyRequests: // it may come
			return false
		}
		return e.Code < 500
	}
	return errors.Is(err, ErrInvalid) || errors.Is(err, source.ErrUnsupported) || errors.Is(err, source.ErrLimit)
}

// pause waits before attempt n, from 1 on.
func pause(ctx context.Context, n int) error {
	return sleep(ctx, firstPause<<min(n-1, 6))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A download is the part of an answer that was asked for.
type download struct {
	*livehttp.Answer
	skip int64 // bytes that come before it
	left int64 // bytes of it; negative: all that come
}

func (d *download) Read(p []byte) (n int, err error) {
	for d.skip > 0 {
		n, err := d.Answer.Read(p[:min(int64(len(p)), d.skip)])
		if d.skip -= int64(n); err != nil {
			return 0, err
		}
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	if d.left > 0 && int64(len(p)) > d.left {
		p = p[:d.left]
	}
	n, err = d.Answer.Read(p)
	if d.left > 0 {
		if d.left -= int64(n); d.left > 0 && errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
