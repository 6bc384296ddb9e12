package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onDisk returns the numbers of the segments in a folder by their files, and the
// other files.
func onDisk(t testing.TB, dir string) (segments map[string]int, others []string) {
	t.Helper()
	segments = map[string]int{}
	name := regexp.MustCompile(`^\d{4}-\d\d-\d\d/\d\d/\d\d-\d\d_(\d+)\.(ts|mp4)$`)
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it has just gone
		}
		rel, _ := filepath.Rel(dir, path)
		if m := name.FindStringSubmatch(filepath.ToSlash(rel)); m != nil {
			segments[path], err = strconv.Atoi(m[1])
			require.NoError(t, err)
		} else {
			others = append(others, rel)
		}
		return nil
	})
	return segments, others
}

// newest returns the highest number; -1 if there is none.
func newest(segments map[string]int) int {
	n := -1
	for _, i := range segments {
		n = max(n, i)
	}
	return n
}

// TestHLSOnDisk has the ready server keep segments in a folder: those listed, and
// some more for the slow. The folder of a stream is gone after it, and what a
// server that was killed has left is gone when the next one has started.
func TestHLSOnDisk(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"hls.m3u8", "hls.fmp4.m3u8"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onDiskAs(t, name)
		})
	}
}

func onDiskAs(t *testing.T, name string) {
	const kept, retained = 3, 5
	c := clip{video: "h264", audio: "aac", duration: 8 * time.Second}
	c.file(t)
	dir := t.TempDir()
	folder := filepath.Join(dir, "live", "t")
	p, s := mediaserver(t, "-hls-dir", dir)
	watching := func(s *server) *process {
		return start(t, "ffmpeg", "-v", "error", "-i", s.at("http", "live/t/"+name), "-c", "copy", "-f", "null", "-")
	}
	viewer := watching(s)
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	most := 0
	eventually(t, func() bool {
		segments, _ := onDisk(t, folder)
		most = max(most, len(segments))
		return newest(segments) >= 2*(kept+retained)
	}, "segments are cut")
	require.LessOrEqual(t, most, kept+retained+2, "more is kept than those listed, those retained, and the one being written")
	segments, others := onDisk(t, folder)
	for file, i := range segments {
		require.GreaterOrEqual(t, i, newest(segments)-kept-retained-1, file)
	}
	require.Contains(t, others, name)
	playlist, err := os.ReadFile(filepath.Join(folder, name))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(playlist), "#EXTM3U\n"))
	require.Len(t, listed(string(playlist)), kept)

	// The end.
	pub.signal(syscall.SIGINT)
	pub.wait(patience)
	viewer.ok(patience)
	eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(folder))
		return os.IsNotExist(err)
	}, "the folders are gone")

	// A server that is killed leaves its files.
	viewer = watching(s)
	publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	eventually(t, func() bool {
		segments, _ := onDisk(t, folder)
		return len(segments) >= 3
	}, "segments are cut")
	p.kill()
	viewer.wait(patience)
	left, _ := onDisk(t, folder)
	require.NotEmpty(t, left)

	foreign := filepath.Join(folder, "notes.txt")
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	_, s = mediaserver(t, "-hls-dir", dir)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what was left is gone, what others have put there is not")
	require.NoError(t, os.Remove(foreign))
	watching(s)
	publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	eventually(t, func() bool {
		segments, _ := onDisk(t, folder)
		return len(segments) >= 2
	}, "there are new ones")
}
