package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/ps"
)

// A shipment is a program stream made by some program, that a device sends.
type shipment struct {
	name   string
	clip   clip
	build  func(t *testing.T, w shipment, path string) (original string) // makes the stream and what it is compared to
	marker rtptest.Marker
	sound  string   // its codec; "" is that of the clip
	exact  bool     // every picture has a time in there, and the sound begins with it
	shown  []string // "rtsp", "rtmp", "flv", "hls": where all of it is shown
}

// byOurs makes the program stream with our Writer.
func byOurs(t *testing.T, w shipment, path string) string {
	var b []byte
	for _, u := range programStream(t, load(t, w.clip)) {
		b = append(b, u.Data...)
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return w.clip.file(t)
}

// byGStreamer makes it with mpegpsmux, which describes it by a program stream map
// and has more than one frame in a pack. With B-frames the first times that it writes
// are wrong.
func byGStreamer(t *testing.T, w shipment, path string) string {
	start(t, "gst-launch-1.0", "-q", "filesrc", "location="+w.clip.file(t), "!", "qtdemux", "name=d", "mpegpsmux", "name=m", "!", "filesink", "location="+path,
		"d.video_0", "!", "queue", "!", "h264parse", "config-interval=-1", "!", "m.",
		"d.audio_0", "!", "queue", "!", "aacparse", "!", "audio/mpeg,stream-format=adts", "!", "m.").ok(patience)
	return w.clip.file(t)
}

// byFFmpeg makes it with one of ffmpeg's muxers: none writes a program stream map,
// "mpeg" is of MPEG-1's form, and frames begin where they please in a PES packet.
func byFFmpeg(form, codecs string) func(*testing.T, shipment, string) string {
	return func(t *testing.T, w shipment, path string) string {
		original := path + ".ts"
		args := []string{"-v", "error", "-i", w.clip.file(t)}
		args = append(append(args, strings.Fields(codecs)...), original)
		start(t, "ffmpeg", args...).ok(patience)
		start(t, "ffmpeg", "-v", "error", "-i", original, "-c", "copy", "-f", form, path).ok(patience)
		return original
	}
}

var shipments = []shipment{
	{
		name: "ours", clip: clip{video: "h264", audio: "aac", bframes: 2}, build: byOurs,
		exact: true, shown: []string{"rtsp", "rtmp", "flv", "hls"},
	},
	{
		name: "GStreamer", clip: clip{video: "h264", audio: "aac"}, build: byGStreamer, marker: rtptest.MarkAll,
		shown: []string{"rtsp", "rtmp", "flv", "hls"},
	},
	{
		name: "ffmpeg mpeg", clip: clip{video: "h264", audio: "mp3", bframes: 2}, build: byFFmpeg("mpeg", "-c copy"), marker: rtptest.MarkNever,
		shown: []string{"rtsp", "rtmp", "flv", "hls"},
	},
	{
		name: "ffmpeg vob", clip: clip{video: "h264", audio: "aac", bframes: 2}, build: byFFmpeg("vob", "-c:v copy -c:a ac3"),
		sound: "ac3", shown: []string{"hls"},
	},
	{
		name: "ffmpeg vob of H265", clip: clip{video: "h265", audio: "mp3", bframes: 2}, build: byFFmpeg("vob", "-c copy"),
		shown: []string{"rtsp", "hls"},
	},
	{
		name: "ffmpeg dvd", clip: clip{video: "h264", audio: "aac"}, build: byFFmpeg("dvd", "-c:v mpeg2video -bf 2 -g 25 -c:a ac3"), marker: rtptest.MarkNever,
		sound: "ac3", shown: []string{"hls"},
	},
}

// TestGB28181 has program streams of several makes arrive on the shared port, by
// UDP and by TCP, and shows them by RTSP, RTMP, HTTP-FLV and HLS.
func TestGB28181(t *testing.T) {
	t.Parallel()
	for i, w := range shipments {
		w.clip.duration = 4 * time.Second
		for j, network := range []string{"udp", "tcp"} {
			t.Run(w.name+" by "+network, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "stream.ps")
				original := screen(t, w.build(t, w, path))
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				units, err := rtptest.CutPS(b)
				require.NoError(t, err)
				want := original.wait()

				s := serve(t, briefly())
				addr := ingest(t, s, &ps.Server{})
				ssrc := uint32(0xA0 + 2*i + j)
				seen := w.clip
				if w.sound != "" {
					seen.audio = w.sound
				}
				var viewers []*screening
				for _, form := range w.shown {
					viewers = append(viewers, shows(t, s, bySSRC(ssrc), form, seen))
				}
				s.viewers(t, len(viewers))
				d := device{Sender: rtptest.Sender{SSRC: ssrc, PayloadType: 96, Marker: w.marker}, network: network}
				d.send(t, addr, units)()
				for k, form := range w.shown {
					t.Run(form, func(t *testing.T) {
						viewers[k].p.t = t
						w.require(t, form, want, viewers[k].wait())
					})
				}
			})
		}
	}
}

