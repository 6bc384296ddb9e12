package ts

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mediakit-go/mediakit/codec"
)

// A Writer writes a file or a pipe.
type Writer struct {
	// Buffer is how many bytes are collected before they are written; 0 makes each
	// frame one Write.
	Buffer int

	w      io.Writer
	mux    *Muxer
	buf    []byte
	closed bool
	err    error // sticks
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
	if w.buf, err = w.mux.Append(w.buf, f); err != nil || len(w.buf) < w.Buffer {
		return err
	}
	return w.Flush()
}

// Flush writes what was collected.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buf) == 0 {
		return w.err
	}
	if _, err := w.w.Write(w.buf); err != nil {
		w.err = fmt.Errorf("ts: write: %w", err)
	}
	w.buf = w.buf[:0]
	return w.err
}

// Close writes what was collected and closes w if it is an io.Closer. An error that
// was told before is not told again.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	var err error
	if w.err == nil {
		err = w.Flush()
	}
	if c, ok := w.w.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	if w.err == nil {
		w.err = fmt.Errorf("ts: %w", io.ErrClosedPipe)
	}
	return err
}
