package hls

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/hlscheck"
	"github.com/mediakit-go/mediakit/source"
)

// A fakeMedium is a file in memory.
type fakeMedium struct {
	tracks   []*codec.Track
	frames   []*codec.Frame
	duration time.Duration
	seams    []time.Duration
	changed  map[time.Duration][]*codec.Track // the tracks from a seam on
	fails    time.Duration                    // reading does from this time on; 0: never
	mended   time.Duration                    // until then; 0: for good
	failure  error

	at    int
	seeks int

	mu     sync.Mutex // guards what follows
	closed bool
}

// newMedium returns a file with d of frames.
func newMedium(tracks []*codec.Track, frames []*codec.Frame, d time.Duration) *fakeMedium {
	return &fakeMedium{tracks: tracks, frames: frames, duration: d}
}

// fileOf returns one with d of what serveStream has.
func fileOf(d time.Duration) *fakeMedium {
	return newMedium(serveStream.Tracks(), serveStream.Take(d), d)
}

func (m *fakeMedium) Seams() []time.Duration  { return m.seams }
func (m *fakeMedium) Duration() time.Duration { return m.duration }

func (m *fakeMedium) Tracks() []*codec.Track { return m.tracks }

func (m *fakeMedium) Present() []*codec.Track {
	tracks := m.tracks
	for _, s := range m.seams {
		if m.at > 0 && m.frames[m.at-1].DTS >= s || m.at < len(m.frames) && m.frames[m.at].DTS >= s {
			tracks = m.changed[s]
		}
	}
	return tracks
}

func (m *fakeMedium) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *fakeMedium) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *fakeMedium) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	switch {
	case m.isClosed():
		return nil, source.ErrClosed
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case m.at == len(m.frames):
		return nil, io.EOF
	}
	f := m.frames[m.at]
	if m.fails > 0 && f.DTS >= m.fails && (m.mended == 0 || f.DTS < m.mended) {
		return nil, cmp.Or(m.failure, io.ErrNoProgress)
	}
	m.at++
	return f, nil
}

// isEntry reports whether one can seek to f.
func (m *fakeMedium) isEntry(f *codec.Frame) bool {
	return f.Key() && f.Track.ID == leadOf(m.tracks)
}

func (m *fakeMedium) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	m.seeks++
	m.at = -1
	for i, f := range m.frames {
		if m.isEntry(f) && (f.DTS <= t || m.at < 0) {
			m.at = i
		}
	}
	return m.frames[m.at].DTS, nil
}

func (m *fakeMedium) KeyTimes(context.Context) (keys []time.Duration, err error) {
	for _, f := range m.frames {
		if m.isEntry(f) {
			keys = append(keys, f.DTS)
		}
	}
	return keys, nil
}

// A projection shows a medium.
type projection struct {
	t *testing.T
	m *fakeMedium
	v *vod
}

func project(t *testing.T, m *fakeMedium, o Options) *projection {
	t.Helper()
	v, err := newVOD(m, o, &shelf{})
	require.NoError(t, err)
	return &projection{t, m, v}
}

// get asks for name.
func (p *projection) get(name string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(p.t.Context(), http.MethodGet, "/"+name, nil)
	rec := httptest.NewRecorder()
	n := p.v.serve(rec, r, r.URL.Path[1:], serveOptions{})
	if rec.Code == http.StatusOK {
		require.EqualValues(p.t, n, rec.Body.Len())
	}
	return rec
}

// playlist returns the playlist, which is right.
func (p *projection) playlist() *hlscheck.Playlist {
	p.t.Helper()
	rec := p.get(p.v.o.Container.playlist())
	require.Equal(p.t, http.StatusOK, rec.Code)
	list := parseChecked(p.t, rec.Body.Bytes())
	require.Equal(p.t, "VOD", list.Type)
	require.True(p.t, list.Ended)
	return list
}

// bytes returns what a URI of the playlist has.
func (p *projection) bytes(uri string) []byte {
	p.t.Helper()
	rec := p.get(uri)
	require.Equal(p.t, http.StatusOK, rec.Code, uri)
	require.Equal(p.t, p.v.o.Container.contentType(), rec.Header().Get("Content-Type"))
	return rec.Body.Bytes()
}

// all returns the whole film: segments from begin on, after the initialization
// segment of each.
func (p *projection) all(list *hlscheck.Playlist, begin int) (all []byte) {
	p.t.Helper()
	init := ""
	for _, s := range list.Segments[begin:] {
		if s.Map != init {
			init = s.Map
			all = append(all, p.bytes(init)...)
		}
		all = append(all, p.bytes(s.URI)...)
	}
	return all
}

// keysEvery leaves key frames of video only where the time is a multiple of d.
func keysEvery(frames []*codec.Frame, d time.Duration) []*codec.Frame {
	frames = slices.Clone(frames)
	for i, f := range frames {
		if isVideo(f) && f.Key() && f.DTS%d != 0 {
			g := *f
			g.Flags &^= codec.FlagKey
			frames[i] = &g
		}
	}
	return frames
}
