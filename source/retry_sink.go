package source

import (
	"context"
	"slices"
	"sync"

	"github.com/mediakit-go/mediakit/codec"
)

// RetrySink returns a Sink whose Writer creates s again when it fails, and goes
// on as one stream:
//
//   - Create makes the first attempt itself. When that fails but others follow,
//     it returns a Writer that is away already; OnState tells.
//   - Writing never waits for a Writer that is away: frames are left out until
//     it is back, and then those before the first key frame, as with [Retry].
//     That key frame has FlagDiscont; times are not changed.
//   - A Writer that came back was created with the newest tracks.
//   - WriteFrame fails when there will be no other attempt, with the last error.
//
// The Writer is a [Retrier]. It has one goroutine while it is away, for which
// Close waits.
func RetrySink(s Sink, b Backoff) Sink {
	return SinkFunc(func(ctx context.Context, tracks []*codec.Track) (Writer, error) {
		w := &retryWriter{sink: s, tracks: slices.Clone(tracks)}
		w.begin(ctx, b)
		if err := w.attempt(ctx, w.create); err != nil {
			if ctx.Err() != nil || !w.fail(err) {
				w.end(err)
				w.kill()
				return nil, err
			}
			w.goAway()
		}
		return w, nil
	})
}

// A retryWriter is what RetrySink's Sink creates.
type retryWriter struct {
	sink Sink
	retrying[Writer]
	away   sync.WaitGroup // the goroutine that comes back; begun with mu held
	tracks []*codec.Track // the newest descriptions; guarded by mu, changed by the goroutine that writes

	// Of the goroutine that writes:
	gate *keyGate // of the attempt at hand; nil in the first one
	ever bool     // a frame was written
}

func (w *retryWriter) create(ctx context.Context) (Writer, error) {
	w.mu.Lock()
	tracks := slices.Clone(w.tracks)
	w.mu.Unlock()
	return w.sink.Create(ctx, tracks)
}

// WriteFrame writes f, or leaves it out while the Writer is away.
func (w *retryWriter) WriteFrame(ctx context.Context, f *codec.Frame) error {
	w.note(f.Track)
	out, ok, over := w.current()
	if over != nil {
		return over
	}
	if !ok {
		w.drop()
		return nil
	}
	if w.gate != nil {
		ok, fresh := w.gate.pass(func() []*codec.Track { return w.tracks }, f)
		if !ok {
			w.drop()
			return nil
		}
		if fresh {
			again := *f
			again.Flags |= codec.FlagDiscont
			f = &again
		}
	}
	err := out.WriteFrame(ctx, f)
	if err == nil {
		w.pass(w.ever)
		w.ever = true
		return nil
	}
	if e := w.ended(ctx); e != nil {
		return e
	}
	w.drop()
	if !w.fail(err) {
		_ = w.leave()()
		return err
	}
	w.goAway()
	return nil
}

// note keeps t as the newest description of its ID.
func (w *retryWriter) note(t *codec.Track) {
	i := slices.IndexFunc(w.tracks, func(o *codec.Track) bool { return o.ID == t.ID })
	if i >= 0 && w.tracks[i] == t {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i < 0 {
		w.tracks = append(w.tracks, t)
	} else {
		w.tracks[i] = t
	}
}

// goAway gives up the attempt at hand and comes back with another one.
func (w *retryWriter) goAway() {
	w.gate = &keyGate{}
	closeIt := w.leave()
	w.mu.Lock()
	closed := w.over() != nil // by another goroutine
	if !closed {
		w.away.Go(func() {
			_ = closeIt()
			_ = w.comeBack(w.life, w.create) // the state has the error, WriteFrame tells it
		})
	}
	w.mu.Unlock()
	if closed {
		_ = closeIt()
	}
}

// Close says goodbye to the peer if there is one.
func (w *retryWriter) Close() error {
	w.end(ErrClosed)
	w.kill()
	w.away.Wait()
	return w.leave()()
}
