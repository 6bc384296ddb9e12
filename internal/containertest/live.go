package containertest

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
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A Live is a container as live streams have it, over HTTP and WebSocket.
type Live struct {
	Suffix   string            // of URLs, as in ".live.ts"
	Schema   string            // what viewers are counted by
	Protocol string            // of a request, as in "http-ts"
	URLs     map[string]string // more URLs, and the streams they name; "" is none
	Invalid  error             // says that something is no such container

	Handler func(livehttp.Options) Handler // with Handler, Vhost and Next of these options
	Open    func(ctx context.Context, url string) (source.Reader, error)
	Reader  func(io.Reader) source.Reader
	File    func(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte
	Same    func(t *testing.T, want, got []*codec.Frame) // times of got may begin at 0
}

// site starts a Handler of the Hub.
func (l *Live) site(t *testing.T) *Site {
	return NewSite(t, func(hub source.Handler) Handler { return l.Handler(livehttp.Options{Handler: hub}) })
}

// Test tests Handler and Client with each other.
func (l *Live) Test(t *testing.T) {
	t.Run("URLs", l.testURLs)
	t.Run("zero value", l.testZero)
	t.Run("missing stream", l.testMissing)
	t.Run("late joiner", l.testLateJoiner)
	t.Run("private source", l.testPrivateSource)
	t.Run("client refuses", l.testClientRefuses)
}

func (l *Live) testURLs(t *testing.T) {
	type wanted struct{ key, params string } // key "": the next handler's
	cases := map[string]wanted{
		"/live/t" + l.Suffix:                           {"live/t", ""},
		"/live/t" + strings.ToUpper(l.Suffix):          {"live/t", ""},
		"/live/a/b" + l.Suffix + "?token=1%202&x":      {"live/a/b", "token=1%202&x"},
		"/live/t?schema=" + l.Schema:                   {"live/t", "schema=" + l.Schema},
		"/live/t%20x" + l.Suffix:                       {"live/t x", ""},
		"/record/a.mp4" + l.Suffix:                     {"record/a.mp4", ""},
		"/live/t":                                      {},
		"/live/t?schema=x" + l.Schema:                  {},
		"/live/t" + l.Suffix + "x":                     {},
		"/live/t.live" + l.Suffix[len(".live"):] + "/": {},
	}
	for url, key := range l.URLs {
		cases[url] = wanted{key, ""}
	}
	var got *source.Request
	h := l.Handler(livehttp.Options{
		Handler: playFunc(func(r *source.Request) (source.Reader, error) { got = r; return nil, source.ErrNotFound }),
		Vhost:   func(r *http.Request) string { return r.Host },
		Next:    http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
	})
	for url, want := range cases {
		t.Run(url, func(t *testing.T) {
			got = nil
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
			if want.key == "" {
				require.Equal(t, http.StatusTeapot, w.Code)
				require.Nil(t, got)
				return
			}
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Equal(t, "example.com/"+want.key, got.Key.String())
			require.Equal(t, want.params, got.Params)
			require.Equal(t, l.Schema, got.Schema)
			require.Equal(t, l.Protocol, got.Protocol)
		})
	}
	got = nil
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+l.Suffix, nil))
	require.Equal(t, http.StatusNotFound, w.Code, "ours, but no stream")
	require.Nil(t, got)
}

// playFunc is a source.Handler that only plays.
type playFunc func(*source.Request) (source.Reader, error)

func (f playFunc) Play(_ context.Context, r *source.Request) (source.Reader, error) { return f(r) }

func (playFunc) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrUnsupported
}

func (l *Live) testZero(t *testing.T) {
	h := l.Handler(livehttp.Options{})
	for _, path := range []string{"/live/t" + l.Suffix, "/", "/other"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	}
}

func (l *Live) testMissing(t *testing.T) {
	s := l.site(t)
	for _, scheme := range []string{"http", "ws"} {
		_, err := l.Open(t.Context(), s.URL(scheme, "/live/missing"+l.Suffix))
		require.ErrorIs(t, err, source.ErrNotFound, scheme)
		var e *livehttp.StatusError
		require.ErrorAs(t, err, &e)
		require.Equal(t, http.StatusNotFound, e.Code)
	}
}

