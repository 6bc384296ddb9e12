package livehttp

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/source"
)

// Options say what an Output shows.
type Options struct {
	Handler      source.Handler             // asked for every stream; nil has none
	Format       source.Format              // with Packet.Framed set
	Name         string                     // of the format in Request.Protocol, as in "http-flv"
	ContentType  string                     //
	Schema       string                     // what viewers are counted by; ?schema= of a URL without suffix
	Suffixes     []string                   // of the URLs, in any case; the longer of two that end alike comes first
	Vhost        func(*http.Request) string // virtual host of a request; nil: source.DefaultVhost
	Next         http.Handler               // gets what is not the URL of a stream; nil: 404
	Viewer       source.ViewerOptions       // how slow viewers are treated
	MergeWindow  time.Duration              // see source.DeliverOptions
	StallTimeout time.Duration              // see source.DeliverOptions
	MaxViewers   int                        // 0: no limit
	AllowOrigin  func(origin string) bool   // nil allows all
	Logger       *slog.Logger               // a line per session, at most 10 a second of a kind; nil discards
}

// An Output knows the viewers of one HTTP handler. The zero value is ready for
// use.
type Output struct {
	mu      sync.Mutex // guards what follows
	viewers map[*viewer]struct{}
	closing bool
	empty   chan struct{} // closed when closing and there are no viewers any more

	panics atomic.Uint64

	log limitlog.Limiter
}

// ServeURL answers a request for the stream that its URL names. It returns before
// the viewer leaves, unless the connection is HTTP/2.
func (o *Output) ServeURL(w http.ResponseWriter, r *http.Request, opt *Options) {
	path, ok := StreamPath(r, opt.Schema, opt.Suffixes...)
	switch {
	case ok:
		vhost := source.DefaultVhost
		if opt.Vhost != nil {
			vhost = opt.Vhost(r)
		}
		key, err := source.ParseKey(vhost, path)
		o.Serve(w, r, key, err, opt)
	case opt.Next != nil:
		opt.Next.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Serve answers a request for the stream that key names; keyErr is what was
// wrong with the name.
func (o *Output) Serve(w http.ResponseWriter, r *http.Request, key source.Key, keyErr error, opt *Options) {
	allowed := AllowOrigin(w.Header(), r, opt.AllowOrigin)
	switch r.Method {
	case http.MethodGet:
	case http.MethodHead:
		liveHeader(w.Header(), opt)
		w.WriteHeader(http.StatusOK)
		return
	case http.MethodOptions:
		Preflight(w, r)
		return
	default:
		RefuseMethod(w)
		return
	}
	upgrade := r.Header.Get("Sec-WebSocket-Key") != ""
	if upgrade && !allowed { // browsers enforce CORS for HTTP, the server must for WebSocket
		Refuse(w, r, source.Refuse(source.ErrForbidden, "origin not allowed"))
		return
	}
	if keyErr != nil {
		Refuse(w, r, keyErr)
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	scheme := "http"
	if upgrade {
		scheme = "ws"
	}
	v := &viewer{out: o, opt: opt, cancel: cancel, req: NewRequest(r, key, opt.Schema, scheme, opt.Name)}
	v.req.Viewer = opt.Viewer
	if err := o.add(v); err != nil {
		cancel()
		v.refused(err)
		Refuse(w, r, err)
		return
	}
	defer v.guard()
	if upgrade {
		v.serveWebSocket(ctx, w, r)
	} else {
		v.serveHTTP(ctx, w, r)
	}
}

// refused reports that there is no stream for a viewer.
func (v *viewer) refused(err error) {
	v.log(slog.LevelWarn, "refused", "error", err)
}

// guard is deferred in the request's goroutine: a panic in there, which net/http
// takes care of, must not leave the viewer in the list.
func (v *viewer) guard() {
	p := recover()
	if p == nil {
		return
	}
	v.panicked(p)
	v.abort()
	if !v.watched {
		v.leave()
	}
	panic(http.ErrAbortHandler)
}

// liveHeader sets what the header of a live stream says. Its end is that of the
// connection: there is no length, and no chunks.
func liveHeader(h http.Header, opt *Options) {
	h.Set("Content-Type", opt.ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
}

// head returns the header of an answer as it is written to a hijacked connection.
func head(r *http.Request, h http.Header) []byte {
	var b strings.Builder
	b.WriteString("HTTP/1.1 200 OK\r\n")
	if !r.ProtoAtLeast(1, 1) {
		b.Reset()
		b.WriteString("HTTP/1.0 200 OK\r\n")
	}
	if h.Get("Date") == "" {
		h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	_ = h.Write(&b) // a Builder does not fail
	b.WriteString("\r\n")
	return []byte(b.String())
}

// add enters v in the list.
func (o *Output) add(v *viewer) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return errShutdown
	}
	if v.opt.MaxViewers > 0 && len(o.viewers) >= v.opt.MaxViewers {
		return source.Refuse(source.ErrLimit, "too many viewers")
	}
	if o.viewers == nil {
		o.viewers = map[*viewer]struct{}{}
	}
	o.viewers[v] = struct{}{}
	return nil
}

// remove takes v out of the list. Nothing of it is left but its caller.
func (o *Output) remove(v *viewer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.viewers, v)
	if o.closing && len(o.viewers) == 0 && o.empty != nil {
		close(o.empty)
		o.empty = nil
	}
}

// Viewers returns how many viewers there are, those who wait for a stream
// included.
func (o *Output) Viewers() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.viewers)
}

// Panics returns how many sessions ended in a panic, which is always a bug.
func (o *Output) Panics() uint64 { return o.panics.Load() }

// Shutdown refuses new viewers, ends those there are, the ones on WebSocket with
// a CLOSE frame, and waits until they are gone. When ctx ends it closes what is
// left and returns ctx's error.
func (o *Output) Shutdown(ctx context.Context) error {
	viewers, empty := o.close()
	for _, v := range viewers {
		v.stop()
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	viewers, _ = o.close()
	for _, v := range viewers {
		v.abort()
	}
	<-empty
	return context.Cause(ctx)
}

// close marks o as closing and returns the viewers, and a channel that is closed
// when there are none any more.
func (o *Output) close() (viewers []*viewer, empty <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	ch := o.empty
	if ch == nil {
		ch = make(chan struct{})
		if len(o.viewers) == 0 {
			close(ch)
			return nil, ch
		}
		o.empty = ch
	}
	for v := range o.viewers {
		viewers = append(viewers, v)
	}
	return viewers, ch
}
