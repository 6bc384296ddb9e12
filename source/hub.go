package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/limitlog"
)

const (
	defaultMaxWait  = 15 * time.Second
	defaultLinger   = 15 * time.Second
	defaultPullIdle = 20 * time.Second

	// DefaultMaxLag is how far a viewer may fall behind before ViewerOptions.Slow applies.
	DefaultMaxLag = 2 * time.Second
)

// A Hub connects publishers with viewers by name. The zero value is ready for
// use; fields must not change once it was used. Close it to end all streams.
type Hub struct {
	Logger  *slog.Logger  // what becomes of streams, at most 10 lines a second of a kind; nil discards
	MaxWait time.Duration // how long a viewer waits for a stream that is not there; 0 means 15 s, negative not at all
	Options StreamOptions // defaults for every stream

	// OnMiss is asked for a Source when a viewer wants a stream nobody
	// publishes. The Source is opened once for all viewers who come, and closed
	// when nobody has watched for StreamOptions.IdleClose (here 0 means 20 s). An
	// error refuses the viewer; a nil Source lets it wait for a publisher. nil
	// OnMiss: every viewer waits.
	OnMiss func(ctx context.Context, req *Request) (Source, error)

	// OnEvent is told what happens, in order, by whichever goroutine made it
	// happen. It must not block and must not call into the Hub. nil: nobody is.
	OnEvent func(Event)

	mu      sync.Mutex // guards what follows
	streams map[Key]*Stream
	awaited map[Key]*arrival // what viewers wait for
	pulls   map[Key]*pull
	closed  bool
	base    context.Context // ends with the hub
	cancel  context.CancelFunc

	work   sync.WaitGroup // pulls
	events eventQueue
	lines  limitlog.Limiter
}

// An arrival is closed when a stream of its name is published.
type arrival struct {
	ch    chan struct{}
	users int
}

// Play returns a subscription to the stream that req names, which starts at the
// newest key frame. It waits up to MaxWait for the stream and fails with an
// error that wraps ErrNotFound, ErrBadKey or ErrClosed, or with what OnMiss or
// its Source said.
func (h *Hub) Play(ctx context.Context, req *Request) (Reader, error) {
	if err := req.Key.Validate(); err != nil {
		return nil, err
	}
	var timeout <-chan time.Time
	var p *pull
	defer func() { h.leave(req.Key, p) }()
	asked, again := h.OnMiss == nil, false
	for {
		s, missing, done, err := h.lookup(req.Key)
		if err != nil {
			return nil, err
		}
		if s != nil {
			if sub := s.subscribe(req); sub != nil {
				h.events.drain(h.OnEvent)
				return sub, nil
			}
			missing = s.ready
		} else if !asked {
			done()
			asked = true
			if p, err = h.miss(ctx, req); err != nil {
				return nil, err
			}
			continue
		}
		if timeout == nil {
			t := time.NewTimer(h.patience(s != nil || p != nil))
			defer t.Stop()
			timeout = t.C
		}
		err = await(ctx, req.Key, missing, p, timeout)
		done()
		switch {
		case err == nil:
		case errors.Is(err, errOver) && !again:
			h.leave(req.Key, p) // it came to a pull that was ending
			asked, again, p = false, true, nil
		default:
			return nil, err
		}
	}
}

// patience returns how long a viewer waits; expected says that the stream is
// known to be on its way.
func (h *Hub) patience(expected bool) time.Duration {
	switch {
	case h.MaxWait > 0:
		return h.MaxWait
	case h.MaxWait < 0 && !expected:
		return 0
	}
	return defaultMaxWait
}

// await waits for a stream to come, the pull p to fail, or the viewer's time to end.
func await(ctx context.Context, key Key, missing <-chan struct{}, p *pull, timeout <-chan time.Time) error {
	var failed <-chan struct{}
	if p != nil {
		failed = p.failed
	}
	select {
	case <-missing:
		return nil
	case <-failed:
		return p.err
	case <-timeout:
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// lookup returns the stream called key, or else a channel that is closed when
// one is published; done gives the channel back.
func (h *Hub) lookup(key Key) (s *Stream, missing <-chan struct{}, done func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, func() {}, ErrClosed
	}
	if s := h.streams[key]; s != nil {
		return s, nil, func() {}, nil
	}
	a := h.awaited[key]
	if a == nil {
		if h.awaited == nil {
			h.awaited = map[Key]*arrival{}
		}
		a = &arrival{ch: make(chan struct{})}
		h.awaited[key] = a
	}
	a.users++
	return nil, a.ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if a.users--; a.users == 0 && h.awaited[key] == a {
			delete(h.awaited, key)
		}
	}, nil
}

// Publish makes req's peer the publisher of the stream that req names. It fails
// with an error that wraps ErrBusy if the stream has a publisher, ErrBadKey, or
// ErrClosed. A stream that lingers goes on with the new publisher.
func (h *Hub) Publish(ctx context.Context, req *Request) (Publication, error) {
	if err := req.Key.Validate(); err != nil {
		return nil, err
	}
	for {
		s, fresh, err := h.claim(req)
		if err != nil {
			return nil, err
		}
		var p *publication
		if fresh {
			p = s.begin(req)
		} else if p, err = s.resume(req); errors.Is(err, ErrClosed) {
			continue // it ended between the two looks, and is out of the map
		}
		h.events.drain(h.OnEvent)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// claim returns the stream that req names, made if there is none.
func (h *Hub) claim(req *Request) (s *Stream, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false, ErrClosed
	}
	if s := h.streams[req.Key]; s != nil {
		return s, false, nil
	}
	if h.streams == nil {
		h.streams = map[Key]*Stream{}
	}
	s = newStream(h, req)
	h.streams[req.Key] = s
	if a := h.awaited[req.Key]; a != nil {
		delete(h.awaited, req.Key)
		close(a.ch)
	}
	return s, true, nil
}

// remove takes s out of the hub's map.
func (h *Hub) remove(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.key] == s {
		delete(h.streams, s.key)
	}
}

