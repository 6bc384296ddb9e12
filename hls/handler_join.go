package hls

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

var (
	// errShutdown is what viewers are told after Shutdown was called.
	errShutdown = source.Refuse(source.ErrClosed, "server is shutting down")
	// errHeader refuses a request that is too large to begin a session.
	errHeader = errors.New("hls: header too large")
)

// A join is a client that has asked for a playlist and waits to be let in. The
// requests it makes meanwhile wait with it.
type join struct {
	req     *source.Request
	ids     []string           // that the client has shown
	cancel  context.CancelFunc // ends the waiting; the session's, then
	done    chan struct{}      // closed when v or err is set
	v       *viewer
	err     error
	waiting int // requests; guarded by the Handler's lock
}

// admit returns the session that a request for a playlist belongs to, or for
// something else of a file, and begins one if there is none. served is due after
// the answer.
func (h *Handler) admit(r *http.Request, key source.Key, c Container, playlist bool) (*viewer, error) {
	who := claimOf(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		return nil, errShutdown
	}
	a := h.audience(key)
	if v := a.find(c, &who, playlist); v != nil {
		if v.err != nil {
			return nil, v.refusal()
		}
		a.touch(v)
		return v, nil
	}
	k := printKey{c, who.print}
	j := a.joins[k]
	if j == nil {
		if err := h.room(r); err != nil {
			h.dismiss(key)
			h.stats.Refused++
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		j = &join{req: livehttp.NewRequest(r, key, schemaOf(c), "http", "hls"), ids: who.ids, cancel: cancel, done: make(chan struct{})}
		j.req.Params = requestParams(r.URL.RawQuery)
		a.joins[k] = j
		h.viewers++
		h.run(func() { h.join(ctx, r, key, k, j) })
	}
	return h.await(r.Context(), a, k, j)
}

// room returns why a request can begin no session, whatever stream it is for. The
// lock is held.
func (h *Handler) room(r *http.Request) error {
	if h.MaxViewers > 0 && h.viewers >= h.MaxViewers {
		return source.Refuse(source.ErrLimit, "too many viewers")
	}
	size := len(r.URL.Path) + len(r.URL.RawQuery)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > maxRequest {
		return errHeader
	}
	return nil
}

// await waits for the session that j makes. The lock is held, but not meanwhile.
func (h *Handler) await(ctx context.Context, a *audience, k printKey, j *join) (*viewer, error) {
	j.waiting++
	h.mu.Unlock()
	select {
	case <-j.done:
	case <-ctx.Done():
	}
	h.mu.Lock()
	j.waiting--
	switch {
	case j.v != nil && j.v.err != nil:
		return nil, j.v.refusal()
	case j.v != nil:
		a.touch(j.v)
		return j.v, nil
	case j.err != nil:
		return nil, j.err
	case j.waiting == 0: // nobody waits any more
		j.cancel()
		if a.joins[k] == j {
			delete(a.joins, k)
		}
	}
	return nil, context.Cause(ctx)
}

// join asks the source.Handler, has the stream cut, and begins a session. It is
// the join's goroutine, and then the viewer's.
func (h *Handler) join(ctx context.Context, r *http.Request, key source.Key, k printKey, j *join) {
	v := &viewer{
		h: h, key: key, container: k.container, print: k.print, req: j.req, cancel: j.cancel,
		quit: make(chan struct{}), last: time.Now(),
	}
	err := h.safely(func() (err error) {
		v.r, err = livehttp.Play(ctx, h.Handler, r, j.req)
		return err
	})
	if err == nil {
		v.sub, _ = source.As[*source.Subscription](v.r)
		v.viewing, _ = source.As[*source.Viewing](v.r)
		if v.muxing, err = h.mux(key, v.r, v.sub, k.container); err != nil {
			_ = v.r.Close()
		}
	}
	switch entered := h.enter(v, k, j, err); {
	case entered:
		v.charge(0) // it reads no frames
		v.watch()
	case err == nil:
		v.leave(io.EOF)
	default:
		if ctx.Err() == nil {
			h.write(slog.LevelWarn, "refused", append([]any{"error", err}, sessionArgs(j.req)...)...)
		}
		j.cancel()
	}
}

// enter ends a join: v becomes a session unless err says why not, or nobody waits
// for it any more.
func (h *Handler) enter(v *viewer, k printKey, j *join, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.audience(v.key)
	if a.joins[k] == j {
		delete(a.joins, k)
	}
	defer h.dismiss(v.key)
	defer close(j.done)
	if h.closing {
		err = errShutdown
	}
	if j.err = err; err != nil || j.waiting == 0 {
		h.viewers--
		h.stats.Refused++
		return false
	}
	for len(a.sessions) >= h.maxSessions() {
		h.stats.Evicted++
		h.drop(a.recent.Back().Value.(*viewer), source.ErrLimit)
	}
	v.id = a.idFor(k.container, j.ids)
	a.enter(v)
	h.stats.Sessions++
	j.v = v
	return true
}

// servePlaylist answers a request for a playlist of either kind.
func (h *Handler) servePlaylist(w http.ResponseWriter, r *http.Request, key source.Key, rt route) {
	v, err := h.admit(r, key, rt.container, true)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	var bytes int64
	defer func() { h.served(v, bytes) }()
	h.offerCookie(w, r, v.id)
	if rt.kind == multivariantRoute {
		bytes = v.serveMultivariant(w, r, rt.name)
		return
	}
	var o serveOptions
	if _, ok := queryValue(r.URL.RawQuery, sessionParam); ok || v.muxing.stream == nil {
		o.query = sessionParam + "=" + v.id
	}
	if rest := variantParams(r.URL.RawQuery); v.muxing.vod && rest != "" {
		o.query += "&" + printable(rest)
	}
	bytes = v.muxing.cutter.serve(w, r, rt.name, o)
}

// refuse answers a request that began no session.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil:
	case h.Next != nil && errors.Is(err, source.ErrNotFound):
		h.Next.ServeHTTP(w, r)
	case errors.Is(err, errHeader):
		http.Error(w, http.StatusText(http.StatusRequestHeaderFieldsTooLarge), http.StatusRequestHeaderFieldsTooLarge)
	default:
		livehttp.Refuse(w, r, err)
	}
}

