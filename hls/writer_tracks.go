package hls

import (
	"context"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// SetTracks says which tracks there are from the next discontinuity on: those
// that are missing have ended, and are not waited for. Frames of other tracks
// announce these.
func (w *Writer) SetTracks(tracks []*codec.Track) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seg.tracks = slices.Clone(tracks)
}

// A returnWriter writes what r yields to a cutter. Where the publisher of that is
// another one, it tells which tracks he has.
type returnWriter struct {
	cutter
	r source.Reader
}

// WriteFrame implements source.Writer.
func (w returnWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if f.Has(codec.FlagDiscont) {
		w.SetTracks(w.r.Tracks())
	}
	return w.cutter.WriteFrame(ctx, f)
}