// Stream returns the stream called key, or nil.
func (h *Hub) Stream(key Key) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[key]
}

// Streams returns all streams, sorted by key.
func (h *Hub) Streams() []*Stream {
	h.mu.Lock()
	all := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b *Stream) int { return a.key.compare(b.key) })
	return all
}

// Kick ends the play or publish session that has the given id. It reports
// whether there was one.
func (h *Hub) Kick(id string) bool {
	for _, s := range h.Streams() {
		if s.kick(id) {
			h.events.drain(h.OnEvent)
			return true
		}
	}
	return false
}

// Close ends all streams: viewers come to the end of the stream, publishers get
// ErrClosed. New ones are refused. When it returns, nothing the hub started is left.
func (h *Hub) Close() error {
	h.mu.Lock()
	h.closed = true
	if h.cancel != nil {
		h.cancel()
	}
	for key, a := range h.awaited {
		delete(h.awaited, key)
		close(a.ch)
	}
	h.mu.Unlock()
	for _, s := range h.Streams() {
		s.end(ErrClosed, io.EOF)
	}
	h.work.Wait()
	h.events.drain(h.OnEvent)
	return nil
}

// log writes a line to the log, unless peers have provoked too many.
func (h *Hub) log(level slog.Level, kind string, args ...any) {
	h.lines.Log(h.Logger, level, kind, args...)
}

// A pull is a stream that is fetched on demand.
type pull struct {
	cancel  context.CancelFunc
	waiting int           // viewers who wait for it; guarded by the hub's lock
	failed  chan struct{} // closed when it ended
	err     error         // why; set before failed is closed
}

// errOver is the error of a pull that has done its work.
var errOver = fmt.Errorf("%w: the source has ended", ErrNotFound)

// miss asks OnMiss for a source of the stream that req names and starts to
// pull it, unless somebody else did. It returns the pull to wait for, nil if
// there is none; leave gives it back.
func (h *Hub) miss(ctx context.Context, req *Request) (*pull, error) {
	h.mu.Lock()
	p := h.pulls[req.Key]
	if p != nil {
		p.waiting++
	}
	h.mu.Unlock()
	if p != nil {
		return p, nil
	}
	src, err := h.OnMiss(ctx, req)
	if src == nil || err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrClosed
	case h.pulls[req.Key] != nil:
		p = h.pulls[req.Key]
		p.waiting++
		return p, nil
	case h.streams[req.Key] != nil:
		return nil, nil
	}
	if h.pulls == nil {
		h.pulls = map[Key]*pull{}
	}
	if h.base == nil {
		h.base, h.cancel = context.WithCancel(context.Background())
	}
	ctx, cancel := context.WithCancel(h.base)
	p = &pull{cancel: cancel, waiting: 1, failed: make(chan struct{})}
	h.pulls[req.Key] = p
	key, options := req.Key, req.Options
	h.work.Go(func() { h.runPull(ctx, p, key, options, src) })
	return p, nil
}

// leave tells that a viewer no longer waits for p, which may be nil. A source
// that nobody waits for and that has brought no stream is given up.
func (h *Hub) leave(key Key, p *pull) {
	if p == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.waiting--; p.waiting == 0 && h.streams[key] == nil {
		p.cancel()
	}
}

// runPull publishes what src yields, reopening it while viewers wait for its
// return, until it ends or is idle.
func (h *Hub) runPull(ctx context.Context, p *pull, key Key, options StreamOptions, src Source) {
	defer p.cancel()
	if options.IdleClose == 0 && h.Options.IdleClose == 0 {
		options.IdleClose = defaultPullIdle
	}
	awaited := func() bool { return ctx.Err() == nil && h.Stream(key) != nil }
	begun, err := h.pullOnce(ctx, key, options, src)
	brought := begun
	for failures := 0; err != nil && (begun || failures > 0) && awaited(); {
		select {
		case <-time.After(Backoff{}.Delay(failures)):
		case <-ctx.Done():
		}
		if !awaited() {
			break
		}
		failures++
		if begun, err = h.pullOnce(ctx, key, options, src); begun {
			failures = 0
		}
		if errors.Is(err, ErrBusy) { // somebody else publishes it now
			break
		}
	}
	h.mu.Lock()
	delete(h.pulls, key)
	h.mu.Unlock()
	if p.err = errOver; err != nil && ctx.Err() == nil && !brought { // else who waits now came too late for it
		p.err = fmt.Errorf("%w: %s: %w", ErrNotFound, key, err)
	}
	close(p.failed)
}

// pullOnce opens src and publishes it until it ends. begun tells whether the
// stream was there.
func (h *Hub) pullOnce(ctx context.Context, key Key, options StreamOptions, src Source) (begun bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := src.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	req := &Request{ID: NewID(), Schema: "pull", Protocol: "pull", Key: key, Options: options}
	req.OnEnd(func(SessionStats) { cancel() }) // ended from this side: no need to read on
	pub, err := h.Publish(ctx, req)
	if err != nil {
		return false, err
	}
	if tracks := r.Tracks(); len(tracks) > 0 {
		_ = pub.SetTracks(tracks, true)
	}
	err = Copy(ctx, pub, r)
	if ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrIdle) {
		err = nil
	}
	_ = pub.CloseWithError(err)
	return true, err
}
