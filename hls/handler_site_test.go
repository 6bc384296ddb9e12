package hls

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A fakeCutter makes a segment of each frame, so that a test of the Handler can
// count on what there is.
type fakeCutter struct {
	options Options
	from    position
	panics  bool

	mu     sync.Mutex // guards what follows
	frames uint64
	closed bool
	purged bool
}

const fakeSegment = "2026-01-02/03/04-05_0" // without extension

func (c *fakeCutter) WriteFrame(context.Context, *codec.Frame) error {
	if c.panics {
		panic("cutter")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames++
	return nil
}

func (c *fakeCutter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *fakeCutter) Purge() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purged = true
	return nil
}

func (c *fakeCutter) SetTracks([]*codec.Track) {}

func (c *fakeCutter) position() position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return position{sequence: c.from.sequence + c.frames, discontinuity: c.from.discontinuity + 1, init: c.from.init + 1}
}

func (c *fakeCutter) state() (frames int, closed, purged bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.frames), c.closed, c.purged
}

func (c *fakeCutter) serve(w http.ResponseWriter, r *http.Request, name string, o serveOptions) int64 {
	_, closed, purged := c.state()
	var body string
	switch {
	case purged:
		http.Error(w, "purged", http.StatusNotFound)
		return 0
	case name == c.options.Container.playlist():
		body = fmt.Sprintf("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:%d\n%s%s?%s\n",
			c.from.sequence, fakeSegment, c.options.Container.extension(), o.query)
		if closed {
			body += "#EXT-X-ENDLIST\n"
		}
	case name == fakeSegment+c.options.Container.extension():
		body = strings.Repeat("x", 1000)
	default:
		http.NotFound(w, r)
		return 0
	}
	n, _ := io.WriteString(w, body)
	return int64(n)
}

func (c *fakeCutter) variant(context.Context) (variantInfo, error) {
	if _, closed, _ := c.state(); closed {
		return variantInfo{}, io.EOF
	}
	return variantInfo{Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 30, Bandwidth: 2_000_000, AverageBandwidth: 1_500_000}, nil
}

// A site is a Handler with fake cutters, a hub, and a list of what happened.
type site struct {
	t   testing.TB
	hub *source.Hub
	h   *Handler

	mu      sync.Mutex // guards what follows
	cutters []*fakeCutter
	plays   []source.SessionStats
	ends    []source.SessionStats
}

// newSite returns a site around h, which is asked for the hub's streams unless it
// has a Handler.
func newSite(t testing.TB, h *Handler) *site {
	s := &site{t: t, h: h}
	s.hub = &source.Hub{OnEvent: s.happened}
	if h.Handler == nil {
		h.Handler = s.hub
	}
	if h.newCutter == nil {
		h.newCutter = func(_ []*codec.Track, o Options, from position) (cutter, error) {
			c := &fakeCutter{options: o, from: from}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cutters = append(s.cutters, c)
			return c, nil
		}
	}
	return s
}

// close ends everything; what is left is a leak.
func (s *site) close() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	require.NoError(s.t, s.h.Shutdown(ctx))
	require.NoError(s.t, s.hub.Close())
	require.Zero(s.t, s.h.Viewers())
	require.Zero(s.t, s.h.Stats().Muxings)
	require.Empty(s.t, s.h.audiences)
	for _, c := range s.cut() { // none with Writers
		_, closed, purged := c.state()
		require.True(s.t, closed && purged)
	}
}

func (s *site) happened(e source.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Session.Passive:
	case e.Kind == source.EventPlay:
		s.plays = append(s.plays, e.Session)
	case e.Kind == source.EventPlayEnd:
		s.ends = append(s.ends, e.Session)
	}
}

func (s *site) cut() []*fakeCutter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*fakeCutter(nil), s.cutters...)
}

func (s *site) played() []source.SessionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]source.SessionStats(nil), s.plays...)
}

func (s *site) ended() []source.SessionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]source.SessionStats(nil), s.ends...)
}

var siteAudio = codec.NewG711Track(1, codec.PCMA, 0, 0)

var siteKey = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}

// publish begins the stream /live/t with a frame.
func (s *site) publish() source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: siteKey})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks([]*codec.Track{siteAudio}, true))
	s.write(pub)
	return pub
}

// write publishes a frame.
func (s *site) write(pub source.Publication) {
	s.t.Helper()
	require.NoError(s.t, pub.WriteFrame(s.t.Context(), &codec.Frame{Track: siteAudio, Flags: codec.FlagKey, Data: []byte{1}}))
}

// A client is a player, with or without a jar for cookies.
type client struct {
	s       *site
	address string
	header  http.Header
	jar     bool
	cookie  string // of the jar
	bytes   int    // of all bodies
}

func (s *site) client() *client {
	return &client{s: s, address: "192.0.2.1:4711", header: http.Header{"User-Agent": {"player"}}}
}

// browser returns a client that keeps cookies.
func (s *site) browser() *client {
	c := s.client()
	c.jar = true
	return c
}

// get asks for a URL.
func (c *client) get(url string) *httptest.ResponseRecorder {
	return c.do(c.s.t.Context(), http.MethodGet, url)
}

func (c *client) do(ctx context.Context, method, url string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, url, nil)
	r.RemoteAddr = c.address
	r.Header = c.header.Clone()
	if c.cookie != "" {
		r.Header.Add("Cookie", c.cookie)
	}
	w := httptest.NewRecorder()
	c.s.h.ServeHTTP(w, r)
	c.bytes += w.Body.Len()
	for _, k := range w.Result().Cookies() {
		if c.jar {
			c.cookie = k.Name + "=" + k.Value
		}
	}
	return w
}

// requireStatus asks for a URL and compares the status of the answer.
func (c *client) requireStatus(status int, url string) *httptest.ResponseRecorder {
	c.s.t.Helper()
	w := c.get(url)
	require.Equal(c.s.t, status, w.Code, "%s: %s", url, w.Body)
	return w
}
