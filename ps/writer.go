package ps

import (
	"context"
	"io"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// A Writer writes a file or a pipe.
type Writer struct {
	// Buffer is how many bytes are collected before they are written; 0 makes each
	// frame one Write.
	Buffer int

	mux *Muxer
	out pes.Output
}

// NewWriter returns a Writer of a stream with these tracks. Those that cannot be
// carried are left out, see [Carries].
func NewWriter(w io.Writer, tracks []*codec.Track) *Writer {
	return &Writer{mux: NewMuxer(tracks), out: pes.Output{Name: "ps", W: w}}
}

// WriteFrame writes f. Times are written as they are, see [Muxer].
func (w *Writer) WriteFrame(ctx context.Context, f *codec.Frame) error {
	return w.out.WriteFrame(ctx, w.mux, f, w.Buffer)
}

// Flush writes what was collected.
func (w *Writer) Flush() error { return w.out.Flush() }

// Close writes what was collected and the code that ends a program stream, and
// closes w if it is an io.Closer. An error that was told before is not told again.
func (w *Writer) Close() error {
	if !w.mux.begun {
		return w.out.Close(nil)
	}
	return w.out.Close([]byte{0, 0, 1, codeEnd})
}
