package hls

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

const (
	defaultMaxSessions    = 10_000
	defaultSessionTimeout = 60 * time.Second
	defaultIdleTimeout    = 20 * time.Second
	defaultKeep           = 10 * time.Second

	maxRequest = 16 << 10 // bytes of a request that a session begins with, which are kept as long as it lasts
)

// A Handler shows the streams of a source.Handler by HLS. The URLs of a stream
// are /app/stream/hls.m3u8 (segments of MPEG-TS), /app/stream/hls.fmp4.m3u8
// (fragmented MP4) and /app/stream/index.m3u8, a multivariant playlist that tells
// codecs, resolution and bandwidth of the latter, or with container=ts in the
// query of the former; and whatever those list. Playlists may be asked for in any
// case.
//
// A stream is cut from the first request for a playlist on, once for all viewers
// and until IdleTimeout after the last one (but see [Handler.Cut]). A publisher who returns in time
// (source.StreamOptions.Linger) continues it, after a discontinuity. When the
// stream ends, those who watch are told so (EXT-X-ENDLIST) and have Keep to fetch
// the rest. Another stream under the name is one for new viewers; for players that
// only come by now, its numbers go on where those of the one before ended, within
// SessionTimeout. With Options.Dir the rest is deleted as soon as it begins.
//
// What can be read from any place, as the Readers of player.VOD, is shown as a film:
// its playlist is of type VOD and has all of it, whatever of the segments is asked
// for is made then (vod-0.ts and so on). Nothing is cut ahead, or written to
// Options.Dir. With start=SECONDS in the query players are told to begin there. Each
// viewer has a Reader alone, which is read as fast as is fetched, beneath source.Pace.
// One that has a method Rest() is told to rest when nothing was asked for in 5 s, or
// when 64 others were read since: it closes what it has open until it is used again,
// which begins with a Seek. Others are open as long as the session.
//
// A viewer is a session. It begins with the first request for a playlist, which
// asks the source.Handler, holds a subscription, which is charged with the bytes
// fetched, and ends SessionTimeout after the last request. Who asks is known by
//
//   - the cookie mediakit_hls, which answers to playlists set,
//   - session=… in the query, which the multivariant playlist puts into the URI
//     in it; a media playlist that is asked with it puts it into its URIs,
//   - else address, query (without the _HLS_ directives), the headers User-Agent,
//     Authorization, Cookie, Origin, Referer, those of proxies, and the certificate
//     together: what a source.Handler may have judged by. So nobody watches in the
//     name of another without being asked for, but cookie-less players that have
//     all that in common are one viewer.
//
// Cookies and sessions that we did not make, or that are over, mean nothing. Who is
// kicked is refused until the session would have timed out. A request of more than
// 16 KiB begins no session (431).
//
// Segments need no session; fetched without they are charged to nobody. What a
// query has to say (a token) is needed for playlists only: it is repeated in the
// URI in the multivariant playlist, not in those of segments. Only those of a film
// have it all: who has paused for longer than SessionTimeout begins another session
// with the next segment.
//
// A stream that is missing is waited for as long as the source.Handler does, then
// the request goes to Next, or the answer is 404. The zero value answers 404 to
// everything; fields must not change once it was used.
type Handler struct {
	Handler        source.Handler                     // asked once for every viewer
	Options        Options                            // how streams are cut; Container and Record are ignored, Dir has a folder for each stream, named [vhost/]app/stream
	Vhost          func(*http.Request) string         // virtual host of a request; nil: source.DefaultVhost
	Next           http.Handler                       // gets what is not a URL of ours, and what is not found; nil: 404
	MaxViewers     int                                // more are answered 503; 0: no limit
	MaxSessions    int                                // of one stream; beyond, who has been silent longest goes; 0 means 10,000
	SessionTimeout time.Duration                      // silence that ends a session; 0 means 60 s
	IdleTimeout    time.Duration                      // how long a stream is cut that nobody watches; 0 means 20 s, negative not at all
	Keep           time.Duration                      // how long what an ended stream has left can be fetched; 0 means 10 s, negative not at all
	AllowOrigin    func(origin string) (allowed bool) // which pages may watch; nil: all, but only those it is set for get cookies from elsewhere
	Logger         *slog.Logger                       // a line per session, at most 10 a second of a kind; nil discards

	newCutter func([]*codec.Track, Options, position) (cutter, error) // nil: newWriterAt

	mu        sync.Mutex // guards what follows
	audiences map[source.Key]*audience
	muxings   map[*muxing]struct{}  // all that have a goroutine
	shared    map[muxingKey]*muxing // those that newcomers are given
	latest    map[nameKey]*muxing   // the last of each name, for a while after it has gone
	viewers   int                   // sessions and joins that are not over
	work      int                   // goroutines
	closing   bool
	stopped   chan struct{} // closed when closing and there is no work; made by Shutdown
	stats     HandlerStats  // counters only

	shelf  shelf
	ward   ward
	panics atomic.Uint64
	log    limitlog.Limiter
}

