package ts

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A site is a Handler on a server.
type site struct {
	t   *testing.T
	hub *source.Hub
	h   *Handler
	srv *httptest.Server
}

func newSite(t *testing.T, h *Handler) *site {
	s := &site{t: t, hub: &source.Hub{MaxWait: -1}, h: h}
	if h.Handler == nil {
		h.Handler = s.hub
	}
	s.srv = httptest.NewServer(h)
	t.Cleanup(func() {
		require.NoError(t, s.hub.Close())
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, h.Shutdown(ctx))
		require.Zero(t, h.Viewers())
		require.Zero(t, h.Panics())
		s.srv.Client().CloseIdleConnections()
		s.srv.Close()
	})
	return s
}

// url returns the URL of path with another scheme.
func (s *site) url(scheme, path string) string {
	return scheme + strings.TrimPrefix(s.srv.URL, "http") + path
}

// publish begins the stream /live/t.
func (s *site) publish(tracks []*codec.Track) source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{
		ID: source.NewID(), Schema: "test", Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"},
		Options: source.StreamOptions{Time: source.TimeOff},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(tracks, true))
	return pub
}

// Every codec over HTTP and WebSocket: what was published from the newest key
// frame on comes out, to the end.
func TestLiveRoundTrip(t *testing.T) {
	for _, stream := range streams {
		if stream.Change > 0 {
			stream.GOP = time.Second
		}
		stream.Bitrate = 200_000
		t.Run(streamName(stream), func(t *testing.T) {
			s := newSite(t, &Handler{})
			pub := s.publish(stream.Tracks())
			frames := stream.Take(2 * time.Second)
			write := func(frames []*codec.Frame) {
				for _, f := range frames {
					require.NoError(t, pub.WriteFrame(t.Context(), f))
				}
			}
			begun := 0 // enough for a reader to know the tracks
			for frames[begun].DTS < 500*time.Millisecond {
				begun++
			}
			write(frames[:begun])
			var readers []source.Reader
			for _, scheme := range []string{"http", "ws"} {
				r, err := Open(t.Context(), s.url(scheme, "/live/t.live.ts"))
				require.NoError(t, err)
				require.Len(t, r.Tracks(), len(stream.Tracks()))
				readers = append(readers, r)
			}
			write(frames[begun:])
			require.NoError(t, pub.Close())
			for _, r := range readers {
				got, err := readAll(r.(*Reader))
				require.Equal(t, io.EOF, err)
				want := frames
				if stream.Video == codec.Opaque { // each frame is a key frame: it joined at the newest
					require.Greater(t, len(got), len(frames)-begun)
					want = frames[len(frames)-len(got):]
				}
				requireSameFrames(t, want, got, -want[0].DTS)
				require.NoError(t, r.Close())
			}
		})
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct{ url, key, params string }{
		{"/live/t.live.ts", "live/t", ""},
		{"/live/t.LIVE.TS", "live/t", ""},
		{"/live/a/b.live.ts?token=1%202&x", "live/a/b", "token=1%202&x"},
		{"/live/t?schema=ts", "live/t", "schema=ts"},
		{"/record/a.mp4.live.ts", "record/a.mp4", ""},
		{"/live/t.ts", "", ""}, // a segment
		{"/live/t", "", ""},
		{"/live/t?schema=fmp4", "", ""},
		{"/live/t.live.flv", "", ""},
	} {
		t.Run(c.url, func(t *testing.T) {
			var got *source.Request
			h := &Handler{
				Handler: playFunc(func(req *source.Request) error { got = req; return source.ErrNotFound }),
				Vhost:   func(r *http.Request) string { return r.Host },
				Next:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.url, nil))
			if c.key == "" {
				require.Equal(t, http.StatusTeapot, w.Code)
				require.Nil(t, got)
				return
			}
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Equal(t, "example.com/"+c.key, got.Key.String())
			require.Equal(t, c.params, got.Params)
			require.Equal(t, "ts", got.Schema)
			require.Equal(t, "http-ts", got.Protocol)
		})
	}
}

// playFunc refuses every stream.
type playFunc func(*source.Request) error

func (f playFunc) Play(_ context.Context, r *source.Request) (source.Reader, error) { return nil, f(r) }

func (playFunc) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrUnsupported
}

func TestHandlerZero(t *testing.T) {
	for _, path := range []string{"/live/t.live.ts", "/", "/other"} {
		w := httptest.NewRecorder()
		(&Handler{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	}
}

// What goes over the wire: the tables first.
func TestLiveHeader(t *testing.T) {
	s := newSite(t, &Handler{})
	pub := s.publish(shortStream.Tracks())
	for _, f := range shortStream.Take(100 * time.Millisecond) {
		require.NoError(t, pub.WriteFrame(t.Context(), f))
	}
	resp, err := s.srv.Client().Get(s.url("http", "/live/t.live.ts"))
	require.NoError(t, err)
	require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
	require.Equal(t, int64(-1), resp.ContentLength)
	b := make([]byte, 2*PacketSize)
	_, err = io.ReadFull(resp.Body, b)
	require.NoError(t, err)
	var d Demuxer
	_, err = d.Append(nil, append(b, b...))
	require.NoError(t, err)
	require.Len(t, d.streams, 2)
	require.NoError(t, resp.Body.Close())
}

// A source.Handler that is no Hub: its frames are muxed for the viewer alone.
func TestPrivateSource(t *testing.T) {
	want := shortStream.Take(time.Second)
	s := newSite(t, &Handler{Handler: fileHandler{write(t, shortStream.Tracks(), want)}})
	for _, scheme := range []string{"http", "ws"} {
		r, err := Open(t.Context(), s.url(scheme, "/live/t.live.ts"))
		require.NoError(t, err)
		got, err := readAll(r.(*Reader))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got, 0)
		require.NoError(t, r.Close())
	}
}

// fileHandler plays one file.
type fileHandler struct{ file []byte }

func (h fileHandler) Play(context.Context, *source.Request) (source.Reader, error) {
	return NewReader(bytes.NewReader(h.file)), nil
}

func (fileHandler) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrUnsupported
}

func TestHandlerRefusals(t *testing.T) {
	s := newSite(t, &Handler{})
	pub := s.publish([]*codec.Track{testmedia.Track(1, codec.VP8)})
	for _, f := range (testmedia.Stream{Video: codec.VP8, Bitrate: 100_000}).Take(100 * time.Millisecond) {
		require.NoError(t, pub.WriteFrame(t.Context(), f))
	}
	for _, scheme := range []string{"http", "ws"} {
		for path, code := range map[string]int{"/live/missing.live.ts": 404, "/live/t.live.ts": 406} {
			_, err := Open(t.Context(), s.url(scheme, path))
			var e *StatusError
			require.ErrorAs(t, err, &e, scheme)
			require.Equal(t, code, e.Code)
		}
	}
}

func TestClientRefuses(t *testing.T) {
	_, err := Open(t.Context(), "file:///etc/passwd")
	require.ErrorIs(t, err, source.ErrUnsupported)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>not TS</html>") }))
	defer srv.Close()
	_, err = Open(t.Context(), srv.URL)
	require.ErrorIs(t, err, ErrInvalid)
}
