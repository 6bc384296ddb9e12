package ts

import (
	"context"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/codec"
)

// A Writer writes a file or a pipe. Each frame is one Write.
type Writer struct {
	w   io.Writer
	mux *Muxer
	buf []byte
	err error // sticks
}

// NewWriter returns a Writer of a stream with these tracks. Those that cannot be
// carried are left out, see [Carries].
func NewWriter(w io.Writer, tracks []*codec.Track) *Writer {
	return &Writer{w: w, mux: NewMuxer(tracks)}
}

// WriteFrame writes f. Times are written as they are, see [Muxer].
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	var err error
	if w.buf, err = w.mux.Append(w.buf[:0], f); err != nil || len(w.buf) == 0 {
		return err
	}
	if _, err := w.w.Write(w.buf); err != nil {
		w.err = fmt.Errorf("ts: write: %w", err)
	}
	return w.err
}

// Close closes w if it is an io.Closer.
func (w *Writer) Close() error {
	var err error
	if c, ok := w.w.(io.Closer); ok && w.err == nil {
		err = c.Close()
	}
	if w.err == nil {
		w.err = fmt.Errorf("ts: %w", io.ErrClosedPipe)
	}
	return err
}
