package mp4

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
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

func (s *site) write(pub source.Publication, frames []*codec.Frame) {
	s.t.Helper()
	for _, f := range frames {
		require.NoError(s.t, pub.WriteFrame(s.t.Context(), f))
	}
}

// Every codec over HTTP and WebSocket: what was published from the newest key
// frame on comes out, to the last frame.
func TestLiveRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, stream testmedia.Stream) {
		if stream.Change > 0 && stream.Video != codec.MJPEG {
			stream.GOP = time.Second
		}
		if stream.Video == codec.MJPEG { // opening waits for a frame of MP2, and nothing comes behind the newest picture
			stream.Audio = codec.Opaque
		}
		s := newSite(t, &Handler{})
		pub := s.publish(stream.Tracks())
		frames := stream.Take(2 * time.Second)
		begun := 0
		for frames[begun].DTS < 200*time.Millisecond {
			begun++
		}
		s.write(pub, frames[:begun])
		open := make(chan source.Reader)
		for _, scheme := range []string{"http", "ws"} {
			go func() {
				r, err := Open(t.Context(), s.url(scheme, "/live/t.live.mp4"))
				if err != nil {
					t.Error(err)
				}
				open <- r
			}()
		}
		readers := []source.Reader{<-open, <-open}
		s.write(pub, frames[begun:])
		require.NoError(t, pub.Close())
		for _, r := range readers {
			require.NotNil(t, r)
			got, err := readAll(r.(*Reader))
			require.Equal(t, io.EOF, err)
			requireTails(t, frames, got, begun)
			require.NoError(t, r.Close())
		}
	})
}

// requireTails requires that got is all of frames from a key frame before begun
// on, of each kind.
func requireTails(t *testing.T, frames, got []*codec.Frame, begun int) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		of := func(frames []*codec.Frame) (of []*codec.Frame) {
			for _, f := range frames {
				if f.Track.Kind() == k {
					of = append(of, f)
				}
			}
			return of
		}
		all, some := of(frames), of(got)
		require.GreaterOrEqual(t, len(all), len(some))
		require.GreaterOrEqual(t, len(some), len(of(frames[begun:])), k.String())
		requireSameFrames(t, all[len(all)-len(some):], some)
		if len(some) > 0 {
			require.True(t, some[0].Key())
		}
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct {
		url    string
		key    string // "": the next handler's
		params string
	}{
		{"/live/t.live.mp4", "live/t", ""},
		{"/live/t.LIVE.MP4", "live/t", ""},
		{"/live/a/b.live.mp4?token=1%202&x", "live/a/b", "token=1%202&x"},
		{"/live/t?schema=fmp4", "live/t", "schema=fmp4"},
		{"/record/a.mp4.live.mp4", "record/a.mp4", ""},
		{"/record/a.mp4", "", ""},
		{"/live/t", "", ""},
		{"/live/t?schema=rtmp", "", ""},
		{"/live/t.live.flv", "", ""},
	} {
		t.Run(c.url, func(t *testing.T) {
			var got *source.Request
			h := &Handler{Handler: playFunc(func(req *source.Request) error { got = req; return source.ErrNotFound })}
			h.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.url, nil))
			if c.key == "" {
				require.Equal(t, http.StatusTeapot, w.Code)
				require.Nil(t, got)
				return
			}
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Equal(t, c.key, got.Key.Path())
			require.Equal(t, c.params, got.Params)
			require.Equal(t, "fmp4", got.Schema)
			require.Equal(t, "http-fmp4", got.Protocol)
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
	for _, path := range []string{"/live/t.live.mp4", "/", "/other"} {
		w := httptest.NewRecorder()
		(&Handler{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	}
}

func TestHandlerRefusals(t *testing.T) {
	s := newSite(t, &Handler{})
	for _, scheme := range []string{"http", "ws"} {
		_, err := Open(t.Context(), s.url(scheme, "/live/missing.live.mp4"))
		require.ErrorIs(t, err, source.ErrNotFound, scheme)
		var e *StatusError
		require.ErrorAs(t, err, &e)
		require.Equal(t, 404, e.Code)
	}
}

// A stream without a track that can be carried is refused.
func TestHandlerNothingToShow(t *testing.T) {
	s := newSite(t, &Handler{})
	track := &codec.Track{ID: 1, Codec: codec.G722, SampleRate: 16000, Channels: 1, ClockRate: 8000}
	s.write(s.publish([]*codec.Track{track}), []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: []byte{1}}})
	_, err := Open(t.Context(), s.url("http", "/live/t.live.mp4"))
	require.Error(t, err)
}

