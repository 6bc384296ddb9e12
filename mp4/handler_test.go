package mp4

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// live is what all containers' Handlers and Clients have in common.
var live = containertest.Live{
	Suffix: ".live.mp4", Schema: "fmp4", Protocol: "http-fmp4", Invalid: ErrInvalid,
	URLs: map[string]string{"/record/a.mp4": ""},
	Handler: func(o livehttp.Options) containertest.Handler {
		return &Handler{Handler: o.Handler, Vhost: o.Vhost, Next: o.Next}
	},
	Open:   Open,
	Reader: func(r io.Reader) source.Reader { return NewReader(r) },
	File: func(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte {
		t.Helper()
		return mux(t, tracks, frames, 5)
	},
	Same: requireSameFrames,
}

func TestLive(t *testing.T) { live.Test(t) }

func TestLiveRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		if s.Video == codec.MJPEG { // opening waits for a frame of MP2, and nothing comes behind the newest picture
			s.Audio = codec.Opaque
		}
		live.TestRoundTrip(t, s, "")
	})
}

func newSite(t *testing.T) *containertest.Site {
	return containertest.NewSite(t, func(hub source.Handler) containertest.Handler { return &Handler{Handler: hub} })
}

// A stream without a track that can be carried is refused.
func TestHandlerNothingToShow(t *testing.T) {
	s := newSite(t)
	track := &codec.Track{ID: 1, Codec: codec.G722, SampleRate: 16000, Channels: 1, ClockRate: 8000}
	containertest.Write(t, s.Publish([]*codec.Track{track}), []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: []byte{1}}})
	_, err := Open(t.Context(), s.URL("http", "/live/t.live.mp4"))
	require.Error(t, err)
}

// What goes over the wire: an initialization segment, then fragments of one frame;
// on WebSocket each is one message, as Media Source Extensions take them.
func TestLiveMessages(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}
	s := newSite(t)
	pub := s.Publish(stream.Tracks())
	containertest.Write(t, pub, stream.Take(500*time.Millisecond))

	resp := s.Get("/live/t.live.mp4")
	require.Equal(t, "video/mp4", resp.Header.Get("Content-Type"))
	require.Equal(t, int64(-1), resp.ContentLength)
	start := make([]byte, len(appendInit(nil, stream.Tracks())))
	_, err := io.ReadFull(resp.Body, start)
	require.NoError(t, err)
	require.Equal(t, appendInit(nil, stream.Tracks()), start)
	require.NoError(t, resp.Body.Close())

	conn, _, err := websocket.Dial(t.Context(), s.URL("ws", "/live/t.live.mp4"), nil)
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

// A viewer who was there before the size of the pictures was known is sent no
// other initialization segment than the right one.
func TestUnknownSize(t *testing.T) {
	stream := testmedia.Stream{Video: codec.VP8, Audio: codec.Opus, Bitrate: 50_000}
	tracks := stream.Tracks()
	unknown, err := codec.NewVP8Track(tracks[0].ID, nil)
	require.NoError(t, err)
	s := newSite(t)
	pub := s.Publish([]*codec.Track{unknown, tracks[1]})
	resp := s.Get("/live/t.live.mp4")
	frames := stream.Take(time.Second)
	containertest.Write(t, pub, frames)
	require.NoError(t, pub.Close())
	wire, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.True(t, bytes.HasPrefix(wire, appendInit(nil, tracks)))
	got, err := demux(wire)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	require.True(t, got[0].Key())
	requireSameFrames(t, containertest.Tail(frames, got), got)
}

// Another codec ends the connection; who comes then sees the new one.
func TestNewFormatEndsViewers(t *testing.T) {
	s := newSite(t)
	first := testmedia.Stream{Video: codec.H264, Bitrate: 100_000}
	second := testmedia.Stream{Video: codec.H265, Bitrate: 100_000}
	pub := s.Publish(first.Tracks())
	frames := first.Take(400 * time.Millisecond)
	containertest.Write(t, pub, frames)
	old, err := Open(t.Context(), s.URL("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	defer old.Close()
	for _, f := range second.Take(400 * time.Millisecond) {
		g := *f
		g.DTS += 400 * time.Millisecond
		g.PTS += 400 * time.Millisecond
		require.NoError(t, pub.WriteFrame(t.Context(), &g))
	}
	got, err := containertest.ReadAll(old.(*Reader))
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, frames, got)
	r, err := Open(t.Context(), s.URL("http", "/live/t.live.mp4"))
	require.NoError(t, err)
	defer r.Close()
	require.Equal(t, codec.H265, r.Tracks()[0].Codec)
}
