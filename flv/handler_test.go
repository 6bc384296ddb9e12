package flv

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	Suffix: ".live.flv", Schema: "rtmp", Protocol: "http-flv", Invalid: ErrInvalid,
	URLs: map[string]string{"/live/t.flv": "live/t", "/live/t.FLV": "live/t", "/record/a.mp4.flv": "record/a.mp4"},
	Handler: func(o livehttp.Options) containertest.Handler {
		return &Handler{Handler: o.Handler, Vhost: o.Vhost, Next: o.Next}
	},
	Open:   Open,
	Reader: func(r io.Reader) source.Reader { return NewReader(r) },
	File: func(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte {
		t.Helper()
		return write(t, FormStandard, tracks, frames)
	},
	Same: requireSameFrames,
}

func TestLive(t *testing.T) { live.Test(t) }

func TestLiveRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) { live.TestRoundTrip(t, s, "?form="+form.String()) })
}

// The URL chooses the form of the codec ids, else the Handler does.
func TestHandlerForm(t *testing.T) {
	for query, want := range map[string][2]Form{ // of a Handler of each form
		"":               {FormStandard, FormLegacy},
		"?form=legacy":   {FormLegacy, FormLegacy},
		"?form=standard": {FormStandard, FormStandard},
		"?form=other":    {FormStandard, FormLegacy},
	} {
		for form, want := range want {
			h := &Handler{Form: Form(form)}
			require.Equal(t, want, h.form(httptest.NewRequest(http.MethodGet, "/live/t.live.flv"+query, nil)), query)
		}
	}
}

// What goes over the wire: the header first, with true flags.
func TestLiveHeader(t *testing.T) {
	for _, c := range []struct {
		stream testmedia.Stream
		flags  byte
	}{
		{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, 5}, {testmedia.Stream{Video: codec.H264}, 1}, {testmedia.Stream{Audio: codec.AAC}, 4},
	} {
		s := containertest.NewSite(t, func(hub source.Handler) containertest.Handler { return &Handler{Handler: hub} })
		containertest.Write(t, s.Publish(c.stream.Tracks()), c.stream.Take(100*time.Millisecond))
		resp := s.Get("/live/t.live.flv")
		require.Equal(t, "video/x-flv", resp.Header.Get("Content-Type"))
		require.Equal(t, int64(-1), resp.ContentLength)
		require.Empty(t, resp.TransferEncoding)
		b := make([]byte, fileHeader+tagSize+tagHeader)
		_, err := io.ReadFull(resp.Body, b)
		require.NoError(t, err)
		require.Equal(t, appendFileHeader(nil, c.flags&1 != 0, c.flags&4 != 0), b[:fileHeader+tagSize])
		require.Equal(t, byte(TagScript), b[fileHeader+tagSize])
		require.NoError(t, resp.Body.Close())
	}
}

// tags returns a stream's tags: type, time and length of each.
func tags(b []byte) (tags []string) {
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
	require.Equal(t, []string{"script 0", "video 0", "video 0", "video 40", "video 80", "video 120", "video 160"}, tags(file))
}
