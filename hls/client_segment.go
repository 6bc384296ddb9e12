package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	maxSegment = 64 << 20 // bytes
	maxInit    = 1 << 20  // bytes of a media initialization section
	timeFactor = 5        // a download may take so many times as long as the segment lasts
	minBudget  = 5 * time.Second
)

// A piece is the bytes of a section as the server has them. When the transfer
// breaks off it goes on where it was.
type piece struct {
	ctx     context.Context
	fetch   *fetcher
	url     *url.URL
	from    int64 // what comes next
	left    int64 // of it; negative: to the end
	limit   int64 // bytes that may still come
	budget  time.Duration
	cur     *download // nil before there is one
	failed  int       // attempts
	retries *atomic.Uint64
}

func (p *piece) Read(b []byte) (int, error) {
	for {
		n, err := p.read(b)
		p.from += int64(n)
		if p.left > 0 {
			p.left -= int64(n)
		}
		if p.limit -= int64(n); p.limit < 0 {
			return 0, fmt.Errorf("%w: %s is too large", source.ErrLimit, p.url.Redacted())
		}
		if err == nil || errors.Is(err, io.EOF) || p.ctx.Err() != nil {
			return n, err
		}
		p.Close()
		p.failed++
		if p.failed == attempts || final(err) {
			return n, err
		}
		p.retries.Add(1)
		if err := pause(p.ctx, p.failed); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (p *piece) read(b []byte) (n int, err error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.cur == nil {
		if p.cur, err = p.fetch.get(p.ctx, p.url, p.from, p.left, p.budget); err != nil {
			return 0, err
		}
	}
	return p.cur.Read(b)
}

// Close ends the transfer.
func (p *piece) Close() {
	if p.cur != nil {
		p.cur.Close()
		p.cur = nil
	}
}

// budgetOf returns how long the download of a segment may take.
func budgetOf(d time.Duration) time.Duration { return max(timeFactor*d, minBudget) }
