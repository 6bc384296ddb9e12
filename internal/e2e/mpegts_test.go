package e2e

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// multiplexes is the part of a GStreamer pipeline that makes a transport stream
// of a clip of H.264 and AAC.
func multiplexes(path string) []string {
	return []string{
		"filesrc", "location=" + path, "!", "qtdemux", "name=d", "mpegtsmux", "name=m", "alignment=7",
		"d.video_0", "!", "queue", "!", "h264parse", "config-interval=-1", "!", "m.",
		"d.audio_0", "!", "queue", "!", "aacparse", "!", "m.",
	}
}

// byTS is what a transport stream carries of a clip, sent by a program that may
// begin late.
var byTS = exactness{tick: byFLV.tick, late: true, early: forgotten}

// TestMPEGTSByRTSP: GStreamer publishes a transport stream by RTSP (payload type
// 33), and its server has one that we pull. What is in there is what viewers by
// RTMP and RTSP get.
func TestMPEGTSByRTSP(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 5 * time.Second}
	for _, transport := range []string{"tcp", "udp"} {
		t.Run("published by "+transport, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			s := serve(t, nil)
			url := s.url("rtsp", "live/t")
			viewers := map[string]func() []*codec.Frame{
				"rtsp": playFrom(t, opener(&rtsp.Client{Transport: rtsp.TransportTCP, Timeout: patience, ReadTimeout: patience}, url)),
				"rtmp": playFrom(t, (&player.Client{Timeout: patience, ReadTimeout: patience}).Source(s.url("rtmp", "live/t"))),
			}
			s.viewers(t, len(viewers))
			args := append([]string{"-q", "rtspclientsink", "name=s", "location=" + url, "protocols=" + transport}, multiplexes(c.file(t))...)
			require.NoError(t, endSink(start(t, "gst-launch-1.0", append(args, "m.", "!", "s.")...), c.duration))
			for name, wait := range viewers {
				t.Run(name, func(t *testing.T) { f.requireLike(t, wait(), byTS) })
			}
		})
		t.Run("pulled by "+transport, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			pipeline := "("
			for _, word := range multiplexes(c.file(t)) {
				pipeline += " " + word
			}
			addr := camera(t, pipeline+" m. ! rtpmp2tpay name=pay0 pt=33 )")
			over := map[string]rtsp.Transport{"tcp": rtsp.TransportTCP, "udp": rtsp.TransportUDP}[transport]
			f.requireLike(t, playFrom(t, opener(&rtsp.Client{Transport: over}, "rtsp://"+addr+"/live/t"))(), byTS)
		})
	}
}

// TestMPEGTSByUDP: ffmpeg sends a transport stream in datagrams, as it is and in
// RTP, and what comes is what it was made of.
func TestMPEGTSByUDP(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 5 * time.Second}
	for _, x := range []struct{ name, form, url string }{
		{"bare", "mpegts", "udp://%s?pkt_size=1316"},
		{"RTP", "rtp_mpegts", "rtp://%s"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			l := &ts.Listener{ReadTimeout: 5 * time.Second, ListenPacket: func(string, string) (net.PacketConn, error) { return pc, nil }}
			addr := pc.LocalAddr().String()
			sender := start(t, "ffmpeg", "-v", "error", "-re", "-i", c.file(t), "-c", "copy", "-f", x.form, fmt.Sprintf(x.url, addr))
			r, err := l.Open(t.Context(), "udp://"+addr)
			require.NoError(t, err)
			defer r.Close()
			require.Len(t, r.Tracks(), 2)
			var got []*codec.Frame
			for {
				frame, err := r.ReadFrame(t.Context())
				if errors.Is(err, source.ErrTimeout) {
					break // UDP has no other end
				}
				require.NoError(t, err)
				got = append(got, frame)
			}
			sender.ok(patience)
			f.requireLike(t, got, byTS)
		})
	}
}
