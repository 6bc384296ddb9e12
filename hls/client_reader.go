package hls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A Reader is a stream that is pulled by HLS. It reads ahead, up to 30 s or 16 MB
// for each playlist that it follows, with a goroutine for each, which Close waits
// for.
//
// The frames of a live stream come at the speed at which they were recorded,
// those of one with an end as fast as they are read. Times begin at 0 and go on
// over discontinuities, after which the first frame, and the first one of each
// video track, has FlagDiscont. Segments that are not there, or cannot be
// read, are left out, unless that is so for five in a row.
type Reader struct {
	fetch   *fetcher
	log     *slog.Logger
	idle    func() // closes connections; nil if they are not ours
	life    context.Context
	kill    context.CancelCauseFunc
	running sync.WaitGroup
	out     *buffer // nil before the playlists are there
	live    bool
	chosen  Variant
	count   counters
	edge    atomic.Int64 // stream time of the end of the playlist
	store   atomic.Int64 // media up to there that is wanted
	// Of the goroutine that reads:
	pace   pacer
	next   *codec.Frame  // taken, but not due when the context ended
	looked bool          // from is known
	from   time.Duration // stream time before which frames are left out
	begun  bool
	base   time.Duration // stream time of the first frame
}

// ReaderStats tells how the pulling goes.
type ReaderStats struct {
	Segments        uint64 // that were read
	Bytes           uint64 // of them, in clear
	Missing         uint64 // segments that could not be read
	Expired         uint64 // segments that had left the playlist before they were read
	Gaps            uint64 // segments that the playlist says are not there
	Discontinuities uint64
	Reloads         uint64 // of playlists
	Retries         uint64 // requests that were made again because they had failed
}

// Stats returns the counters. It may be called from any goroutine.
func (r *Reader) Stats() ReaderStats {
	c := &r.count
	return ReaderStats{
		Segments: c.segments.Load(), Bytes: c.bytes.Load(), Missing: c.missing.Load(), Expired: c.expired.Load(),
		Gaps: c.gaps.Load(), Discontinuities: c.breaks.Load(), Reloads: c.reloads.Load(), Retries: c.retries.Load(),
	}
}

// Live reports whether the playlist had no end when it was opened.
func (r *Reader) Live() bool { return r.live }

// Variant returns the variant that is pulled; a zero one if there is no choice.
func (r *Reader) Variant() Variant { return r.chosen }

// Tracks returns the tracks known so far.
func (r *Reader) Tracks() []*codec.Track { return r.out.tracks() }

// ReadFrame returns the next frame, of a live stream when it is due. When ctx
// ends, reading can go on with another one.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if r.life.Err() != nil {
		return nil, source.ErrClosed
	}
	f := r.next
	if f == nil {
		var err error
		if f, err = r.take(ctx); err != nil {
			return nil, err
		}
	}
	if r.live {
		r.next = f
		if err := r.pace.wait(ctx, f.DTS, time.Duration(r.edge.Load()-r.store.Load())-f.DTS); err != nil {
			return nil, err
		}
		r.next = nil
	}
	if !r.begun {
		r.begun, r.base = true, f.DTS
	}
	f.DTS = max(f.DTS-r.base, 0)
	f.PTS = max(f.PTS-r.base, 0)
	return f, nil
}

// take takes a frame from the buffer.
func (r *Reader) take(ctx context.Context) (*codec.Frame, error) {
	for {
		f, err := r.out.pop()
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("hls: %w", err)
		}
		if err != nil {
			return nil, err
		}
		if f != nil {
			if !r.looked {
				r.looked, r.from = true, r.out.start(f)
			}
			if f.DTS >= r.from {
				return f, nil
			}
			continue
		}
		select {
		case <-r.out.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-r.life.Done():
			return nil, source.ErrClosed
		}
	}
}

// Close ends the reading.
func (r *Reader) Close() error {
	r.kill(source.ErrClosed)
	r.running.Wait()
	if r.idle != nil {
		r.idle()
	}
	return nil
}
