//go:build unix

package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPause stops the server process for longer than a viewer may lag, as a
// machine does that is too busy, and lets it go on. The viewers took all they
// were offered, so they miss nothing.
func TestPause(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	published := probeFile(t, "ffprobe", c.file(t))
	p, s := mediaserver(t)
	viewers := []*recording{record(t, s.url("rtmp", "live/t")), record(t, s.url("http", "live/t")), record(t, s.url("ws", "live/t"))}
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"))
	for _, v := range viewers {
		eventually(t, func() bool { return v.size() > 10_000 }, "%s grows", v.path)
	}
	p.signal(syscall.SIGSTOP)
	time.Sleep(3500 * time.Millisecond) // the pause is what is tested
	p.signal(syscall.SIGCONT)
	pub.ok(patience)
	for _, v := range viewers {
		got := probeFile(t, "ffprobe", v.wait())
		n, _ := requireSamePackets(t, published, got, "video", anyPart) // who came late begins late
		require.Zero(t, (250-n)%25, "%s begins with a key frame and misses nothing", v.path)
	}
}

// TestStoppedViewer stops a viewer by RTSP over TCP, so that its connection fills
// up: nobody else notices.
func TestStoppedViewer(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, kbps: 4000, duration: 10 * time.Second}
	published, pictures := probeFile(t, "ffprobe", c.file(t)), screen(t, c.file(t)).wait()
	s := serve(t, nil)
	stopped := screenRTSP(t, s.url("rtsp", "live/t"), "tcp")
	viewer := screenRTSP(t, s.url("rtsp", "live/t"), "tcp")
	other := record(t, s.url("http", "live/t"))
	s.viewers(t, 3)
	pub := publishRTSP(t, c.file(t), s.url("rtsp", "live/t"), "tcp")
	eventually(t, func() bool { return stopped.size() > 10_000 }, "it gets something")
	stopped.p.signal(syscall.SIGSTOP)
	pub.ok(patience)
	requireScreened(t, c, pictures, viewer.wait(), 2, forgotten)
	requireSame(t, published, probeFile(t, "ffprobe", other.wait()), forgotten)
}
