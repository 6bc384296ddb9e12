package hls

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/hlscheck"
)

// A rig writes frames to a Writer, looks at every playlist that it makes of them,
// and fetches what that lists as a player of low latency does.
type rig struct {
	t     *testing.T
	w     *Writer
	grows bool // the target duration may

	last   *hlscheck.Playlist
	seen   *snapshot
	bytes  map[string][]byte // of segments, as parts or as a whole
	inits  map[string][]byte
	order  []segmentSeen
	deltas int // delta updates that left something out
}

// A segmentSeen is a segment as it was listed.
type segmentSeen struct {
	hlscheck.Segment
	parts int
}

func newRig(t *testing.T, tracks []*codec.Track, o Options) *rig {
	t.Helper()
	w, err := NewWriter(tracks, o)
	require.NoError(t, err)
	return &rig{t: t, w: w, bytes: map[string][]byte{}, inits: map[string][]byte{}}
}

// get asks for name, with a header Range if there is one.
func (g *rig) get(name, span string) *httptest.ResponseRecorder {
	g.t.Helper()
	return request(g.w, http.MethodGet, name, span)
}

// request asks h for name.
func request(h http.Handler, method, name, span string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/"+name, nil)
	if span != "" {
		r.Header.Set("Range", span)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// write writes a frame at its time, which has to be virtual.
func (g *rig) write(f *codec.Frame, begin time.Time) {
	g.t.Helper()
	time.Sleep(time.Until(begin.Add(f.DTS)))
	require.NoError(g.t, g.w.WriteFrame(context.Background(), f))
	g.look()
}

// close closes the Writer.
func (g *rig) close() {
	g.t.Helper()
	require.NoError(g.t, g.w.Close())
	g.look()
}

// look checks the playlist if there is a new one.
func (g *rig) look() {
	g.t.Helper()
	s := g.w.now.Load()
	if s == g.seen {
		return
	}
	g.seen = s
	name := g.w.o.Container.playlist()
	rec := g.get(name, "")
	require.Equal(g.t, http.StatusOK, rec.Code)
	text := rec.Body.Bytes()
	p := parse(g.t, text)
	require.NoError(g.t, p.Check(), "%s", text)
	if len(p.Next.Parts) < 2 { // the witness and delta updates need not see every part
		parseChecked(g.t, text)
	}
	if g.last != nil {
		require.NoError(g.t, hlscheck.Follows(g.last, p, g.grows), "%s", text)
		if len(p.Next.Parts) < 2 {
			g.lookAtDelta(p, name)
		}
	}
	g.last = p
	g.fetch(p)
}

// parseChecked reads a playlist that has to be right.
func parseChecked(t *testing.T, text []byte) *hlscheck.Playlist {
	t.Helper()
	p := parse(t, text)
	require.NoError(t, p.Check(), "%s", text)
	var witness playlist.Media
	require.NoError(t, witness.Unmarshal(text), "%s", text)
	require.Len(t, witness.Segments, len(p.Segments))
	return p
}

// lookAtDelta checks that the delta update stands for the whole playlist.
func (g *rig) lookAtDelta(whole *hlscheck.Playlist, name string) {
	g.t.Helper()
	delta, err := hlscheck.Parse(g.get(name+"?_HLS_skip=YES", "").Body.Bytes())
	require.NoError(g.t, err)
	require.NoError(g.t, delta.Check())
	if delta.Skipped == 0 {
		return
	}
	g.deltas++
	p, err := hlscheck.Expand(g.last, delta)
	require.NoError(g.t, err)
	require.Len(g.t, p.Segments, len(whole.Segments))
	for i, s := range whole.Segments {
		if i < delta.Skipped {
			require.Empty(g.t, s.Parts)
			s.Parts = nil
		}
		require.Equal(g.t, s, p.Segments[i])
	}
	require.Equal(g.t, whole.Next, p.Next)
}

// fetch fetches what is new.
func (g *rig) fetch(p *hlscheck.Playlist) {
	g.t.Helper()
	for i := range p.Segments {
		s := &p.Segments[i]
		g.fetchParts(s)
		if n := p.Sequence + uint64(i); n < uint64(len(g.order)) {
			continue
		}
		rec := g.get(s.URI, "")
		require.Equal(g.t, http.StatusOK, rec.Code, s.URI)
		if len(s.Parts) > 0 {
			require.Equal(g.t, g.bytes[s.URI], rec.Body.Bytes(), "parts are not the segment")
		}
		g.bytes[s.URI] = rec.Body.Bytes()
		g.order = append(g.order, segmentSeen{*s, len(s.Parts)})
		if s.Map != "" && g.inits[s.Map] == nil {
			g.inits[s.Map] = g.get(s.Map, "").Body.Bytes()
			require.NotEmpty(g.t, g.inits[s.Map])
		}
	}
	g.fetchParts(&p.Next)
}

// fetchParts fetches the parts of s that were not there before.
func (g *rig) fetchParts(s *hlscheck.Segment) {
	g.t.Helper()
	for _, part := range s.Parts {
		if part.From < int64(len(g.bytes[part.URI])) {
			continue
		}
		rec := g.get(part.URI, fmt.Sprintf("bytes=%d-%d", part.From, part.From+part.Size-1))
		require.Equal(g.t, http.StatusPartialContent, rec.Code, part.URI)
		require.EqualValues(g.t, part.Size, rec.Body.Len())
		require.EqualValues(g.t, part.From, len(g.bytes[part.URI]))
		g.bytes[part.URI] = append(g.bytes[part.URI], rec.Body.Bytes()...)
	}
}

// parse reads a playlist.
func parse(t *testing.T, text []byte) *hlscheck.Playlist {
	t.Helper()
	p, err := hlscheck.Parse(text)
	require.NoError(t, err, "%s", text)
	return p
}
