package flv

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
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
func (s *site) publish(stream testmedia.Stream) source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{
		ID: source.NewID(), Schema: "test", Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"},
		Options: source.StreamOptions{Time: source.TimeOff},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(stream.Tracks(), true))
	return pub
}

// Every codec in both forms, over HTTP and WebSocket: what was published from the
// newest key frame on comes out, to the end.
func TestLiveRoundTrip(t *testing.T) {
	for _, stream := range streams {
		if stream.Change > 0 {
			stream.GOP = time.Second
		}
		stream.Bitrate = 200_000
		for _, form := range []Form{FormStandard, FormLegacy} {
			t.Run(streamName(stream, form), func(t *testing.T) {
				s := newSite(t, &Handler{})
				pub := s.publish(stream)
				frames := stream.Take(2 * time.Second)
				write := func(frames []*codec.Frame) {
					for _, f := range frames {
						require.NoError(t, pub.WriteFrame(t.Context(), f))
					}
				}
				begun := 0 // enough for all tracks to be known
				for frames[begun].DTS < 100*time.Millisecond {
					begun++
				}
				write(frames[:begun])
				var readers []source.Reader
				for _, scheme := range []string{"http", "ws"} {
					r, err := Open(t.Context(), s.url(scheme, "/live/t.live.flv?form="+form.String()))
					require.NoError(t, err)
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
					requireSameFrames(t, want, got)
					require.NoError(t, r.Close())
				}
			})
		}
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct {
		url    string
		key    string // "": the next handler's
		params string
		form   Form
	}{
		{"/live/t.live.flv", "live/t", "", FormStandard},
		{"/live/t.flv", "live/t", "", FormStandard},
		{"/live/t.LIVE.FLV", "live/t", "", FormStandard},
		{"/live/a/b.live.flv?token=1%202&x", "live/a/b", "token=1%202&x", FormStandard},
		{"/live/t.live.flv?form=legacy", "live/t", "form=legacy", FormLegacy},
		{"/live/t.live.flv?form=standard", "live/t", "form=standard", FormStandard},
		{"/live/t.live.flv?form=other", "live/t", "form=other", FormStandard},
		{"/live/t?schema=rtmp", "live/t", "schema=rtmp", FormStandard},
		{"/live/t%20x.live.flv", "live/t x", "", FormStandard},
		{"/record/a.mp4.live.flv", "record/a.mp4", "", FormStandard},
		{"/live/t", "", "", FormStandard},
		{"/live/t?schema=ts", "", "", FormStandard},
		{"/live/t.live.ts", "", "", FormStandard},
		{"/.flv", "", "", FormStandard},
	} {
		t.Run(c.url, func(t *testing.T) {
			var got *source.Request
			h := &Handler{Handler: playFunc(func(req *source.Request) error { got = req; return source.ErrNotFound })}
			h.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, c.url, nil)
			h.ServeHTTP(w, r)
			if c.key == "" {
				if c.url == "/.flv" {
					require.Equal(t, http.StatusNotFound, w.Code)
				} else {
					require.Equal(t, http.StatusTeapot, w.Code)
				}
				require.Nil(t, got)
				return
			}
			require.Equal(t, http.StatusNotFound, w.Code)
			require.Equal(t, c.key, got.Key.Path())
			require.Equal(t, source.DefaultVhost, got.Key.Vhost)
			require.Equal(t, c.params, got.Params)
			require.Equal(t, "rtmp", got.Schema)
			require.Equal(t, "http-flv", got.Protocol)
			require.Equal(t, c.form, h.form(r))
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
	for _, path := range []string{"/live/t.live.flv", "/", "/other"} {
		w := httptest.NewRecorder()
		(&Handler{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusNotFound, w.Code)
	}
}

func TestVhost(t *testing.T) {
	var got *source.Request
	h := &Handler{
		Handler: playFunc(func(req *source.Request) error { got = req; return source.ErrNotFound }),
		Vhost:   func(r *http.Request) string { return r.Host },
	}
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://tv.example/live/t.flv", nil))
	require.Equal(t, "tv.example/live/t", got.Key.String())
}

// What goes over the wire: the header first, with true flags.
func TestLiveHeader(t *testing.T) {
	for _, c := range []struct {
		stream testmedia.Stream
		flags  byte
	}{
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, 5}, {testmedia.Stream{Video: codec.H264}, 1}, {testmedia.Stream{Audio: codec.AAC}, 4},
	} {
		s := newSite(t, &Handler{})
		pub := s.publish(c.stream)
		for _, f := range c.stream.Take(100 * time.Millisecond) {
			require.NoError(t, pub.WriteFrame(t.Context(), f))
		}
		resp, err := s.srv.Client().Get(s.url("http", "/live/t.live.flv"))
		require.NoError(t, err)
		require.Equal(t, "video/x-flv", resp.Header.Get("Content-Type"))
		require.Equal(t, int64(-1), resp.ContentLength)
		require.Empty(t, resp.TransferEncoding)
		b := make([]byte, fileHeader+tagSize+tagHeader)
		_, err = io.ReadFull(resp.Body, b)
		require.NoError(t, err)
		require.Equal(t, appendFileHeader(nil, c.flags&1 != 0, c.flags&4 != 0), b[:fileHeader+tagSize])
		require.Equal(t, byte(TagScript), b[fileHeader+tagSize])
		require.NoError(t, resp.Body.Close())
	}
}

// A viewer who joins while parameters change gets those of its key frame.
func TestLateJoiner(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond, Change: 1, Bitrate: 100_000}
	s := newSite(t, &Handler{})
	pub := s.publish(stream)
	frames := stream.Take(600 * time.Millisecond)
	for _, f := range frames {
		require.NoError(t, pub.WriteFrame(t.Context(), f))
	}
	r, err := Open(t.Context(), s.url("http", "/live/t.live.flv"))
	require.NoError(t, err)
	defer r.Close()
	f, err := r.ReadFrame(t.Context())
	require.NoError(t, err)
	require.True(t, f.Key())
	require.Equal(t, 400*time.Millisecond, f.DTS)
	requireSameTrack(t, testmedia.Track2(0, codec.H264), f.Track)
}

// A source.Handler that is no Hub: its frames are muxed for the viewer alone.
func TestPrivateSource(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	want := stream.Take(time.Second)
	file := write(t, FormStandard, stream.Tracks(), want)
	s := newSite(t, &Handler{Handler: fileHandler{file}})
	for _, scheme := range []string{"http", "ws"} {
		r, err := Open(t.Context(), s.url(scheme, "/live/t.live.flv"))
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

func TestHandlerRefusals(t *testing.T) {
	s := newSite(t, &Handler{})
	for _, scheme := range []string{"http", "ws"} {
		_, err := Open(t.Context(), s.url(scheme, "/live/missing.flv"))
		require.ErrorIs(t, err, source.ErrNotFound, scheme)
		var e *StatusError
		require.ErrorAs(t, err, &e)
		require.Equal(t, 404, e.Code)
	}
}

// live returns a stream's tags: type, time and length of each.
func live(b []byte) (tags []string) {
	for at := fileHeader + tagSize; at+tagHeader <= len(b); {
		n := int(binary.BigEndian.Uint32(b[at:]) & maxTag)
		tags = append(tags, fmt.Sprintf("%v %d", TagType(b[at]), binary.BigEndian.Uint32(b[at+4:])>>8))
		at += tagHeader + n + tagSize
	}
	return tags
}

// Tags come in the order and at the times of decoding, B frames too.
func TestTagOrder(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, BFrames: 2, FPS: 25, Bitrate: 100_000}
	file := write(t, FormStandard, stream.Tracks(), stream.Take(200*time.Millisecond))
	require.Equal(t, []string{"script 0", "video 0", "video 0", "video 40", "video 80", "video 120", "video 160"}, live(file))
}