// shows has ffmpeg watch a stream in one of its forms.
func shows(t *testing.T, s *server, name, form string, c clip) *screening {
	t.Helper()
	var p projector
	if c.audio == "" {
		p.kinds = []string{"video"}
	}
	if c.video == "" {
		p.kinds = []string{"audio"}
	}
	switch form {
	case "rtsp":
		p.input = []string{"-rtsp_transport", "tcp"}
		return p.screen(t, s.url("rtsp", name))
	case "rtmp":
		return p.screen(t, s.url("rtmp", name))
	case "flv":
		p.abrupt = true
		return p.screen(t, s.url("http", name))
	case "hls":
		if c.audio == "aac" {
			p.sound = []string{"-bsf:a", "aac_adtstoasc"}
		}
		return p.screen(t, s.at("http", name+"/hls.m3u8"))
	}
	t.Fatalf("unknown form %q", form)
	return nil
}

// require requires that what was seen and heard in a form is what was sent: of HLS
// the beginning may be missing, and by RTSP ffmpeg knows no time of the first
// picture.
func (w shipment) require(t *testing.T, form string, want, got probe) {
	t.Helper()
	most := func(all []probePacket) (missing int) {
		switch form {
		case "hls":
			return len(all) / 2
		case "rtsp":
			return 1
		}
		return 0
	}
	if form == "rtsp" {
		got = got.timed(t, "rtsp")
	}
	if w.exact {
		var shifts []time.Duration
		for _, x := range want.Streams {
			_, shift := requireSamePackets(t, want, got, x.Kind, most(want.packets(t, x.Kind)))
			shifts = append(shifts, shift)
		}
		require.InDelta(t, shifts[0], shifts[len(shifts)-1], float64(3*time.Millisecond), "sound and picture are out of step: %v", shifts)
		return
	}
	for _, x := range want.Streams {
		// What is sent last has no end, and sound may come before the first picture.
		all, seen := want.packets(t, x.Kind), got.packets(t, x.Kind)
		require.LessOrEqual(t, len(all)-len(seen), most(all)+12, "%s packets are missing", x.Kind)
		seen = seen[1 : len(seen)-8] // nor is the time of all that comes first known to all
		first := slices.IndexFunc(all, func(p probePacket) bool { return p.Hash == seen[0].Hash })
		require.GreaterOrEqual(t, first, 0, "the first %s packet is not the publisher's", x.Kind)
		for i, p := range seen {
			w := all[first+i]
			require.Equal(t, w.Hash, p.Hash, "%s packet %d, %d of the publisher's", x.Kind, i, first+i)
			require.InDelta(t, float64(w.PTS-all[first].PTS), float64(p.PTS-seen[0].PTS), float64(5*time.Millisecond), "%s packet %d: time", x.Kind, i)
		}
	}
}

// TestGB28181TransportStream: what ffmpeg sends in RTP to the shared port has the
// name of its SSRC, and plays. It keeps its last packets for itself.
func TestGB28181TransportStream(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 5 * time.Second}
	f, pictures := load(t, c), screen(t, c.file(t)).wait()
	s := serve(t, briefly())
	addr := ingest(t, s, &ps.Server{})
	const ssrc = 0x0102AB34
	ours := watchHub(t, s, bySSRC(ssrc))
	rtsp := projector{input: []string{"-rtsp_transport", "tcp"}, abrupt: true}.screen(t, s.url("rtsp", bySSRC(ssrc)))
	s.viewers(t, 2)
	start(t, "ffmpeg", "-v", "error", "-re", "-i", c.file(t), "-c", "copy", "-f", "rtp_mpegts",
		"-rtp_muxer_options", fmt.Sprintf("ssrc=%d", ssrc), "rtp://"+addr).ok(patience)
	f.requireLike(t, whole(ours()), byTS)
	rtsp.p.ok(patience)
	seen := rtsp.read().packets(t, "video")
	require.Greater(t, len(seen), 100)
	for i, p := range seen[:len(seen)-1] { // the last picture may be cut
		require.Equal(t, pictures.packets(t, "video")[i].Hash, p.Hash, "picture %d", i)
	}
}
