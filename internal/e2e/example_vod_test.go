package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ways are how a film of a server can be asked for: by scheme, and with this behind
// its name.
var ways = []struct{ scheme, suffix string }{
	{"rtsp", ""}, {"rtmp", ""}, {"http", ".live.flv"}, {"http", ".live.ts"}, {"http", ".live.mp4"},
	{"http", "/hls.m3u8"}, {"http", "/hls.fmp4.m3u8"},
}

// requireShown fails unless the film called name is there by all ways, complete.
func (s *server) requireShown(t *testing.T, want probe, name string) {
	t.Helper()
	for _, w := range ways {
		url := w.scheme + "://" + s.addrs[w.scheme] + "/" + name + w.suffix
		got := probeFile(t, "ffprobe", url)
		requireSameStreams(t, want, got)
		for _, kind := range []string{"video", "audio"} {
			require.Len(t, got.packets(t, kind), len(want.packets(t, kind)), "%s by %s", kind, url)
		}
	}
}

// TestVODExample plays a file as examples/vod does.
func TestVODExample(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second, form: "mp4"}
	dir := filepath.Join(t.TempDir(), "films")
	require.NoError(t, os.Mkdir(dir, 0o755))
	b, err := os.ReadFile(c.file(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.mp4"), b, 0o644))
	s := &server{addrs: map[string]string{"rtmp": freeAddr(t), "rtsp": freeAddr(t), "http": freeAddr(t)}}
	p := example(t, "vod", "-rtmp", s.addrs["rtmp"], "-rtsp", s.addrs["rtsp"], "-http", s.addrs["http"], dir)
	for _, addr := range s.addrs {
		listens(t, addr)
	}
	s.requireShown(t, probeFile(t, "ffprobe", c.file(t)), "films/a.mp4")
	p.signal(syscall.SIGTERM)
	require.NoError(t, p.wait(patience))
}

// TestMediaserverRecords has the ready server record all that is published, and
// plays the files from it.
func TestMediaserverRecords(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	p, s := mediaserver(t, "-root", root, "-record", "mp4,flv,ts,hls,hls.fmp4", "-slice", "4s")
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	require.NoError(t, publish(t, c.file(t), s.url("rtmp", "live/t")).wait(patience))
	find := func(pattern string) []string {
		files, err := filepath.Glob(filepath.Join(root, "record", "live", "t", "*", pattern))
		require.NoError(t, err)
		return files
	}
	published := probeFile(t, "ffprobe", c.file(t))
	for _, ext := range []string{".mp4", ".flv", ".ts"} {
		eventually(t, func() bool { return len(find("[0-9]*"+ext)) >= 2 && len(find(".*")) == 0 }, "files with %s are finished", ext)
		n := 0
		for _, file := range find("[0-9]*" + ext) {
			n += len(probeFile(t, "ffprobe", file).packets(t, "video"))
			requireDecodes(t, "ffmpeg", file)
		}
		require.Equal(t, len(published.packets(t, "video")), n, "pictures in %s", ext)
		file := find("[0-9]*" + ext)[0]
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		want := probeFile(t, "ffprobe", file)
		s.requireShown(t, want, filepath.ToSlash(name))
		requireSame(t, want, probeFile(t, "ffprobe", s.at("http", filepath.ToSlash(name))), 0) // the file itself
	}
	playlists := find("[0-9]*.m3u8")
	require.GreaterOrEqual(t, len(playlists), 4, "two kinds of HLS")
	for _, file := range playlists {
		requireDecodes(t, "ffmpeg", file)
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		require.NotEmpty(t, probeFile(t, "ffprobe", s.at("http", filepath.ToSlash(name))).packets(t, "video"))
	}

	// What is being recorded when the server is told to stop is whole.
	publish(t, c.file(t), s.url("rtmp", "live/u"), "-stream_loop", "-1")
	hidden := func() []string {
		files, err := filepath.Glob(filepath.Join(root, "record", "live", "u", "*", ".*.mp4"))
		require.NoError(t, err)
		return files
	}
	eventually(t, func() bool { return len(hidden()) > 0 && sizeOf(hidden()[0]) > 100_000 }, "something is being recorded")
	file := hidden()[0]
	p.signal(syscall.SIGTERM)
	require.NoError(t, p.wait(patience))
	require.Empty(t, hidden())
	requireDecodes(t, "ffmpeg", strings.Replace(file, string(filepath.Separator)+".", string(filepath.Separator), 1))
}
