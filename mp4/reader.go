package mp4

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

// How far a Reader looks ahead for what the initialization segment does not tell,
// whichever is reached first.
const (
	probeBytes = 8 << 20
	probeTime  = 2 * time.Second
)

const (
	readBuffer = 64 << 10
	smallStep  = time.Second
)

// A Reader reads a fragmented stream.
type Reader struct {
	src    io.Reader
	buf    []byte
	demux  Demuxer
	bytes  int64
	last   map[uint32]time.Duration // DTS by track
	shift  time.Duration            // added to all times, after steps back
	queue  []*codec.Frame
	next   int // in queue
	probed bool
	err    error // sticks
	closed atomic.Bool
}

// NewReader returns a Reader of r, which it closes if that is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader {
	return &Reader{src: r, buf: make([]byte, readBuffer), last: map[uint32]time.Duration{}}
}

// Tracks returns the tracks known so far. Before the first frame it reads the
// initialization segment, and as far ahead as it takes to know what that leaves
// to the frames, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	r.probe(context.Background())
	return r.demux.Tracks()
}

// ReadFrame returns the next frame. The end of the stream is io.EOF where a
// fragment ends; anywhere else the error wraps [ErrInvalid] and
// io.ErrUnexpectedEOF. What a [Demuxer] refuses is an error.
//
// Within a track times do not fall: where the stream steps back by a second or
// more, as where two were joined, time goes on from where it was and the frame
// has FlagDiscont. If ctx ends while ReadFrame waits for input, the Reader is
// closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.probe(ctx)
	for r.next == len(r.queue) {
		if r.err != nil {
			return nil, r.err
		}
		r.queue, r.next = r.queue[:0], 0
		r.read(ctx)
	}
	f := r.queue[r.next]
	r.queue[r.next] = nil
	r.next++
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
	for r.err == nil && !r.demux.Complete() && r.bytes < probeBytes {
		if n := len(r.queue); n > 0 && r.queue[n-1].DTS-r.queue[0].DTS > probeTime {
			break
		}
		r.read(ctx)
	}
	r.probed = true
}

// read reads once and queues the frames of that.
func (r *Reader) read(ctx context.Context) {
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { _ = r.Close() })()
	}
	n, err := r.src.Read(r.buf)
	had := len(r.queue)
	var derr error
	r.queue, derr = r.demux.Append(r.queue, r.buf[:n])
	r.bytes += int64(n)
	for _, f := range r.queue[had:] {
		r.settle(f)
	}
	switch {
	case derr != nil:
		r.err = derr
	case err == nil:
	case ctx.Err() != nil:
		r.err = ctx.Err()
	case r.closed.Load():
		r.err = source.ErrClosed
	case errors.Is(err, io.EOF) && r.demux.whole() && len(r.demux.tracks) > 0:
		r.err = io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.err = fmt.Errorf("%w: cut at byte %d: %w", ErrInvalid, r.bytes, io.ErrUnexpectedEOF)
	default:
		r.err = err
	}
}

// settle keeps the times of a track from falling.
func (r *Reader) settle(f *codec.Frame) {
	f.DTS += r.shift
	f.PTS += r.shift
	id := uint32(f.Track.ID)
	if last, ok := r.last[id]; ok && f.DTS < last {
		back := last - f.DTS
		f.DTS = last
		if back >= smallStep {
			r.shift += back
			f.PTS += back
			f.Flags |= codec.FlagDiscont
		}
		if r.shift > maxTime {
			r.err = invalid("times step back by %v in all", r.shift)
		}
	}
	r.last[id] = f.DTS
}
