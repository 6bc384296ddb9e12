package rtsp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// TestViewerMemory holds the bar of 16 KB of memory per viewer, with room to
// spare. The viewers are in another process, which is this test binary once more.
func TestViewerMemory(t *testing.T) {
	const env, viewers, bar = "RTSP_TEST_VIEWERS_OF", 500, 9 << 10
	if addr := os.Getenv(env); addr != "" {
		watch(t, addr, viewers)
		return
	}
	if testing.Short() || raceEnabled {
		t.Skip("measures memory")
	}
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	f := feed(t, hub, "cam", testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000, GOP: time.Second})
	f.run(t)
	warm := dialPeer(t, url) // what the first viewer costs is not each viewer's
	warm.play(url + "cam")
	go io.Copy(io.Discard, warm.nc)

	before := inUse()
	child := exec.Command(os.Args[0], "-test.run=^TestViewerMemory$")
	child.Env = append(os.Environ(), env+"="+strings.Split(url, "/")[2])
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "watching\n", line)
	after := inUse()
	require.NoError(t, in.Close())
	_, _ = io.Copy(io.Discard, out)
	require.NoError(t, child.Wait())
	each := (after - before) / viewers
	t.Logf("%d bytes per viewer", each)
	require.Less(t, each, int64(bar))
}

// watch plays with n connections until stdin ends.
func watch(t *testing.T, addr string, n int) {
	url := "rtsp://" + addr + "/live/cam"
	for range n {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		p := newTestPeer(t, nc)
		p.play(url)
		p.rtp()
		_ = nc.SetReadDeadline(time.Time{})
		go io.Copy(io.Discard, nc)
	}
	time.Sleep(2 * time.Second)
	fmt.Println("watching")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// inUse returns the bytes of heap and stacks in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
