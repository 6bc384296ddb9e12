package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/player"
)

// TestOtherPlayers plays from and publishes to the server with programs that
// share no code with ffmpeg.
func TestOtherPlayers(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 5 * time.Second}

	// Each writes what it gets as FLV.
	players := []struct {
		name  string
		start func(t *testing.T, url, path string) *process
		loses int // packets at the end that it may forget when the connection ends
	}{
		{"rtmpdump", func(t *testing.T, url, path string) *process {
			return start(t, "rtmpdump", "-q", "-v", "-r", url, "-o", path)
		}, 0},
		{"GStreamer", func(t *testing.T, url, path string) *process {
			return start(t, "gst-launch-1.0", "-q", "rtmp2src", "location="+url, "!", "filesink", "location="+path)
		}, 2},
	}
	for _, p := range players {
		t.Run(p.name+" plays", func(t *testing.T) {
			t.Parallel()
			published := probeFile(t, "ffprobe", c.file(t))
			s := serve(t, nil)
			path := filepath.Join(t.TempDir(), "out.flv")
			viewer := p.start(t, s.url("rtmp", "live/t"), path)
			s.viewers(t, 1)
			publish(t, c.file(t), s.url("rtmp", "live/t")).ok(patience)
			viewer.wait(patience) // how it ends when the server says goodbye is its own business
			got := probeFile(t, "ffprobe", path)
			requireSame(t, published, got, p.loses)
			requireDecodes(t, "ffmpeg", path)
		})
	}

	t.Run("GStreamer by RTSP", func(t *testing.T) {
		t.Parallel()
		gstreamerRTSP(t)
	})

	t.Run("GStreamer publishes", func(t *testing.T) {
		t.Parallel()
		// It is asked for a file, too: its muxer moves times that lie before 0.
		pipeline := func(sink ...string) *process {
			args := append([]string{"-q", "filesrc", "location=" + c.file(t), "!", "qtdemux", "name=d",
				"flvmux", "name=m", "streamable=true", "!"}, sink...)
			return start(t, "gst-launch-1.0", append(args,
				"d.video_0", "!", "queue", "!", "h264parse", "!", "m.video",
				"d.audio_0", "!", "queue", "!", "aacparse", "!", "m.audio")...)
		}
		file := filepath.Join(t.TempDir(), "gst.flv")
		pipeline("filesink", "location="+file).ok(patience)
		published := probeFile(t, "ffprobe", file)
		s := serve(t, nil)
		viewer := record(t, s.url("http", "live/t"))
		s.viewers(t, 1)
		pipeline("rtmp2sink", "location="+s.url("rtmp", "live/t")).ok(patience)
		path := viewer.wait()
		got := probeFile(t, "ffprobe", path)
		requireSameStreams(t, probeFile(t, "ffprobe", c.file(t)), got)
		requireSamePackets(t, published, got, "video", 0)
		requireSamePackets(t, published, got, "audio", 0)
		requireDecodes(t, "ffmpeg", path)
	})
}

// endSink waits for a program that publishes for d with GStreamer's
// rtspclientsink. That at times misses the end of what it has sent, when a server
// answers faster than it changes its state; then it is told to end.
func endSink(p *process, d time.Duration) error {
	var told atomic.Bool
	overdue := time.AfterFunc(d+3*time.Second, func() {
		told.Store(true)
		_ = p.cmd.Process.Signal(os.Interrupt)
	})
	defer overdue.Stop()
	if err := endRTSP(p); !told.Load() {
		return err
	}
	return nil
}

// endRTSP waits for a program that plays or publishes with GStreamer's RTSP
// elements. When they end they at times stop themselves in the middle of what they
// say, which they call the end of a file, whatever the server does; a server that
// leaves is another error.
func endRTSP(p *process) error {
	const itself = "Could not send message. (Received end-of-file)"
	err := p.wait(patience)
	errs := p.stderr.String()
	if n := strings.Count(errs, "ERROR: "); n > 0 && strings.Count(errs, itself) == n {
		return nil
	}
	return err
}

// gstreamerRTSP publishes by RTSP with GStreamer's rtspclientsink, which packs AAC
// as LATM and describes sound before picture, and plays with its rtspsrc.
func gstreamerRTSP(t *testing.T) {
	c := clip{video: "h264", audio: "aac", duration: 5 * time.Second}
	f, pictures := load(t, c), screen(t, c.file(t)).wait()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			url, dir := s.url("rtsp", "live/t"), t.TempDir()
			video, audio := filepath.Join(dir, "video.h264"), filepath.Join(dir, "audio.aac")
			viewer := start(t, "gst-launch-1.0", "-q", "rtspsrc", "location="+url, "protocols="+transport, "latency=200", "name=s",
				"s.", "!", "queue", "!", "application/x-rtp,media=video", "!", "rtph264depay", "!", "h264parse", "!",
				"video/x-h264,stream-format=byte-stream,alignment=au", "!", "filesink", "location="+video,
				"s.", "!", "queue", "!", "application/x-rtp,media=audio", "!", "rtpmp4gdepay", "!", "aacparse", "!",
				"audio/mpeg,stream-format=adts", "!", "filesink", "location="+audio)
			patiently := &player.Client{Timeout: patience, ReadTimeout: patience}
			ours := playFrom(t, patiently.Source(url))
			rtmp := playFrom(t, patiently.Source(s.url("rtmp", "live/t")))
			s.viewers(t, 3)
			publisher := start(t, "gst-launch-1.0", "-q", "filesrc", "location="+c.file(t), "!", "qtdemux", "name=d",
				"d.video_0", "!", "queue", "!", "h264parse", "!", "rtspclientsink", "name=s", "protocols="+transport, "location="+url,
				"d.audio_0", "!", "queue", "!", "aacparse", "!", "s.")
			_ = endSink(publisher, c.duration)

			// It tells late how sound and picture belong together.
			x := exactness{tick: loosely, late: true, early: 3}
			f.requireLike(t, ours(), x)
			f.requireLike(t, rtmp(), x)
			viewer.wait(patience) // how it ends when the server says goodbye is its own business
			out, err := execute("ffmpeg", "-v", "error", "-i", audio, "-c", "copy", audio+".m4a")
			require.NoError(t, err, out)
			requireSameHashes(t, pictures, screenKinds(t, video, nil, "video").wait(), "video", 30)
			requireSameHashes(t, pictures, screenKinds(t, audio+".m4a", nil, "audio").wait(), "audio", 60)
		})
	}
}
