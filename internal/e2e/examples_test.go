package e2e

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/source"
)

// programs builds the examples once a run and returns their folder.
var programs = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(clips.dir, "programs") + string(filepath.Separator)
	cmd := exec.Command("go", "build", "-o", dir, "./examples/...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", &buildError{err, string(out)}
	}
	return dir, nil
})

type buildError struct {
	error
	out string
}

func (e *buildError) Error() string { return e.error.Error() + "\n" + e.out }

// example runs one of the examples.
func example(t testing.TB, name string, args ...string) *process {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	return startCmd(t, exec.Command(filepath.Join(dir, name), args...))
}

// mediaserver runs examples/mediaserver and returns its addresses by scheme,
// from the URLs it prints.
func mediaserver(t testing.TB, args ...string) (*process, *server) {
	t.Helper()
	p := example(t, "mediaserver", append([]string{"-rtmp", "127.0.0.1:0", "-rtsp", "127.0.0.1:0", "-http", "127.0.0.1:0", "-rtp", "127.0.0.1:0"}, args...)...)
	p.until("ready")
	s := &server{addrs: map[string]string{}}
	for _, m := range regexp.MustCompile(`(\w+)://([\d.]+:\d+)/`).FindAllStringSubmatch(p.stdout.String(), -1) {
		s.addrs[m[1]] = m[2]
	}
	s.addrs["ws"], s.addrs["wss"] = s.addrs["http"], s.addrs["https"]
	return p, s
}

// TestMediaserver runs the ready server as a user does, with TLS on.
func TestMediaserver(t *testing.T) {
	t.Parallel()
	published := probeFile(t, "ffprobe", long.file(t))
	cert, key := newCertificate(t).files(t)
	_, s := mediaserver(t, "-rtmps", "127.0.0.1:0", "-rtsps", "127.0.0.1:0", "-https", "127.0.0.1:0", "-cert", cert, "-key", key)

	var viewers []viewer
	var recorded []*recording
	for _, scheme := range []string{"rtmp", "rtmps", "http", "https", "ws", "wss"} {
		require.NotEmpty(t, s.addrs[scheme], scheme)
		v := record(t, s.url(scheme, "live/t"))
		viewers, recorded = append(viewers, v), append(recorded, v)
	}
	screened := []*screening{
		screenRTSP(t, s.url("rtsp", "live/t"), "tcp"), screenRTSP(t, s.url("rtsp", "live/t"), "udp"), screenRTSP(t, s.url("rtsps", "live/t"), "tcp"),
	}
	for _, v := range screened {
		viewers = append(viewers, v)
	}
	publishUntil(t, long.file(t), s.url("rtmps", "live/t"), viewers...)
	for _, v := range recorded {
		requireSame(t, published, probeFile(t, "ffprobe", v.wait()), anyPart)
	}
	for _, v := range screened {
		v.wait()
	}
}

// TestMediaserverStops: a signal ends the streams, so that viewers see a proper
// end, and the program, though there is one who reads nothing. A second signal
// ends it at once.
func TestMediaserverStops(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 5 * time.Second}
	for _, signals := range []int{1, 2} {
		t.Run(fmt.Sprint(signals), func(t *testing.T) {
			t.Parallel()
			p, s := mediaserver(t)
			viewers := []*recording{record(t, s.url("rtmp", "live/t")), record(t, s.url("http", "live/t")), record(t, s.url("ws", "live/t"))}
			publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
			screened := []*screening{screenRTSP(t, s.url("rtsp", "live/t"), "tcp"), screenRTSP(t, s.url("rtsp", "live/t"), "udp")}
			for _, v := range viewers {
				eventually(t, func() bool { return v.size() > 20_000 }, "%s grows", v.path)
			}
			for _, v := range screened {
				eventually(t, func() bool { return v.size() > 20_000 }, "pictures come by RTSP")
			}
			stuck, err := open(t.Context(), s.url("http", "live/t"))
			require.NoError(t, err)
			defer stuck.Close()
			p.signal(syscall.SIGTERM)
			if signals == 2 {
				again := time.NewTicker(10 * time.Millisecond) // one that comes too early is not a second one
				defer again.Stop()
				for {
					select {
					case <-again.C:
						_ = p.cmd.Process.Signal(syscall.SIGTERM)
					case <-p.done:
						require.Error(t, p.err, "killed")
						return
					}
				}
			}
			require.NoError(t, p.wait(patience), "exit code")
			for _, v := range viewers {
				requireDecodes(t, "ffmpeg", v.wait())
			}
			for _, v := range screened {
				v.wait()
			}
		})
	}
}

