package ts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// How far a Reader looks ahead for the tracks, whichever is reached first.
const (
	probeBytes = 8 << 20
	probeTime  = 2 * time.Second
)

const readBuffer = 32 << 10

// A Reader reads a file, a pipe or a live stream.
type Reader struct {
	// Program is the number of the program that is read; 0 means the first. It
	// must not change after the first call.
	Program int

	src    io.Reader
	demux  Demuxer
	buf    []byte
	bytes  int64
	queue  []*codec.Frame
	probed bool
	begun  bool
	shift  time.Duration         // added to all times
	newest time.Duration         // DTS of what was read
	last   map[int]time.Duration // by track
	err    error                 // sticks
	closed atomic.Bool
}

// NewReader returns a Reader of r. Closing it closes r if r is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: r, buf: make([]byte, readBuffer), last: map[int]time.Duration{}}
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead
// until those that the PMT announces are there, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	r.probe(context.Background())
	tracks := r.demux.Tracks()
	for i := range tracks {
		for _, f := range r.queue { // it may have changed since
			if f.Track.ID == tracks[i].ID {
				tracks[i] = f.Track
				break
			}
		}
	}
	return tracks
}

// ReadFrame returns the next frame, at the end of the stream io.EOF. The time of
// the first one is 0. Within a track times do not fall: where the stream jumps
// back, or by more than 10 seconds ahead, as where two files were joined, time
// goes on from where it was and the frame has FlagDiscont. Damage costs what is
// damaged, see [Demuxer]; what is no transport stream at all is an error that
// wraps [ErrInvalid]. If ctx ends while ReadFrame waits for input, the Reader is
// closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.probe(ctx)
	for len(r.queue) == 0 {
		if r.err != nil {
			return nil, r.err
		}
		r.fill(ctx)
	}
	f := r.queue[0]
	r.settle(f)
	r.queue[0] = nil
	r.queue = r.queue[1:]
	return f, nil
}

// Close closes the reader it reads from.
func (r *Reader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	if c, ok := r.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// probe reads ahead for the tracks, once.
func (r *Reader) probe(ctx context.Context) {
	if r.probed {
		return
	}
	r.demux.Program = r.Program
	for r.err == nil && !r.demux.Complete() && r.bytes < probeBytes {
		if n := len(r.queue); n > 0 && r.queue[n-1].DTS-r.queue[0].DTS > probeTime {
			break
		}
		r.fill(ctx)
	}
	r.probed = true
}

// fill reads once and queues the frames that come of it.
func (r *Reader) fill(ctx context.Context) {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = r.Close() })()
	}
	n, err := r.src.Read(r.buf)
	r.bytes += int64(n)
	if len(r.queue) == 0 {
		r.queue = r.queue[:0]
	}
	var damage error
	if r.queue, damage = r.demux.Append(r.queue, r.buf[:n]); damage != nil {
		r.err = damage
		return
	}
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		err = ctx.Err()
	case r.closed.Load():
		err = source.ErrClosed
	case errors.Is(err, io.EOF):
		err = io.EOF
		r.queue = r.demux.Flush(r.queue)
		if r.demux.table == nil {
			err = fmt.Errorf("%w: no program in %d bytes: %w", ErrInvalid, r.bytes, io.ErrUnexpectedEOF)
		}
	}
	r.err = err
}

// settle moves the times of f to those of what is read.
func (r *Reader) settle(f *codec.Frame) {
	if !r.begun {
		r.begun = true
		first := f
		for _, f := range r.queue { // times of opaque tracks may be anything
			if f.Track.Wire == "" {
				first = f
				break
			}
		}
		r.shift = -first.DTS
	}
	if f.Has(codec.FlagDiscont) { // one of each track: the first decides
		if at := f.DTS + r.shift; at < r.newest-10*usualStep || at > r.newest+codec.FromTicks(clockJump, clockRate) {
			r.shift = r.newest + usualStep - f.DTS
		}
	}
	f.DTS += r.shift
	f.PTS += r.shift
	id := f.Track.ID
	f.DTS = max(f.DTS, r.last[id])
	f.PTS = max(f.PTS, f.DTS)
	r.last[id] = f.DTS
	if f.Track.Wire == "" {
		r.newest = max(r.newest, f.DTS)
	}
}