// isFromVOD reports whether a request for something of a file comes from one of
// our playlists: these tell the session.
func isFromVOD(r *http.Request) bool {
	_, ok := queryValue(r.URL.RawQuery, sessionParam)
	return ok
}

// serveVOD answers a request for a segment of a file. Its viewer may have paused
// for so long that the session is over; then this begins another, for which the
// source.Handler is asked with the query of the playlist.
func (h *Handler) serveVOD(w http.ResponseWriter, r *http.Request, key source.Key, rt route) {
	v, err := h.admit(r, key, rt.container, false)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	var bytes int64
	defer func() { h.served(v, bytes) }()
	bytes = v.muxing.cutter.serve(w, r, rt.name, serveOptions{})
}

// serveSegment answers a request for a segment, of the stream that the session
// watches, else of the one that is shown under the name now.
func (h *Handler) serveSegment(w http.ResponseWriter, r *http.Request, key source.Key, rt route) {
	who := claimOf(r)
	h.mu.Lock()
	var v *viewer
	var m *muxing
	var err error
	if a := h.audiences[key]; a != nil {
		m = a.muxing[rt.container]
		if v = a.find(rt.container, &who, false); v != nil {
			m, err = v.muxing, v.refusal()
			if err == nil && r.Method != http.MethodHead {
				a.touch(v)
			} else {
				v = nil
			}
		}
	}
	h.mu.Unlock()
	switch {
	case err != nil:
		livehttp.Refuse(w, r, err)
		return
	case m == nil:
		livehttp.Refuse(w, r, source.ErrNotFound)
		return
	}
	var bytes int64
	if v != nil {
		defer func() { h.served(v, bytes) }()
	}
	bytes = m.cutter.serve(w, r, rt.name, serveOptions{})
}

// playlistHeader sets what the header of a playlist says that is a client's own.
func playlistHeader(h http.Header) {
	h.Set("Content-Type", playlistType)
	h.Set("Cache-Control", "no-store")
}
