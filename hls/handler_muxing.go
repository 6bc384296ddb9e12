package hls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A cutter is what a Handler needs of a *Writer.
type cutter interface {
	source.Writer
	SetTracks([]*codec.Track)
	Purge() error
	position() position
	serve(http.ResponseWriter, *http.Request, string, serveOptions) int64
	variant(context.Context) (variantInfo, error)
}

// A muxingKey is what muxings are shared by.
type muxingKey struct {
	stream    *source.Stream
	container Container
}

// A nameKey is what muxings follow one another under.
type nameKey struct {
	key       source.Key
	container Container
}

// A muxing is a stream being cut: once for all who watch it, or for one viewer
// whose Reader is of his own. A goroutine feeds it.
type muxing struct {
	h         *Handler
	container Container
	vod       bool                 // cutter is one
	key       source.Key           // of the stream
	stream    *source.Stream       // nil if it is one viewer's own
	sub       *source.Subscription // that is cut; nil without stream
	r         source.Reader        // that is cut
	cutter    cutter
	err       error         // why there is no cutter
	ready     chan struct{} // closed when cutter or err is set
	closed    chan struct{} // closed when nothing is added any more
	gone      chan struct{} // closed when everything is deleted
	ctx       context.Context
	cancel    context.CancelFunc

	// Guarded by the Handler's lock.
	viewers int // sessions, and joins about to be
	idle    *time.Timer
	next    position // where the numbers go on; set before closed is closed
}

// mux returns what cuts the stream that r reads, for one viewer more, who gives
// it back with release. sub is r's subscription, or nil. A Handler's goroutine
// calls it.
func (h *Handler) mux(key source.Key, r source.Reader, sub *source.Subscription, c Container) (*muxing, error) {
	if file, ok := source.As[medium](r); ok && sub == nil {
		m := h.newMuxing(key, c)
		m.vod, m.r = true, r
		return m, m.show(file)
	}
	if sub == nil || sub.Request().Viewer.Slow == source.SlowBlock {
		m := h.newMuxing(key, c)
		m.r = r
		return m, m.begin(position{}, "")
	}
	return h.muxShared(sub.Stream(), c)
}

// Cut cuts a stream as if somebody watched it all the time, until stop is called:
// who asks for its playlist then need not wait for the first segments, and with
// Options.Dir there are files of a stream that nobody watches. That ends with the
// stream; of another one under the name it has to be said anew.
func (h *Handler) Cut(s *source.Stream, c Container) (stop func(), err error) {
	h.mu.Lock()
	if h.closing {
		h.mu.Unlock()
		return nil, errShutdown
	}
	h.work++ // Shutdown waits
	h.mu.Unlock()
	defer h.done()
	m, err := h.muxShared(s, c)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	closing := h.closing
	h.mu.Unlock()
	if closing { // and did not know of m, perhaps
		h.release(m)
		return nil, errShutdown
	}
	return sync.OnceFunc(func() { h.release(m) }), nil
}

// muxShared returns what cuts a stream for all who watch it.
func (h *Handler) muxShared(s *source.Stream, c Container) (*muxing, error) {
	h.mu.Lock()
	k := muxingKey{s, c}
	m := h.shared[k]
	if m != nil {
		m.viewers++
		m.stopIdle()
		h.mu.Unlock()
		<-m.ready
	} else {
		m = h.newMuxing(k.stream.Key(), c)
		m.stream = k.stream
		if h.shared == nil {
			h.shared, h.latest = map[muxingKey]*muxing{}, map[nameKey]*muxing{}
		}
		before := h.latest[m.name()]
		h.shared[k], h.latest[m.name()] = m, m
		h.mu.Unlock()
		m.share(before)
	}
	if m.err != nil {
		h.release(m)
	}
	return m, m.err
}

