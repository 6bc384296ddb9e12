package pusher

import (
	"context"
	"errors"
	"io"

	"github.com/mediakit-go/mediakit/source"
)

// Push opens src, creates dst with its tracks and copies until src ends, which
// returns nil, either fails, or ctx ends. The goodbye to the peer, or what
// completes a file, is part of it.
//
// Push waits for the first frame before it creates dst: the tracks of some
// sources are not known earlier, and a source that fails at once leaves nothing
// behind.
func Push(ctx context.Context, dst source.Sink, src source.Source) (err error) {
	r, err := src.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	first, err := r.ReadFrame(ctx)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	w, err := dst.Create(ctx, r.Tracks())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.WriteFrame(ctx, first); err != nil {
		return err
	}
	return source.Copy(ctx, w, r)
}
