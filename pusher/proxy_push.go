package pusher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/proxy"
	"github.com/mediakit-go/mediakit/source"
)

// errOver is wrapped by errors after which there is nothing more to push.
var errOver = errors.New("pusher: the stream is not for us")

// A push is a Proxy at work. It is a Source, whose Reader writes what it reads to
// the target as well: so source.Retry keeps the attempts, and both ends of an
// attempt are opened and closed together.
type push struct {
	Proxy
	hub      *source.Hub
	log      *slog.Logger
	target   source.Sink
	retry    source.Backoff
	progress proxy.Progress
}

func (w *push) stats() ProxyStats {
	s := w.progress.Snapshot()
	return ProxyStats{
		Proxy: w.Proxy, State: s.State, Idle: s.Idle, Live: s.Live, Bytes: s.Bytes, Frames: s.Frames, BytesPerSecond: s.Rate,
	}
}

// Run pushes until it is over, or ctx is.
func (w *push) Run(ctx context.Context) {
	err := w.push(ctx)
	if ctx.Err() != nil {
		err = source.ErrClosed
	}
	w.progress.End(err)
	w.tell("push proxy has ended", err)
}

// push pushes and returns why it is over.
func (w *push) push(ctx context.Context) error {
	b, gives := w.retry, w.retry.GiveUp
	if gives == nil {
		gives = func(err error) bool {
			return errors.Is(err, source.ErrUnsupported) || errors.Is(err, source.ErrBadKey)
		}
	}
	b.GiveUp = func(err error) bool { return errors.Is(err, errOver) || gives(err) }
	b.OnState = w.note
	r, err := source.Retry(w, b).Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if _, err := r.ReadFrame(ctx); err != nil {
			return err
		}
	}
}

// note is told how the attempts go. Of the end Run tells, and why.
func (w *push) note(s source.RetryState) {
	switch s.Phase {
	case source.RetryEnded:
		return
	case source.RetryLive:
		w.tell("push proxy has its target", nil)
	case source.RetryWaiting:
		w.tell("push proxy waits", s.Err)
	}
	w.progress.Note(s, false)
}

// tell logs what has happened, and why if there is a reason.
func (w *push) tell(what string, reason error) { proxy.Log(w.log, what, reason, "id", w.ID) }

// Open makes an attempt: it waits for the stream and creates the target.
func (w *push) Open(ctx context.Context) (source.Reader, error) {
	r, err := w.stream(ctx)
	if err != nil {
		return nil, err
	}
	out, err := w.create(ctx, r.Tracks())
	if err != nil {
		_ = r.Close()
		return nil, broken(err)
	}
	return &pushed{r, out, w}, nil
}

func (w *push) create(ctx context.Context, tracks []*codec.Track) (out source.Writer, err error) {
	defer proxy.Guard(w.log, &err)
	return w.target.Create(ctx, tracks)
}

// stream returns a reading of the stream.
func (w *push) stream(ctx context.Context) (source.Reader, error) {
	scheme, _, _ := strings.Cut(w.URL, "://")
	req := &source.Request{ID: source.NewID(), Schema: "push", Protocol: strings.ToLower(scheme), Key: w.Key, Passive: !w.Demand}
	if w.Demand {
		r, err := w.hub.Play(ctx, req)
		return r, w.over(err)
	}
	if s := w.hub.Stream(w.Key); s != nil {
		if r := s.Subscribe(req); r != nil {
			return r, nil
		}
	}
	w.progress.Idle(true)
	for {
		s, err := w.hub.Await(ctx, w.Key)
		if err != nil {
			return nil, w.over(err)
		}
		if r := s.Subscribe(req); r != nil { // else it has just ended
			w.progress.Idle(false)
			return r, nil
		}
	}
}

// over marks errors after which there is nothing more to push.
func (w *push) over(err error) error {
	if errors.Is(err, source.ErrClosed) || errors.Is(err, source.ErrKicked) {
		return fmt.Errorf("%w: %w", errOver, err)
	}
	return err
}

// broken returns an error of the target's, whose end is not that of the stream.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, err.Error())
	}
	return err
}

// A pushed is a Reader of a stream which writes what it reads.
type pushed struct {
	source.Reader
	out  source.Writer
	push *push
}

func (p *pushed) ReadFrame(ctx context.Context) (f *codec.Frame, err error) {
	defer proxy.Guard(p.push.log, &err)
	f, err = p.Reader.ReadFrame(ctx)
	if err != nil {
		return nil, p.push.over(err)
	}
	if err := p.out.WriteFrame(ctx, f); err != nil {
		return nil, broken(err)
	}
	p.push.progress.Count(len(f.Data))
	return f, nil
}

// Close says goodbye to the target.
func (p *pushed) Close() (err error) {
	defer func() { err = errors.Join(err, p.Reader.Close()) }()
	defer proxy.Guard(p.push.log, &err)
	return p.out.Close()
}
