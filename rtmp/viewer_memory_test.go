package rtmp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
)

// TestViewerMemory holds the bar of 9 KB of memory per viewer. The viewers are
// in another process, which is this test binary once more.
func TestViewerMemory(t *testing.T) {
	const env, viewers, bar = "RTMP_TEST_VIEWERS_OF", 500, 9 << 10
	if addr := os.Getenv(env); addr != "" {
		watch(t, addr, viewers)
		return
	}
	if testing.Short() || raceEnabled {
		t.Skip("measures memory")
	}
	ctx, cancel := context.WithCancel(context.Background())
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	st := testmedia.Stream{Video: codec.H264, Bitrate: 50_000, GOP: time.Second}
	w, err := Create(ctx, url+"cam", st.Tracks())
	require.NoError(t, err)
	var pushing sync.WaitGroup
	pushing.Go(func() {
		began := time.Now()
		for f := range st.Frames() {
			time.Sleep(time.Until(began.Add(f.DTS)))
			if w.WriteFrame(ctx, f) != nil {
				return
			}
		}
	})
	defer pushing.Wait()
	defer w.Close()
	defer cancel()
	warm, err := Open(ctx, url+"cam") // what the first viewer costs is not each viewer's
	require.NoError(t, err)
	defer warm.Close()
	readFrames(t, warm, 10)

	before := inUse()
	child := exec.Command(os.Args[0], "-test.run=^TestViewerMemory$")
	child.Env = append(os.Environ(), env+"="+strings.TrimSuffix(strings.TrimPrefix(url, "rtmp://"), "/live/"))
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
	for range n {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer nc.Close()
		var b [handshake.Reply]byte
		handshake.Offer(b[:handshake.Opening], false)
		_, err = nc.Write(b[:handshake.Opening])
		require.NoError(t, err)
		_, err = io.ReadFull(nc, b[:])
		require.NoError(t, err)
		_, err = nc.Write(b[1:handshake.Opening])
		require.NoError(t, err)
		out := wire.AppendCommand(nil, 0, 128, wire.Command{Name: "connect", ID: 1, Object: amf.Object{{Name: "app", Value: "live"}}})
		out = wire.AppendCommand(out, 1, 128, wire.Command{Name: "play", ID: 2, Args: []any{"cam"}})
		_, err = nc.Write(out)
		require.NoError(t, err)
		_, err = io.ReadFull(nc, make([]byte, 5_000))
		require.NoError(t, err)
		go io.Copy(io.Discard, nc)
	}
	time.Sleep(2 * time.Second)
	fmt.Println("watching")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
