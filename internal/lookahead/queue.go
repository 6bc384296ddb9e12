// Package lookahead is what the Readers of all containers have in common: they
// read ahead until the tracks are known, then give out frame by frame, and end for
// one reason that stays. A [Queue] is inside each of them.
package lookahead

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// Patience is how much media a Queue looks ahead for the tracks, usually.
const Patience = 2 * time.Second

// A Queue holds the frames that were read and not given out. Source, Fill and
// Known must be set before the first call; Close may be called at any time, the
// rest by one goroutine.
type Queue struct {
	Source   io.Reader      // closed by Close if it is an io.Closer
	Fill     func() error   // reads something from Source, and appends to Frames what comes of it; its error is the stream's end
	Ready    func() bool    // reports whether Fill will not wait for Source; nil: it may
	Known    func() bool    // reports whether to look ahead no further, as all tracks are known
	Patience time.Duration  // how much media to look ahead at most; 0 means the constant
	Frames   []*codec.Frame // for Fill to append to

	next   int // in Frames, to be given out
	looked bool
	err    error // sticks
	closed atomic.Bool
}

// LookAhead reads until the tracks are known, the first time it is called. It
// returns an error if the stream ends without a frame.
func (q *Queue) LookAhead(ctx context.Context) error {
	patience := q.Patience
	if patience == 0 {
		patience = Patience
	}
	for !q.looked && q.err == nil && !q.Known() {
		if n := len(q.Frames); n > 0 && q.Frames[n-1].DTS-q.Frames[0].DTS > patience {
			break
		}
		q.fill(ctx)
	}
	q.looked = true
	if len(q.Waiting()) == 0 {
		return q.err
	}
	return nil
}

// Next looks ahead, then returns the next frame. If ctx ends while it waits for
// input, the source is closed.
func (q *Queue) Next(ctx context.Context) (*codec.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_ = q.LookAhead(ctx) // it sticks
	for len(q.Waiting()) == 0 {
		if q.err != nil {
			return nil, q.err
		}
		q.Frames, q.next = q.Frames[:0], 0
		q.fill(ctx)
	}
	f := q.Frames[q.next]
	q.Frames[q.next] = nil
	q.next++
	return f, nil
}

// Waiting returns the frames that come next.
func (q *Queue) Waiting() []*codec.Frame { return q.Frames[q.next:] }

// Restart forgets what was read and how the stream ended: Source goes on elsewhere.
func (q *Queue) Restart() {
	clear(q.Frames)
	q.Frames, q.next, q.err = q.Frames[:0], 0, nil
}

// Close closes the source. A blocked Next returns source.ErrClosed if the source
// is an io.Closer.
func (q *Queue) Close() error {
	if q.closed.Swap(true) {
		return nil
	}
	if c, ok := q.Source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// fill calls Fill once. What came of closing is told as such.
func (q *Queue) fill(ctx context.Context) {
	if ctx.Done() != nil && (q.Ready == nil || !q.Ready()) {
		defer context.AfterFunc(ctx, func() { _ = q.Close() })()
	}
	err := q.Fill()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		q.err = ctx.Err()
	case q.closed.Load():
		q.err = source.ErrClosed
	default:
		q.err = err
	}
}
