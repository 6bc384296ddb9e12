package ts

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// live is what all containers' Handlers and Clients have in common.
var live = containertest.Live{
	Suffix: ".live.ts", Schema: "ts", Protocol: "http-ts", Invalid: ErrInvalid,
	URLs: map[string]string{"/live/t.ts": ""}, // a segment
	Handler: func(o livehttp.Options) containertest.Handler {
		return &Handler{Handler: o.Handler, Vhost: o.Vhost, Next: o.Next}
	},
	Open:   Open,
	Reader: func(r io.Reader) source.Reader { return NewReader(r) },
	File:   write,
	Same: func(t *testing.T, want, got []*codec.Frame) {
		t.Helper()
		requireSameFrames(t, want, got, -want[0].DTS)
	},
}

func TestLive(t *testing.T) { live.Test(t) }

func TestLiveRoundTrip(t *testing.T) {
	containertest.EachStream(t, streams, 200_000, func(t *testing.T, s testmedia.Stream) { live.TestRoundTrip(t, s, "") })
}

func newSite(t *testing.T) *containertest.Site {
	return containertest.NewSite(t, func(hub source.Handler) containertest.Handler { return &Handler{Handler: hub} })
}

// What goes over the wire: the tables first.
func TestLiveHeader(t *testing.T) {
	s := newSite(t)
	containertest.Write(t, s.Publish(shortStream.Tracks()), shortStream.Take(100*time.Millisecond))
	resp := s.Get("/live/t.live.ts")
	require.Equal(t, "video/mp2t", resp.Header.Get("Content-Type"))
	require.Equal(t, int64(-1), resp.ContentLength)
	b := make([]byte, 2*PacketSize)
	_, err := io.ReadFull(resp.Body, b)
	require.NoError(t, err)
	var d Demuxer
	_, err = d.Append(nil, append(b, b...))
	require.NoError(t, err)
	require.Len(t, d.streams, 2)
	require.NoError(t, resp.Body.Close())
}

// A stream of which nothing can be carried.
func TestHandlerNothingToShow(t *testing.T) {
	s := newSite(t)
	stream := testmedia.Stream{Video: codec.VP8, Bitrate: 100_000}
	containertest.Write(t, s.Publish(stream.Tracks()), stream.Take(100*time.Millisecond))
	for _, scheme := range []string{"http", "ws"} {
		_, err := Open(t.Context(), s.URL(scheme, "/live/t.live.ts"))
		var e *StatusError
		require.ErrorAs(t, err, &e, scheme)
		require.Equal(t, http.StatusNotAcceptable, e.Code)
	}
}