// A viewer who joins while parameters change gets those of its key frame.
func (l *Live) testLateJoiner(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond, Change: 1, Bitrate: 100_000}
	frames := stream.Take(600 * time.Millisecond)
	s := l.site(t)
	Write(t, s.Publish(stream.Tracks()), frames)
	r, err := l.Open(t.Context(), s.URL("http", "/live/t"+l.Suffix))
	require.NoError(t, err)
	defer r.Close()
	f, err := r.ReadFrame(t.Context())
	require.NoError(t, err)
	require.True(t, f.Key())
	require.Equal(t, 400*time.Millisecond, frames[10].DTS)
	require.Equal(t, Digest(frames[10].Data), Digest(f.Data))
	RequireSameTrack(t, testmedia.Track2(0, codec.H264), f.Track)
}

// A source.Handler that is no Hub: its frames are muxed for the viewer alone.
func (l *Live) testPrivateSource(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	want := stream.Take(time.Second)
	file := l.File(t, stream.Tracks(), want)
	files := playFunc(func(*source.Request) (source.Reader, error) { return l.Reader(bytes.NewReader(file)), nil })
	s := NewSite(t, func(source.Handler) Handler { return l.Handler(livehttp.Options{Handler: files}) })
	for _, scheme := range []string{"http", "ws"} {
		r, err := l.Open(t.Context(), s.URL(scheme, "/live/t"+l.Suffix))
		require.NoError(t, err)
		got, err := ReadAll(r)
		require.Equal(t, io.EOF, err)
		l.Same(t, want, got)
		require.NoError(t, r.Close())
	}
}

// What is something else is refused when it is opened.
func (l *Live) testClientRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<html>something else, and enough of it</html>")
	}))
	defer srv.Close()
	for url, want := range map[string]error{
		"file:///etc/passwd": source.ErrUnsupported, "ftp://host/t": source.ErrUnsupported, srv.URL + "/live/t" + l.Suffix: l.Invalid,
	} {
		_, err := l.Open(t.Context(), url)
		require.ErrorIs(t, err, want, url)
	}
	for _, url := range []string{"http://bad host/", "http://user:secret@127.0.0.1:1/x"} {
		_, err := l.Open(t.Context(), url)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "secret")
	}
}

// TestRoundTrip shows a stream over HTTP and WebSocket: what was published from
// the newest key frame on comes out, to the last frame. The query goes to the
// Handler.
func (l *Live) TestRoundTrip(t *testing.T, stream testmedia.Stream, query string) {
	if stream.Change > 0 && stream.Video != codec.MJPEG {
		stream.GOP = time.Second
	}
	s := l.site(t)
	pub := s.Publish(stream.Tracks())
	frames := stream.Take(2 * time.Second)
	begun := 0 // enough for a reader to know the tracks
	for frames[begun].DTS < 500*time.Millisecond {
		begun++
	}
	Write(t, pub, frames[:begun])
	var readers []source.Reader
	for _, scheme := range []string{"http", "ws"} {
		r, err := l.Open(t.Context(), s.URL(scheme, "/live/t"+l.Suffix+query))
		require.NoError(t, err)
		require.Len(t, r.Tracks(), len(stream.Tracks()))
		readers = append(readers, r)
	}
	Write(t, pub, frames[begun:])
	require.NoError(t, pub.Close())
	for _, r := range readers {
		got, err := ReadAll(r)
		require.Equal(t, io.EOF, err)
		want := Tail(frames, got)
		require.GreaterOrEqual(t, len(got), len(frames)-begun)
		if stream.Video != codec.Opaque && stream.Video != codec.MJPEG { // else it joined at the newest frame
			require.Len(t, OfKind(got, codec.KindVideo), len(OfKind(frames, codec.KindVideo)))
		}
		require.True(t, want[0].Key())
		l.Same(t, want, got)
		require.NoError(t, r.Close())
	}
}

// Tail returns the last of frames, of each kind as many as got has.
func Tail(frames, got []*codec.Frame) (tail []*codec.Frame) {
	skip := map[codec.Kind]int{}
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		skip[k] = len(OfKind(frames, k)) - len(OfKind(got, k))
	}
	for _, f := range frames {
		if k := f.Track.Kind(); skip[k] > 0 {
			skip[k]--
		} else {
			tail = append(tail, f)
		}
	}
	return tail
}
