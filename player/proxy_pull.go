package player

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/proxy"
	"github.com/mediakit-go/mediakit/source"
)

// errAway ends the stream of a proxy, not the proxy.
var errAway = fmt.Errorf("player: the source stays away: %w", source.ErrTimeout)

// A pull is a Proxy at work: a Source that is opened again and again. On demand
// the Hub reads it; else Run does.
type pull struct {
	Proxy
	hub      *source.Hub
	log      *slog.Logger
	origin   source.Source
	retry    source.Backoff
	progress proxy.Progress

	life context.Context // ends with Run
	end  context.CancelFunc

	session string // id of our latest publication; of the goroutine of Run

	mu    sync.Mutex // guards what follows
	phase source.RetryPhase
	away  *time.Timer             // runs while the source is away and the stream is there
	cut   context.CancelCauseFunc // ends a ReadFrame; nil before the first
}

// begin completes a pull.
func (w *pull) begin() {
	w.life, w.end = context.WithCancel(context.Background())
	w.retry.OnState = w.note
	if w.OnDemand {
		w.progress.Rest()
	}
	opener := w.origin
	w.origin = source.SourceFunc(func(ctx context.Context) (r source.Reader, err error) {
		defer proxy.Guard(w.log, &err)
		if err := w.busy(); err != nil {
			return nil, err
		}
		if r, err = opener.Open(ctx); err != nil {
			return nil, err
		}
		return &counted{r, w}, nil
	})
}

// A counted is a Reader whose frames count.
type counted struct {
	source.Reader
	pull *pull
}

// Unwrap returns the Reader itself.
func (c *counted) Unwrap() source.Reader { return c.Reader }

func (c *counted) ReadFrame(ctx context.Context) (f *codec.Frame, err error) {
	defer proxy.Guard(c.pull.log, &err)
	if f, err = c.Reader.ReadFrame(ctx); err == nil {
		c.pull.progress.Count(len(f.Data))
	}
	return f, err
}

func (c *counted) Close() (err error) {
	defer proxy.Guard(c.pull.log, &err)
	return c.Reader.Close()
}

// busy returns an error if somebody else publishes the stream, who need not be
// competed with. On demand the Hub knows.
func (w *pull) busy() error {
	if w.OnDemand {
		return nil
	}
	if s := w.hub.Stream(w.Key); s != nil {
		if id := s.Stats().Publisher.ID; id != "" && id != w.session {
			return fmt.Errorf("%w: %s", source.ErrBusy, w.Key)
		}
	}
	return nil
}

func (w *pull) stats() ProxyStats {
	s := w.progress.Snapshot()
	return ProxyStats{
		Proxy: w.Proxy, State: s.State, Idle: s.Idle, Live: s.Live, Bytes: s.Bytes, Frames: s.Frames, BytesPerSecond: s.Rate,
	}
}

// Run pulls until it is over, or ctx is. On demand it is what ends the pulling.
func (w *pull) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, w.end)()
	defer w.end()
	if w.OnDemand {
		<-ctx.Done()
		w.progress.End(source.ErrClosed)
		return
	}
	err := w.pull(ctx)
	if ctx.Err() != nil {
		err = source.ErrClosed
	}
	w.progress.End(err)
	w.tell("proxy has ended", err)
}

// pull pulls for good and returns why it is over.
func (w *pull) pull(ctx context.Context) error {
	for {
		r, err := w.Open(ctx)
		if err != nil {
			return err
		}
		for err == nil || errors.Is(err, errAway) {
			var first *codec.Frame
			if first, err = r.ReadFrame(ctx); err == nil {
				err = w.publish(ctx, r, first)
			}
		}
		_ = r.Close()
		if !errors.Is(err, source.ErrBusy) {
			return err
		}
	}
}

// publish is one life of the stream in the Hub. It returns why that is over.
func (w *pull) publish(ctx context.Context, r source.Reader, first *codec.Frame) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req := &source.Request{ID: source.NewID(), Schema: "pull", Protocol: "pull", Key: w.Key, Options: w.options()}
	req.OnEnd(func(s source.SessionStats) { cancel(cmp.Or(s.Err, io.EOF)) }) // ended by somebody else: there is no need to read on
	pub, err := w.hub.Publish(ctx, req)
	if err != nil {
		return err
	}
	w.session = req.ID
	defer func() {
		if errors.Is(err, io.EOF) {
			_ = pub.Close()
		} else {
			_ = pub.CloseWithError(err)
		}
	}()
	if err := pub.SetTracks(r.Tracks(), true); err != nil {
		return err
	}
	if err := pub.WriteFrame(ctx, first); err != nil {
		return err
	}
	if err := source.Copy(ctx, pub, r); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return io.EOF
}

// Open opens the source, as often as it takes.
func (w *pull) Open(ctx context.Context) (source.Reader, error) {
	w.progress.Begin()
	octx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.life, cancel)()
	r, err := source.Retry(w.origin, w.retry).Open(octx)
	if err != nil {
		if w.life.Err() != nil {
			err = source.ErrClosed
		}
		return nil, err
	}
	return &pulled{Reader: r, pull: w}, nil
}

// note is told of the state of what Open opened.
func (w *pull) note(s source.RetryState) {
	w.watch(s)
	switch s.Phase {
	case source.RetryEnded:
		if w.OnDemand {
			w.progress.Note(s, true)
		} // else Run tells, and why
		return
	case source.RetryLive:
		w.tell("proxy has its source", nil)
	case source.RetryWaiting:
		w.tell("proxy waits for its source", s.Err)
	}
	w.progress.Note(s, false)
}

// tell logs what has happened, and why if there is a reason.
func (w *pull) tell(what string, reason error) {
	proxy.Log(w.log, what, reason, "stream", w.Key.String())
}

// watch sees to it that viewers do not wait for longer than they want.
func (w *pull) watch(s source.RetryState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lost := w.phase == source.RetryLive && s.Phase != source.RetryLive
	w.phase = s.Phase
	switch {
	case lost && s.Phase == source.RetryWaiting:
		var t *time.Timer
		t = time.AfterFunc(w.linger(), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.away == t {
				w.away = nil
				w.cut(errAway)
			}
		})
		w.away = t
	case w.away != nil && (s.Phase == source.RetryLive || s.Phase == source.RetryEnded):
		w.away.Stop()
		w.away = nil
	}
}

// A pulled is a Reader of a pull, whose ReadFrame ends with errAway when the
// source stays away; it can be called again then.
type pulled struct {
	source.Reader // of source.Retry
	pull          *pull

	// Of the goroutine that reads:
	outer context.Context // what ReadFrame was called with
	ctx   context.Context // ends with outer, the pull's life and its cut
	done  func()
}

func (r *pulled) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if r.outer != ctx || r.ctx.Err() != nil {
		r.bind(ctx)
	}
	f, err := r.Reader.ReadFrame(r.ctx)
	if err == nil {
		return f, nil
	}
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	return nil, err
}

// bind makes r.ctx of ctx, once for many frames.
func (r *pulled) bind(ctx context.Context) {
	r.release()
	inner, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(r.pull.life, func() { cancel(source.ErrClosed) })
	r.outer, r.ctx = ctx, inner
	r.done = func() {
		unlink()
		cancel(nil)
	}
	r.pull.mu.Lock()
	r.pull.cut = cancel
	r.pull.mu.Unlock()
}

func (r *pulled) release() {
	if r.done != nil {
		r.done()
	}
}

func (r *pulled) Close() error {
	err := r.Reader.Close()
	r.release()
	return err
}
