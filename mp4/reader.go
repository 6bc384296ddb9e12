package mp4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/lookahead"
)

const (
	probeBytes = 8 << 20 // in which a Reader looks for what the initialization segment does not tell
	readBuffer = 64 << 10
	smallStep  = time.Second
)

// A Reader reads a fragmented stream.
type Reader struct {
	ahead lookahead.Queue
	buf   []byte
	demux Demuxer
	bytes int64
	last  map[uint32]time.Duration // DTS by track
	shift time.Duration            // added to all times, after steps back
}

// NewReader returns a Reader of r, which it closes if that is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader {
	x := &Reader{buf: make([]byte, readBuffer), last: map[uint32]time.Duration{}}
	x.ahead = lookahead.Queue{Source: r, Fill: x.fill, Known: x.known}
	return x
}

// Tracks returns the tracks known so far. Before the first frame it reads the
// initialization segment, and as far ahead as it takes to know what that leaves
// to the frames, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track {
	_ = r.ahead.LookAhead(context.Background()) // ReadFrame tells
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
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) { return r.ahead.Next(ctx) }

// Close closes the reader it reads from.
func (r *Reader) Close() error { return r.ahead.Close() }

// known reports whether there is nothing to look ahead for, or too much was read.
func (r *Reader) known() bool { return r.demux.Complete() || r.bytes >= probeBytes }

// fill reads once and queues the frames that come of it.
func (r *Reader) fill() error {
	n, err := r.ahead.Source.Read(r.buf)
	r.bytes += int64(n)
	had := len(r.ahead.Frames)
	var bad error
	r.ahead.Frames, bad = r.demux.Append(r.ahead.Frames, r.buf[:n])
	for _, f := range r.ahead.Frames[had:] {
		bad = cmp.Or(bad, r.settle(f))
	}
	switch {
	case bad != nil:
		return bad
	case errors.Is(err, io.EOF) && r.demux.whole() && len(r.demux.tracks) > 0:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: cut at byte %d: %w", ErrInvalid, r.bytes, io.ErrUnexpectedEOF)
	}
	return err
}

// settle keeps the times of a track from falling, but not by more than there are
// times.
func (r *Reader) settle(f *codec.Frame) error {
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
			return invalid("times step back by %v in all", r.shift)
		}
	}
	r.last[id] = f.DTS
	return nil
}
