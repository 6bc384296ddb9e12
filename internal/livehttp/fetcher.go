package livehttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A Fetcher gets things that have an end, as a Client does streams.
type Fetcher struct {
	HTTP    *http.Client
	Header  http.Header   // sent with every request
	Origin  string        // host (with its port) that gets the credentials in Header; others do not
	Silence time.Duration // longest of a server, before its answer and within; negative: no limit
}

// credentials are header fields for the server they were meant for only.
var credentials = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// A Fetch is what is to be fetched.
type Fetch struct {
	URL    *url.URL
	Header http.Header   // of this request
	Budget time.Duration // how long may be waited for it in all; 0: no limit
	OK     []int         // statuses that are no refusal
}

// Do asks for something. What the server refuses is a *StatusError. ctx is for
// reading the answer, too.
func (f *Fetcher) Do(ctx context.Context, what Fetch) (*Answer, error) {
	a := &Answer{silence: f.Silence, budget: what.Budget, limited: what.Budget > 0}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	if err := a.timed(func() error { return f.do(a, what) }); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

func (f *Fetcher) do(a *Answer, what Fetch) error {
	req, err := http.NewRequestWithContext(a.ctx, http.MethodGet, what.URL.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent)
	for name, vs := range f.Header {
		if what.URL.Host == f.Origin || !slices.Contains(credentials, http.CanonicalHeaderKey(name)) {
			req.Header[name] = vs
		}
	}
	for name, vs := range what.Header {
		req.Header[name] = vs
	}
	resp, err := f.HTTP.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // it repeats the URL
			err = ue.Err
		}
		return err
	}
	a.body, a.URL, a.Status, a.Header, a.Length = resp.Body, resp.Request.URL, resp.StatusCode, resp.Header, resp.ContentLength
	if !slices.Contains(what.OK, resp.StatusCode) {
		return Refusal(resp)
	}
	return nil
}

// An Answer is what a server sends. Time counts only while somebody waits for it.
type Answer struct {
	URL    *url.URL // where it was found in the end
	Status int
	Header http.Header
	Length int64 // of the body; -1 if it is not known

	ctx     context.Context
	cancel  context.CancelCauseFunc
	silence time.Duration
	budget  time.Duration
	limited bool
	body    io.ReadCloser
	closed  atomic.Bool
}

// timed calls fn, which fails when it takes too long.
func (a *Answer) timed(fn func() error) error {
	limit := a.silence
	if a.limited && (limit < 0 || a.budget < limit) {
		limit = max(a.budget, 0)
	}
	if limit >= 0 {
		t := time.AfterFunc(limit, func() {
			a.cancel(fmt.Errorf("%w: the server is too slow", source.ErrTimeout))
		})
		defer t.Stop()
	}
	began := time.Now()
	err := fn()
	a.budget -= time.Since(began)
	if err != nil && !errors.Is(err, io.EOF) && a.ctx.Err() != nil {
		err = context.Cause(a.ctx)
	}
	return err
}

// Read reads the body.
func (a *Answer) Read(p []byte) (n int, err error) {
	err = a.timed(func() error {
		var err error
		n, err = a.body.Read(p)
		return err
	})
	return n, err
}

// Close ends the request.
func (a *Answer) Close() error {
	a.cancel(source.ErrClosed)
	if a.body == nil || a.closed.Swap(true) {
		return nil
	}
	return a.body.Close()
}

// ContentRange returns what part of how much a server sends with status 206, or
// that there is nothing there, with status 416: then from is -1. size is -1 if it
// does not tell.
func ContentRange(h http.Header) (from, size int64, ok bool) {
	text, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes ")
	part, all, cut := strings.Cut(text, "/")
	if !ok || !cut {
		return 0, 0, false
	}
	from, size = -1, -1
	var err error
	if first, _, isRange := strings.Cut(part, "-"); isRange {
		if from, err = strconv.ParseInt(first, 10, 64); err != nil || from < 0 {
			return 0, 0, false
		}
	} else if part != "*" {
		return 0, 0, false
	}
	if all != "*" {
		if size, err = strconv.ParseInt(all, 10, 64); err != nil || size < 0 {
			return 0, 0, false
		}
	}
	return from, size, true
}
