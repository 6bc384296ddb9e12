package e2e

import (
	"bytes"
	"image"
	"image/jpeg"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// rtspCodecCases are what ffmpeg can publish by RTSP besides H.264 and AAC.
var rtspCodecCases = []struct {
	name     string
	encoders string // ffmpeg's arguments
	options  string // of its publisher
	framed   bool   // the sound has frames
	rtmp     int    // so many tracks RTMP carries
	tracks   []codec.Codec
}{
	{"VP8, Opus", "-c:v libvpx -deadline realtime -cpu-used 8 -g 25 -c:a libopus", "", true, 2, []codec.Codec{codec.VP8, codec.Opus}},
	{"VP9, MP3", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -c:a libmp3lame -ar 44100", "-strict experimental", true, 2, []codec.Codec{codec.VP9, codec.MP3}},
	{"H265, AAC as LATM", "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:bframes=2 -c:a aac", "-rtpflags latm", true, 2, []codec.Codec{codec.H265, codec.AAC}},
	{"H264, PCMA", "-c:v libx264 -preset veryfast -g 25 -c:a pcm_alaw -ar 8000 -ac 1", "", false, 2, []codec.Codec{codec.H264, codec.PCMA}},
	{"MJPEG, L16", "-c:v mjpeg -q:v 3 -huffman default -pix_fmt yuvj420p -c:a pcm_s16be -ar 44100 -ac 2", "", false, 0, []codec.Codec{codec.MJPEG, codec.L16}},
	{"MPEG-4 and G.722, which only pass", "-c:v mpeg4 -g 1 -c:a g722 -ar 16000 -ac 1", "", false, 0, []codec.Codec{codec.Opaque, codec.G722}},
}

// TestRTSPCodecs goes from ffmpeg to ffmpeg by RTSP, and where it can to our
// client by RTMP.
func TestRTSPCodecs(t *testing.T) {
	t.Parallel()
	for _, x := range rtspCodecCases {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "film.nut")
			args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x192:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4", "-t", "4"}
			start(t, "ffmpeg", append(append(args, strings.Fields(x.encoders)...), path)...).ok(patience)
			original := screen(t, path)
			want := original.wait()

			s := serve(t, nil)
			url := s.url("rtsp", "live/t")
			viewer := screenRTSP(t, url, "tcp")
			ours := play(t, url)
			n := 2
			gortsplib := func() []*codec.Frame { return nil }
			if x.tracks[0] != codec.Opaque {
				tracks := []*codec.Track{{Codec: x.tracks[0]}, {ID: 1, Codec: x.tracks[1]}}
				gortsplib = gortsplibPlay(t, tracks, url, "tcp")
				n++
			}
			rtmp := func() []*codec.Frame { return nil }
			if x.rtmp > 0 {
				rtmp = play(t, s.url("rtmp", "live/t"))
				n++
			}
			s.viewers(t, n)
			args = append([]string{"-v", "error", "-re", "-i", path, "-c", "copy"}, strings.Fields(x.options)...)
			start(t, "ffmpeg", append(args, "-f", "rtsp", "-rtsp_transport", "tcp", url)...).ok(patience)

			got := viewer.wait()
			got.Packets = slices.Concat(got.packets(t, "video")[1:], got.packets(t, "audio")[1:]) // ffmpeg knows no time of the first ones
			requireSamePackets(t, want, got, "video", 50)
			if x.framed {
				requireSamePackets(t, want, got, "audio", 200)
			} else {
				requireSound(t, original, viewer)
			}
			frames := ours()
			requireCodecs(t, x.tracks, frames)
			if x.tracks[0] != codec.Opaque {
				requireSameData(t, x.tracks, frames, gortsplib())
			}
			if x.rtmp > 0 {
				requireCodecs(t, x.tracks, rtmp())
			}
		})
	}
}

// requireCodecs checks that the frames are of these codecs.
func requireCodecs(t testing.TB, want []codec.Codec, frames []*codec.Frame) {
	t.Helper()
	count := map[codec.Codec]int{}
	for _, s := range frames {
		count[s.Track.Codec]++
	}
	for _, c := range want {
		require.Greater(t, count[c], 20, "%s", c)
	}
	for c := range count {
		require.Contains(t, want, c)
	}
}

// requireSameData checks that two viewers got the same bytes of each codec, up to
// where each has begun; of MJPEG, whose headers RTP leaves to the receiver, the
// same picture elements.
func requireSameData(t testing.TB, codecs []codec.Codec, a, b []*codec.Frame) {
	t.Helper()
	for _, c := range codecs {
		data := func(frames []*codec.Frame) (all []byte) {
			for _, s := range frames {
				switch {
				case s.Track.Codec != c:
				case c == codec.MJPEG:
					picture, err := jpeg.Decode(bytes.NewReader(s.Data))
					require.NoError(t, err)
					all = append(all, picture.(*image.YCbCr).Y...)
				default:
					all = append(all, s.Data...)
				}
			}
			return all
		}
		x, y := data(a), data(b)
		if len(x) < len(y) {
			x, y = y, x
		}
		require.Greater(t, len(y), len(x)/2, "%s", c)
		require.True(t, bytes.HasSuffix(x, y), "%s: %d and %d bytes", c, len(x), len(y))
	}
}
