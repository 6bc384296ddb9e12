package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// publish runs ffmpeg as a publisher of a clip in real time.
func publish(t testing.TB, path, url string, more ...string) *process {
	t.Helper()
	args := append([]string{"-v", "error", "-re"}, more...)
	return start(t, "ffmpeg", append(args, "-i", path, "-c", "copy", "-f", "flv", url)...)
}

// publishUntil publishes a long clip until every viewer has got some of it. Then
// ffmpeg is told to stop and says goodbye. It is for servers that do not tell
// who has come.
func publishUntil(t testing.TB, path, url string, viewers ...viewer) {
	t.Helper()
	p := publish(t, path, url)
	for i, v := range viewers {
		eventually(t, func() bool { return v.size() > 10_000 }, "viewer %d gets something", i)
	}
	p.signal(syscall.SIGINT)
	p.wait(patience)
}

// A viewer keeps what it is sent.
type viewer interface {
	size() int64 // in bytes
}

// long is the clip that publishUntil is used with.
var long = clip{video: "h264", audio: "aac", bframes: 2, duration: time.Minute}

// TestPublishOnceWatchAnywhere is the main job: a real publisher, viewers by
// every protocol, and what they get is what was published. It runs alone, as
// thirty seconds without a viewer who is too slow is much to ask of a busy machine.
func TestPublishOnceWatchAnywhere(t *testing.T) {
	c := clip{video: "h264", audio: "aac", bframes: 2, size: "640x360", gop: 50, duration: 30 * time.Second}
	if testing.Short() {
		c.duration = 5 * time.Second
	}
	published := probeFile(t, "ffprobe", c.file(t))
	s := serve(t, nil)

	// These are there before the publisher and get all of it.
	schemes := []string{"rtmp", "rtmps", "http", "https", "ws", "wss"}
	viewers := map[string]*recording{}
	for _, scheme := range schemes {
		viewers[scheme] = record(t, s.url(scheme, "live/t"))
	}
	s.viewers(t, len(schemes))
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"))

	// Others come and look while it runs.
	for _, scheme := range []string{"rtmp", "http"} {
		requireSameStreams(t, published, probeURL(t, "ffprobe", s.url(scheme, "live/t")))
	}
	// One comes late and starts with the GOP before it came.
	late := record(t, s.url("http", "live/t"))

	pub.ok(2 * patience)
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			path := viewers[scheme].wait()
			got := probeFile(t, "ffprobe", path)
			requireSame(t, published, got, 0)
			requireDecodes(t, "ffmpeg", path)
		})
	}
	t.Run("late", func(t *testing.T) {
		path := late.wait()
		got := probeFile(t, "ffprobe", path)
		requireSameStreams(t, published, got)
		n, _ := requireSamePackets(t, published, got, "video", int(c.duration/time.Second)*25)
		require.Zero(t, (len(published.packets(t, "video"))-n)%c.gop, "does not start at a key frame")
		requireDecodes(t, "ffmpeg", path)
	})
}
