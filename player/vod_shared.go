package player

import (
	"cmp"
	"context"
	"errors"

	"github.com/mediakit-go/mediakit/source"
)

// share returns a subscription to the timeline of req's name that all share.
func (v *VOD) share(ctx context.Context, req *source.Request, f *found) (source.Reader, error) {
	if v.Shared.Stream(req.Key) == nil {
		if err := v.show(ctx, req.Key, f); err != nil && !errors.Is(err, source.ErrBusy) { // that is: another viewer was faster
			return nil, err
		}
	}
	return v.Shared.Play(ctx, req)
}

// show begins to publish a file under a name. The goroutine that it starts ends
// with the file or the stream.
func (v *VOD) show(ctx context.Context, key source.Key, f *found) error {
	playing, cancel := context.WithCancel(context.Background())
	req := &source.Request{ID: source.NewID(), Schema: "vod", Protocol: "file", Key: key}
	req.Options.Linger = -1 // nobody comes back
	req.Options.IdleClose = cmp.Or(v.Shared.Options.IdleClose, sharedIdle)
	req.OnEnd(func(source.SessionStats) { cancel() })
	s, err := v.open(ctx, req, f, 0, v.paced)
	if err != nil {
		cancel()
		return err
	}
	pub, err := v.Shared.Publish(ctx, req)
	if err != nil {
		_ = s.Close()
		return err
	}
	if !v.goOn(func() { v.run(playing, pub, s) }) {
		_ = pub.CloseWithError(nil)
		_ = s.Close()
		return errClosed
	}
	return nil
}

// goOn has fn run in a goroutine that Close waits for, unless the VOD is closed.
func (v *VOD) goOn(fn func()) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.work.Go(fn)
	}
	return !v.closed
}

// run publishes s until it ends, or ctx does with the stream.
func (v *VOD) run(ctx context.Context, pub source.Publication, s *source.Viewing) {
	_ = pub.SetTracks(s.Tracks(), true)
	err := source.Copy(ctx, pub, s)
	if ctx.Err() != nil || errors.Is(err, source.ErrKicked) || errors.Is(err, source.ErrClosed) {
		err = nil // it was to end
	}
	_ = pub.CloseWithError(err)
	_ = s.Close()
}