// newMuxing returns a muxing with one viewer.
func (h *Handler) newMuxing(key source.Key, c Container) *muxing {
	m := &muxing{
		h: h, container: c, key: key, viewers: 1,
		ready: make(chan struct{}), closed: make(chan struct{}), gone: make(chan struct{}),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

func (m *muxing) name() nameKey { return nameKey{m.key, m.container} }

// share begins to cut a shared stream after what was cut under its name before.
func (m *muxing) share(before *muxing) {
	from := before.handOver()
	m.sub = m.stream.Subscribe(&source.Request{Schema: schemaOf(m.container), Protocol: "hls", Passive: true})
	m.r = m.sub
	dir, err := m.dir()
	if m.sub == nil {
		err = fmt.Errorf("%w: %s", source.ErrNotFound, m.key)
	}
	if err == nil {
		err = m.begin(from, dir)
	}
	if err != nil {
		if m.sub != nil {
			_ = m.sub.Close()
		}
		m.err = err
		m.over(from)
		close(m.gone)
		m.forget()
	}
	close(m.ready)
}

// handOver ends what is in the way of another muxing under the same name, and
// returns where the numbers go on. m may be nil.
func (m *muxing) handOver() position {
	if m == nil {
		return position{}
	}
	<-m.ready
	if m.err == nil {
		select {
		case <-m.sub.Done(): // it ends by itself
		default:
			m.cancel()
		}
	}
	if m.h.Options.Dir != "" {
		m.cancel()
		<-m.gone
	}
	<-m.closed
	return m.next
}

// dir returns the folder of the stream's files, which is below that of the
// Handler whatever the stream is called.
func (m *muxing) dir() (string, error) {
	root := m.h.Options.Dir
	if root == "" {
		return "", nil
	}
	name := m.key.Path()
	if m.key.Vhost != source.DefaultVhost {
		name = m.key.Vhost + "/" + name
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return "", fmt.Errorf("%w: no file can be called %q", source.ErrBadKey, name)
	}
	return filepath.Join(root, local), nil
}

// removeFolders removes those between the stream's folder and the Handler's, as
// far as they are empty.
func (m *muxing) removeFolders() {
	dir, err := m.dir()
	if m.stream == nil || dir == "" || err != nil {
		return
	}
	for root := filepath.Clean(m.h.Options.Dir); dir != root; dir = filepath.Dir(dir) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// show begins to show a medium to one viewer. Nothing is cut until it is asked for.
func (m *muxing) show(r medium) error {
	h := m.h
	o := h.Options
	o.Container = m.container
	v, err := newVOD(r, o, &h.shelf)
	if err != nil {
		m.cancel()
		return err
	}
	m.cutter = v
	v.warn = func(err error) { h.write(slog.LevelWarn, "cannot be read", "stream", m.key.Path(), "error", err) }
	if sleeper, ok := r.(rester); ok {
		v.rest = func() { _ = h.safely(func() error { sleeper.Rest(); return nil }) }
		v.ward = &h.ward
		h.ward.put(v)
	}
	m.keepRunning(func() {
		<-m.ctx.Done()
		h.ward.remove(v)
	})
	return nil
}

// begin makes the cutter and starts to feed it.
func (m *muxing) begin(from position, dir string) error {
	h := m.h
	o := h.Options
	o.Container, o.Dir, o.Record, o.Logger = m.container, dir, "", cmp.Or(o.Logger, h.Logger)
	cut := h.newCutter
	if cut == nil {
		cut = func(tracks []*codec.Track, o Options, from position) (cutter, error) {
			return newWriterAt(tracks, o, from)
		}
	}
	err := h.safely(func() (err error) {
		m.cutter, err = cut(m.r.Tracks(), o, from)
		return err
	})
	if err != nil {
		m.cancel()
		return err
	}
	m.keepRunning(m.feed)
	return nil
}

// keepRunning runs fn, at the end of which the muxing has gone.
func (m *muxing) keepRunning(fn func()) {
	h := m.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.muxings == nil {
		h.muxings = map[*muxing]struct{}{}
	}
	h.muxings[m] = struct{}{}
	h.run(func() {
		fn()
		close(m.gone)
		h.mu.Lock()
		delete(h.muxings, m)
		if len(h.muxings) == 0 {
			h.shelf.clear()
		}
		h.mu.Unlock()
		m.forget()
	})
}

// feed cuts the stream to its end, keeps the segments for a while, and deletes
// them. It is the muxing's goroutine.
func (m *muxing) feed() {
	h := m.h
	err := h.safely(func() error { return source.Copy(m.ctx, returnWriter{m.cutter, m.r}, m.r) })
	if err == nil || m.ctx.Err() != nil {
		err = nil
		h.write(slog.LevelDebug, "cutting ended", "stream", m.key.Path())
	} else {
		h.write(slog.LevelWarn, "cutting failed", "stream", m.key.Path(), "error", err)
	}
	if cerr := h.safely(m.cutter.Close); cerr != nil && err == nil {
		h.write(slog.LevelWarn, "closing failed", "stream", m.key.Path(), "error", cerr)
	}
	if m.sub != nil {
		_ = m.sub.CloseWithError(io.EOF)
	}
	m.over(m.cutter.position())
	wait := time.NewTimer(h.keep())
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-m.ctx.Done():
	}
	m.cancel()
	if err := h.safely(m.cutter.Purge); err != nil {
		h.write(slog.LevelWarn, "deleting failed", "stream", m.key.Path(), "error", err)
	}
	m.removeFolders()
}

// over notes that nothing is added any more.
func (m *muxing) over(next position) {
	m.h.mu.Lock()
	defer m.h.mu.Unlock()
	m.retire()
	m.next = next
	close(m.closed)
}

// retire makes sure that nobody who comes now is given this muxing. The lock is
// held.
func (m *muxing) retire() {
	if k := (muxingKey{m.stream, m.container}); m.h.shared[k] == m {
		delete(m.h.shared, k)
	}
}

// forget makes the numbers begin again, once the players that may still poll have
// had their time.
func (m *muxing) forget() {
	h := m.h
	if m.stream == nil {
		return
	}
	time.AfterFunc(h.sessionTimeout(), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.latest[m.name()] == m {
			delete(h.latest, m.name())
		}
	})
}

// release gives back what mux returned. After the last viewer a shared stream is
// cut for a while longer.
func (h *Handler) release(m *muxing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m.viewers--
	switch {
	case m.viewers > 0:
	case m.stream == nil, h.closing, h.idleTimeout() == 0:
		m.retire()
		m.cancel()
	default:
		var t *time.Timer
		t = time.AfterFunc(h.idleTimeout(), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if m.idle == t {
				m.retire()
				m.cancel()
			}
		})
		m.idle = t
	}
}

// stopIdle stops the clock that release started. The lock is held.
func (m *muxing) stopIdle() {
	if m.idle != nil {
		m.idle.Stop()
		m.idle = nil
	}
}

// schemaOf returns what viewers are counted by.
func schemaOf(c Container) string {
	if c == FMP4 {
		return "hls.fmp4"
	}
	return "hls"
}