// HandlerStats are the state and the counters of a [Handler].
type HandlerStats struct {
	Viewers  int    // sessions, and those who wait for a stream
	Muxings  int    // streams that are cut, times containers, those whose rest is kept included
	Sessions uint64 // begun so far
	Refused  uint64 // requests for playlists that made no session
	Evicted  uint64 // sessions ended because there were too many
	Panics   uint64 // always a bug
}

// Stats returns the state and the counters.
func (h *Handler) Stats() HandlerStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Viewers, s.Muxings, s.Panics = h.viewers, len(h.muxings), h.panics.Load()
	return s
}

// Viewers returns how many viewers there are, those who wait for a stream
// included.
func (h *Handler) Viewers() int { return h.Stats().Viewers }

// Panics returns how many sessions and streams ended in a panic, which is always
// a bug.
func (h *Handler) Panics() uint64 { return h.panics.Load() }

// ServeHTTP answers a request for a playlist or a segment.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, rt, ok := parseRoute(r)
	if !ok {
		h.next(w, r)
		return
	}
	vhost := source.DefaultVhost
	if h.Vhost != nil {
		vhost = h.Vhost(r)
	}
	key, err := source.ParseKey(vhost, path)
	switch {
	case rt.kind == segmentRoute && (err != nil || !h.has(key)), rt.kind == vodRoute && (err != nil || !isFromVOD(r)):
		h.next(w, r)
		return
	}
	defer h.guard()
	livehttp.AllowOrigin(w.Header(), r, h.AllowOrigin)
	switch {
	case r.Method == http.MethodOptions:
		livehttp.Preflight(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		livehttp.RefuseMethod(w)
	case err != nil:
		livehttp.Refuse(w, r, err)
	case rt.kind == segmentRoute:
		h.serveSegment(w, r, key, rt)
	case rt.kind == vodRoute:
		h.serveVOD(w, r, key, rt)
	case r.Method == http.MethodHead && h.Next != nil && !h.has(key):
		h.next(w, r)
	case r.Method == http.MethodHead:
		playlistHeader(w.Header())
		w.WriteHeader(http.StatusOK)
	default:
		h.servePlaylist(w, r, key, rt)
	}
}

// guard is deferred where requests are answered: a panic, which net/http takes
// care of, is counted.
func (h *Handler) guard() {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		h.panicked(p)
		panic(http.ErrAbortHandler)
	}
}

// safely calls fn and turns a panic, which is a bug, into an error.
func (h *Handler) safely(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("hls: panic: %v", p)
			h.panicked(p)
		}
	}()
	return fn()
}

// panicked counts and reports a panic.
func (h *Handler) panicked(p any) {
	h.panics.Add(1)
	h.write(slog.LevelError, "panic", "panic", p, "stack", string(debug.Stack()))
}

// next answers a request that is not ours.
func (h *Handler) next(w http.ResponseWriter, r *http.Request) {
	if h.Next != nil {
		h.Next.ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// has reports whether anybody watches a stream under this name.
func (h *Handler) has(key source.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.audiences[key] != nil
}

// Shutdown refuses new viewers, ends those there are, deletes all segments, and
// waits until that is done. When ctx ends it returns ctx's error, and what has
// not ended does so as soon as the source.Handler or the disk lets it.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.closing = true
	for _, a := range h.audiences {
		for _, j := range a.joins {
			j.cancel()
		}
		for _, v := range a.sessions {
			h.drop(v, source.ErrClosed)
		}
	}
	for m := range h.muxings {
		m.cancel()
	}
	if h.stopped == nil {
		h.stopped = make(chan struct{})
		if h.work == 0 {
			close(h.stopped)
		}
	}
	stopped := h.stopped
	h.mu.Unlock()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run starts a goroutine that Shutdown waits for. The lock is held, and closing
// is false or the caller such a goroutine.
func (h *Handler) run(fn func()) {
	h.work++
	go func() {
		defer h.done()
		fn()
	}()
}

// done ends what Shutdown waits for.
func (h *Handler) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.work--; h.work == 0 && h.stopped != nil {
		close(h.stopped)
	}
}

// write writes a line to the log, unless peers have provoked too many.
func (h *Handler) write(level slog.Level, text string, args ...any) {
	h.log.Log(h.Logger, level, "hls: "+text, args...)
}

func (h *Handler) maxSessions() int { return cmp.Or(max(0, h.MaxSessions), defaultMaxSessions) }

func (h *Handler) sessionTimeout() time.Duration {
	return cmp.Or(max(0, h.SessionTimeout), defaultSessionTimeout)
}

func (h *Handler) idleTimeout() time.Duration {
	return max(0, cmp.Or(h.IdleTimeout, defaultIdleTimeout))
}

func (h *Handler) keep() time.Duration { return max(0, cmp.Or(h.Keep, defaultKeep)) }