// TestMediaserverRefuses what it cannot do.
func TestMediaserverRefuses(t *testing.T) {
	t.Parallel()
	p := example(t, "mediaserver", "-rtmp", "", "-rtsp", "", "-http", "", "-rtp", "", "-rtsps", "127.0.0.1:0")
	require.Error(t, p.wait(patience))
	require.Contains(t, p.stderr.String(), "-cert")

	p = example(t, "mediaserver", "-rtmp", "127.0.0.1:99999")
	require.Error(t, p.wait(patience))
}

// TestRTSPProxy plays a camera, which wants a password, through the proxy.
func TestRTSPProxy(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 8 * time.Second}
	f := load(t, c)
	addr := camera(t, plays(c.file(t)), "--auth", "digest")
	s := &server{addrs: map[string]string{"rtsp": freeAddr(t), "rtmp": freeAddr(t), "http": freeAddr(t)}}
	example(t, "rtsp-proxy", "-rtsp", s.addrs["rtsp"], "-rtmp", s.addrs["rtmp"], "-http", s.addrs["http"],
		"door=rtsp://admin:secret@"+addr+"/live/t")
	for _, scheme := range []string{"rtsp", "rtmp", "http"} {
		listens(t, s.addrs[scheme])
	}
	viewers := map[string]source.Reader{}
	for _, scheme := range []string{"rtsp", "rtmp", "http"} {
		r, err := player.Open(t.Context(), s.url(scheme, "live/door"))
		require.NoError(t, err, scheme)
		defer r.Close()
		viewers[scheme] = r
	}
	for scheme, r := range viewers {
		require.Len(t, r.Tracks(), 2, scheme)
		key := false
		for kinds := 0; kinds != 3; {
			s, err := r.ReadFrame(t.Context())
			require.NoError(t, err, scheme)
			kind := 1
			if s.Track.Kind() == codec.KindVideo {
				kind, key = 2, key || s.Key()
				require.True(t, key, "%s: begins with a key frame", scheme)
			}
			require.True(t, slices.ContainsFunc(f.frames, func(w *codec.Frame) bool { return bytes.Equal(w.Data, s.Data) }), "%s: a frame of the camera's", scheme)
			kinds |= kind
		}
	}
	_, err := open(t.Context(), s.url("http", "live/window"))
	require.ErrorContains(t, err, "404")
}

// TestPlayPushRelay chains the other examples: a file is pushed to one server,
// relayed to a second, served by a third, and played to a file again.
func TestPlayPushRelay(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second, form: "flv"}
	published := probeFile(t, "ffprobe", c.file(t))
	first, second := serve(t, nil), serve(t, nil)

	relay := example(t, "relay", first.url("rtsp", "live/t"), second.url("rtmp", "live/t"))
	edge := freeAddr(t)
	example(t, "relay", "-listen", edge, "rtmp://"+second.addrs["rtmp"])
	path := filepath.Join(t.TempDir(), "out.flv")
	play := example(t, "play", "-o", path, second.url("http", "live/t"))
	listens(t, edge)
	far := record(t, "rtmp://"+edge+"/live/t")
	first.viewers(t, 1)
	second.viewers(t, 2)
	push := example(t, "push", c.file(t), first.url("rtsp", "live/t"))

	require.Contains(t, push.ok(patience), "end after ")
	relay.signal(syscall.SIGINT)
	relay.ok(patience)
	require.Regexp(t, `video H264 320x192 \(avc1\.\w+\)(?s:.*)frames/s .* kbit/s`, play.ok(patience))

	got := probeFile(t, "ffprobe", path)
	requireSame(t, published, got, 0)
	requireSame(t, published, probeFile(t, "ffprobe", far.wait()), anyPart)
}
