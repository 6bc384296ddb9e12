package ps

import (
	"context"
	"io"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// A Reader reads a file, a pipe or a live stream.
type Reader struct {
	demux Demuxer
	in    pes.Input
}

// NewReader returns a Reader of r. Closing it closes r if r is an io.Closer;
// without that a blocked ReadFrame does not end.
func NewReader(r io.Reader) *Reader {
	x := &Reader{}
	x.in.Open(r, &x.demux, x.empty)
	return x
}

// Tracks returns the tracks known so far. Before the first frame it reads ahead
// until those are there that the stream announces, for at most 2 seconds of media.
func (r *Reader) Tracks() []*codec.Track { return r.in.Tracks() }

// ReadFrame returns the next frame, at the end of the stream io.EOF. The time of the
// first one is 0. Within a track times do not fall: where the stream jumps back, or
// by more than 10 seconds ahead, time goes on from where it was and the frame has
// FlagDiscont. Damage costs what is damaged, see [Demuxer]; what is no program stream
// at all is an error that wraps [ErrInvalid]. If ctx ends while ReadFrame waits for
// input, the Reader is closed.
func (r *Reader) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	return r.in.ReadFrame(ctx)
}

// Close closes the reader it reads from.
func (r *Reader) Close() error { return r.in.Close() }

// empty tells that there were no streams.
func (r *Reader) empty() error {
	if len(r.demux.streams) > 0 {
		return nil
	}
	return invalid("no streams")
}
