package wire

import (
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/codec"
)

// TestPublishRTSP finds the frames again in what a publisher sends.
func TestPublishRTSP(t *testing.T) {
	var requests []string
	conn := serve(t, func(c net.Conn) {
		rtspServer(c, func(method, url string, h textproto.MIMEHeader) string {
			_, path, _ := strings.Cut(url, "/live/")
			requests = append(requests, method+" "+path+" "+h.Get("Session")+" "+h.Get("Transport"))
			return rtspOK(h, "", "")
		})
	})
	tracks, err := media.Tracks()
	require.NoError(t, err)
	packetizers, err := PublishRTSP(conn, "/live/x", tracks)
	require.NoError(t, err)
	require.Equal(t, []string{
		"ANNOUNCE x  ",
		"SETUP x/trackID=0 abc RTP/AVP/TCP;unicast;interleaved=0-1;mode=record",
		"SETUP x/trackID=1 abc RTP/AVP/TCP;unicast;interleaved=2-3;mode=record",
		"RECORD x abc ",
	}, requests)

	var got, want []string
	var number uint32
	c := &rtspClient{playing: true}
	s := newRTSPScanner(c.response)
	for i, typ := range []byte{typeVideo, typeAudio} {
		s.tracks[byte(2*i)] = NewRTPTrack(typ, func(m Message) {
			kind := "audio"
			if m.Type == typeVideo {
				n, _, ok := media.ReadStamp(m.Head)
				require.True(t, ok)
				require.Equal(t, number, n)
				number++
				kind = "video"
			}
			if m.Key {
				kind += " key"
			}
			got = append(got, kind)
		})
	}
	stream := &media.Stream{}
	for range 200 {
		p := stream.Next()
		f := &codec.Frame{Track: tracks[0], DTS: p.DTS, PTS: p.DTS, Data: p.Sample()}
		kind, i := "video", 0
		if p.Key {
			kind, f.Flags = "video key", codec.FlagKey
		}
		if p.Type == media.TagAudio {
			kind, i, f.Track = "audio", 1, tracks[1]
		}
		want = append(want, kind)
		b, err := packetizers[i].Append(nil, f)
		require.NoError(t, err)
		require.NoError(t, s.Scan(b))
	}
	require.Equal(t, want, got)
}

func TestPublishRTSPFails(t *testing.T) {
	_, err := PublishRTSP(nil, "/live/x", []*codec.Track{{Codec: codec.Opaque, Wire: "flv"}})
	require.ErrorContains(t, err, "cannot carry")
}
