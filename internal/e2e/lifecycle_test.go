package e2e

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/source"
)

// TestPublisherComesBack kills a publisher as "kill -9" does. Another one takes
// the name within the linger time, and a viewer decodes on without a complaint.
func TestPublisherComesBack(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 5 * time.Second}
	byRTMP := func(t testing.TB, s *server, more ...string) *process {
		return publish(t, c.file(t), s.url("rtmp", "live/t"), more...)
	}
	byRTSP := func(transport string) func(t testing.TB, s *server, more ...string) *process {
		return func(t testing.TB, s *server, more ...string) *process {
			return publishRTSP(t, c.file(t), s.url("rtsp", "live/t"), transport, more...)
		}
	}
	for _, x := range []struct {
		scheme, transport string // of the viewer
		by                string
		publish           func(t testing.TB, s *server, more ...string) *process
	}{
		{"rtmp", "", "rtmp", byRTMP},
		{"http", "", "rtmp", byRTMP},
		{"rtsp", "tcp", "rtmp", byRTMP},
		{"rtsp", "udp", "rtsp tcp", byRTSP("tcp")},
		{"rtsp", "tcp", "rtsp udp", byRTSP("udp")},
		{"rtmp", "", "rtsp tcp", byRTSP("tcp")},
	} {
		t.Run(x.by+" to "+x.scheme+x.transport, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			args := []string{"-v", "warning", "-progress", "pipe:1", "-stats_period", "0.2"}
			if x.transport != "" {
				args = append(args, "-rtsp_transport", x.transport)
			}
			viewer := start(t, "ffmpeg", append(args, "-i", s.url(x.scheme, "live/t"),
				"-fps_mode", "passthrough", "-af", ownClock, "-f", "null", "-")...)

			first := x.publish(t, s, "-stream_loop", "-1")
			decoded := func() int { return lastFrame(viewer.stdout.String()) }
			eventually(t, func() bool { return decoded() > 30 }, "frames are decoded")
			first.kill()

			// The connection is gone, so nothing more of it can arrive.
			before := decoded()
			second := x.publish(t, s)
			eventually(t, func() bool { return decoded() > before+50 }, "frames are decoded after the publisher came back")
			second.ok(patience)
			viewer.ok(patience)
			require.Empty(t, complaints(viewer.stderr.String()))
		})
	}
}

// complaints returns what ffmpeg said, but for what it says at the end of every
// HTTP answer that has no length and no chunks, as live streams have none, when it
// reads the initialization segment once more for each playlist, and of its own VP9
// over RTP, its way to find free ports, and the pictures of JPEG.
func complaints(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.Contains(line, "Stream ends prematurely") && !strings.HasSuffix(line, ": Input/output error\n") &&
			!strings.Contains(line, "Last message repeated") && !strings.Contains(line, "is still experimental") &&
			!strings.Contains(line, "bind failed: Address already in use") && !strings.Contains(line, "Found duplicated MOOV Atom") &&
			!strings.Contains(line, "Guessed Channel Layout") && !strings.Contains(line, "deprecated pixel format") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// lastFrame returns the last "frame=N" of ffmpeg's -progress output.
func lastFrame(out string) int {
	n := 0
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(line, "frame="); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(v))
		}
	}
	return n
}

// TestSecondPublisherIsRefused: the name is taken, the first one goes on.
func TestSecondPublisherIsRefused(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	s := serve(t, nil)
	viewer := record(t, s.url("http", "live/t"))
	s.viewers(t, 1)
	first := publish(t, c.file(t), s.url("rtmp", "live/t"))
	eventually(t, func() bool { return viewer.size() > 0 }, "the stream is there")

	w, err := pusher.Create(t.Context(), s.url("rtmp", "live/t"), load(t, c).tracks)
	if err == nil {
		w.Close()
	}
	requireStatus(t, err, "NetStream.Publish.BadName")
	second := publish(t, c.file(t), s.url("rtmp", "live/t"))
	require.Error(t, second.wait(patience), "ffmpeg, too, is refused")
	requireRTSPStatus(t, 406, func(ctx context.Context) error {
		return closed((&pusher.Client{}).Create(ctx, s.url("rtsp", "live/t"), load(t, c).tracks))
	})
	third := publishRTSP(t, c.file(t), s.url("rtsp", "live/t"), "tcp")
	require.Error(t, third.wait(patience), "by RTSP, too")

	first.ok(patience)
	got := probeFile(t, "ffprobe", viewer.wait())
	requireSame(t, published, got, 0)
}

// TestMissingStream: a viewer of a stream nobody publishes is told so.
func TestMissingStream(t *testing.T) {
	t.Parallel()
	s := serve(t, &source.Hub{MaxWait: 100 * time.Millisecond})

	r, err := player.Open(t.Context(), s.url("rtmp", "live/none"))
	if err == nil {
		r.Close()
	}
	requireStatus(t, err, "NetStream.Play.StreamNotFound")

	p := start(t, "rtmpdump", "-q", "-v", "-r", s.url("rtmp", "live/none"), "-o", "/dev/null")
	require.Error(t, p.wait(patience))

	requireRTSPStatus(t, 404, func(ctx context.Context) error {
		return closed(player.Open(ctx, s.url("rtsp", "live/none")))
	})
	p = start(t, "ffprobe", "-v", "error", s.url("rtsp", "live/none"))
	require.Error(t, p.wait(patience))
	require.Contains(t, p.stderr.String(), "404")

	_, err = open(t.Context(), s.url("http", "live/none"))
	require.ErrorContains(t, err, "404")
	_, err = open(t.Context(), s.url("http", "none"))
	require.ErrorContains(t, err, "404")
}

// requireStatus checks that err is a peer's refusal with the code.
func requireStatus(t testing.TB, err error, code string) {
	t.Helper()
	var status *rtmp.StatusError
	require.True(t, errors.As(err, &status), "%v", err)
	require.Equal(t, code, status.Code)
}