// What goes over the wire: an initialization segment, then fragments of one frame;
// on WebSocket each is one message, as Media Source Extensions take them.
func TestLiveMessages(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	s := newSite(t, &Handler{})
	pub := s.publish(stream.Tracks())
	s.write(pub, stream.Take(500*time.Millisecond))

	resp, err := s.srv.Client().Get(s.url("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	require.Equal(t, "video/mp4", resp.Header.Get("Content-Type"))
	require.Equal(t, int64(-1), resp.ContentLength)
	start := make([]byte, len(appendInit(nil, stream.Tracks())))
	_, err = io.ReadFull(resp.Body, start)
	require.NoError(t, err)
	require.Equal(t, appendInit(nil, stream.Tracks()), start)
	require.NoError(t, resp.Body.Close())

	conn, _, err := websocket.Dial(t.Context(), s.url("ws", "/live/t.live.mp4"), nil)
	require.NoError(t, err)
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for i := range 10 {
		kind, message, err := conn.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		boxes, _ := topLevel(t, message)
		require.Len(t, boxes, 2)
		want := []string{"moof", "mdat"}
		if i == 0 {
			want = []string{"ftyp", "moov"}
		}
		require.Equal(t, want, []string{boxes[0].kind.String(), boxes[1].kind.String()})
		if i > 0 {
			require.Len(t, fragments(t, message), 1)
		}
		if i == 1 {
			trafs := fragments(t, message)[0]
			require.Equal(t, uint32(1), trafs[0].id)
			require.Equal(t, uint32(flagsKey), trafs[0].flags[0])
		}
	}
}

// A viewer who joins while parameters change gets those of its key frame.
func TestLateJoiner(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond, Change: 1, Bitrate: 100_000}
	s := newSite(t, &Handler{})
	s.write(s.publish(stream.Tracks()), stream.Take(600*time.Millisecond))
	r, err := Open(t.Context(), s.url("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	defer r.Close()
	f, err := r.ReadFrame(t.Context())
	require.NoError(t, err)
	require.True(t, f.Key())
	require.Equal(t, 400*time.Millisecond, f.DTS)
	requireSameTrack(t, testmedia.Track2(0, codec.H264), f.Track)
}

// A viewer who was there before the size of the pictures was known is sent no
// other initialization segment than the right one.
func TestUnknownSize(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, Audio: codec.Opus, Bitrate: 50_000}
	tracks := stream.Tracks()
	unknown, err := codec.NewVP8Track(tracks[0].ID, nil)
	require.NoError(t, err)
	s := newSite(t, &Handler{})
	pub := s.publish([]*codec.Track{unknown, tracks[1]})
	resp, err := s.srv.Client().Get(s.url("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	frames := stream.Take(time.Second)
	s.write(pub, frames)
	require.NoError(t, pub.Close())
	wire, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.True(t, bytes.HasPrefix(wire, appendInit(nil, tracks)))
	got, err := demux(wire)
	require.NoError(t, err)
	requireTails(t, frames, got, len(frames))
	require.NotEmpty(t, got)
}

// Another codec ends the connection; who comes then sees the new one.
func TestNewFormatEndsViewers(t *testing.T) {
	s := newSite(t, &Handler{})
	first := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	second := testmedia.Stream{Video: codec.H265, Bitrate: 100_000}
	pub := s.publish(first.Tracks())
	frames := first.Take(400 * time.Millisecond)
	s.write(pub, frames)
	old, err := Open(t.Context(), s.url("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	defer old.Close()
	for _, f := range second.Take(400 * time.Millisecond) {
		g := *f
		g.DTS += 400 * time.Millisecond
		g.PTS += 400 * time.Millisecond
		require.NoError(t, pub.WriteFrame(t.Context(), &g))
	}
	got, err := readAll(old.(*Reader))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, frames, got)
	r, err := Open(t.Context(), s.url("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, codec.H265, r.Tracks()[0].Codec)
}

// A source.Handler that is no Hub: its frames are muxed for the viewer alone.
func TestPrivateSource(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	want := stream.Take(time.Second)
	s := newSite(t, &Handler{Handler: fileHandler{mux(t, stream.Tracks(), want, 5)}})
	for _, scheme := range []string{"http", "ws"} {
		r, err := Open(t.Context(), s.url(scheme, "/live/t.live.mp4"))
		require.NoError(t, err)
		got, err := readAll(r.(*Reader))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got)
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

// What is no MP4 is refused when it is opened.
func TestClientRefuses(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>something else, and enough of it</html>"))
	}))
	defer srv.Close()
	_, err := (&Client{HTTP: srv.Client()}).Open(t.Context(), srv.URL+"/live/t.live.mp4")
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Open(t.Context(), "ftp://host/t.mp4")
	require.ErrorIs(t, err, source.ErrUnsupported)
}
