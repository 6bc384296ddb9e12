package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// camera runs GStreamer's RTSP server with one stream and returns its address,
// see peers/camera.
func camera(t testing.TB, pipeline string, options ...string) (addr string) {
	t.Helper()
	const python = "/usr/bin/python3"
	if _, err := execute(python, "-c", `import gi; gi.require_version("GstRtspServer", "1.0")`); err != nil {
		without(t, "GStreamer's RTSP server")
	}
	cmd := exec.Command(python, append(append([]string{filepath.Join("peers", "camera")}, options...), pipeline)...)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { stdin.Close() })
	p := startCmd(t, cmd)
	p.until("port ")
	return "127.0.0.1:" + regexp.MustCompile(`port (\d+)`).FindStringSubmatch(p.stdout.String())[1]
}

// plays is a camera's pipeline that shows a clip of H.264 and AAC once.
func plays(path string) string {
	return fmt.Sprintf(`( filesrc location=%s ! qtdemux name=d
		d.video_0 ! queue ! rtph264pay name=pay0 pt=96
		d.audio_0 ! queue ! rtpmp4gpay name=pay1 pt=97 )`, path)
}

// takes is a camera's pipeline that writes what is pushed to it to two files.
func takes(dir string) string {
	return fmt.Sprintf(`( rtph264depay name=depay0 ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! filesink async=false location=%[1]s/video.h264
		rtpmp4gdepay name=depay1 ! aacparse ! audio/mpeg,stream-format=adts ! filesink async=false location=%[1]s/audio.aac )`, dir)
}

// TestCamera has our client play from GStreamer's server by every transport,
// and push to it.
func TestCamera(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 3 * time.Second}
	f := load(t, c)
	trust := &tls.Config{InsecureSkipVerify: true}
	cert, key := newCertificate(t).files(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	var pem []byte
	for _, file := range []string{cert, key} {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		pem = append(pem, b...)
	}
	require.NoError(t, os.WriteFile(both, pem, 0o600))

	for _, x := range []struct {
		name      string
		transport rtsp.Transport
		options   []string
		user      string
	}{
		{"auto", rtsp.TransportAuto, nil, ""},
		{"tcp", rtsp.TransportTCP, nil, ""},
		{"udp", rtsp.TransportUDP, nil, ""},
		{"http", rtsp.TransportHTTP, nil, ""},
		{"tcp, Basic", rtsp.TransportTCP, []string{"--auth", "basic"}, "admin:secret@"},
		{"udp, Digest", rtsp.TransportUDP, []string{"--auth", "digest"}, "admin:secret@"},
		{"http, Digest", rtsp.TransportHTTP, []string{"--auth", "digest"}, "admin:secret@"},
		{"tls, Digest", rtsp.TransportTCP, []string{"--auth", "digest", "--tls", both}, "admin:secret@"},
	} {
		scheme := "rtsp"
		if x.name[:3] == "tls" {
			scheme = "rtsps"
		}
		client := &rtsp.Client{Transport: x.transport, TLSConfig: trust}
		t.Run(x.name+"/play", func(t *testing.T) {
			t.Parallel()
			addr := camera(t, plays(c.file(t)), x.options...)
			if x.user != "" {
				requireRTSPStatus(t, 401, func(ctx context.Context) error {
					return closed(client.Open(ctx, scheme+"://admin:wrong@"+addr+"/live/t"))
				})
			}
			got := playFrom(t, opener(client, scheme+"://"+x.user+addr+"/live/t"))()
			f.requireLike(t, got, exactness{tick: time.Millisecond, late: true, early: 5})
		})
		if x.transport == rtsp.TransportHTTP {
			continue // it is for playing
		}
		t.Run(x.name+"/push", func(t *testing.T) {
			t.Parallel()
			f, dir := load(t, c), t.TempDir()
			addr := camera(t, takes(dir), append(x.options, "--record")...)
			pushTo(t, f, rtspSink(client, scheme+"://"+x.user+addr+"/live/t"))
			want := screen(t, c.file(t)).wait()
			out, err := execute("ffmpeg", "-v", "error", "-i", filepath.Join(dir, "audio.aac"), "-c", "copy", filepath.Join(dir, "audio.m4a"))
			require.NoError(t, err, out)
			for kind, file := range map[string]string{"video": "video.h264", "audio": "audio.m4a"} {
				got := screenKinds(t, filepath.Join(dir, file), nil, kind).wait()
				requireSameHashes(t, want, got, kind, 30) // a busy GStreamer begins late
			}
		})
	}
}

// requireSameHashes is requireSamePackets for files without times.
func requireSameHashes(t testing.TB, want, got probe, kind string, missing int) {
	t.Helper()
	hashes := func(p probe) (list []string) {
		for _, pkt := range p.packets(t, kind) {
			list = append(list, pkt.Hash)
		}
		return list
	}
	w, g := hashes(want), hashes(got)
	require.LessOrEqual(t, len(w)-len(g), missing, "%s packets", kind)
	require.LessOrEqual(t, len(g), len(w), "%s packets", kind)
	for i := range len(w) - len(g) + 1 {
		if w[i] == g[0] {
			require.Equal(t, w[i:i+len(g)], g, "%s packets from %d on", kind, i)
			return
		}
	}
	t.Fatalf("the first %s packet is not the publisher's", kind)
}

// opener is a client's Source for a URL.
func opener(c *rtsp.Client, url string) source.Source {
	return source.SourceFunc(func(ctx context.Context) (source.Reader, error) { return c.Open(ctx, url) })
}

// rtspSink is a client's Sink for a URL.
func rtspSink(c *rtsp.Client, url string) source.Sink {
	return source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
		return c.Create(ctx, url, tracks)
	})
}

// closed closes what was opened and returns the error.
func closed(c io.Closer, err error) error {
	if err == nil {
		c.Close()
	}
	return err
}

// requireRTSPStatus checks that a server answers with the status.
func requireRTSPStatus(t testing.TB, status int, do func(context.Context) error) {
	t.Helper()
	var refused *rtsp.StatusError
	require.ErrorAs(t, do(t.Context()), &refused)
	require.Equal(t, status, refused.Status)
}

// TestFFmpegListens has our client push to ffmpeg, which can be a server for one
// publisher.
func TestFFmpegListens(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second}
	for name, transport := range map[string]rtsp.Transport{"tcp": rtsp.TransportTCP, "udp": rtsp.TransportUDP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			addr := freeAddr(t)
			listener := screen(t, "rtsp://"+addr+"/live/t", "-rtsp_flags", "listen")
			var w source.Writer
			eventually(t, func() bool { // it listens when it is ready
				var err error
				w, err = (&rtsp.Client{Transport: transport}).Create(t.Context(), "rtsp://"+addr+"/live/t", f.Tracks())
				return err == nil
			}, "ffmpeg takes the stream")
			require.NoError(t, source.Copy(t.Context(), w, f))
			require.NoError(t, w.Close())
			requireScreened(t, c, screen(t, c.file(t)).wait(), listener.wait(), 0, 3)
		})
	}
}
