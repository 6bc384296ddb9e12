package hls

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestClean: what live streams have left goes, folders too, and nothing else.
func TestClean(t *testing.T) {
	require.NoError(t, Clean(filepath.Join(t.TempDir(), "none")))

	dir, outside := t.TempDir(), t.TempDir()
	put := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for _, name := range []string{
		"live/a/hls.m3u8", "live/a/2020-03-28/11/09-38_0.ts", "live/a/b/hls.fmp4.m3u8", "live/a/b/init-1.mp4",
		"live/a/b/2020-03-28/11/09-38_0.mp4", "2020-03-28/11/09-38_0.mp4", "live/e/2020-03-28/11/.09-40_9.ts.tmp", "live/mixed/hls.m3u8",
	} {
		put(name, "x")
	}
	kept := []string{"index.html", "live/e/2020-03-28/11/09-38_0.ts", "live/e/hls.m3u8", "live/mixed/x.ts"}
	for _, name := range kept {
		put(name, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n")
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o755), "never ours")
	victim := filepath.Join(outside, "hls.m3u8")
	require.NoError(t, os.WriteFile(victim, nil, 0o600))
	_ = os.Symlink(outside, filepath.Join(dir, "linked"))

	require.NoError(t, Clean(dir))
	for _, name := range kept {
		require.FileExists(t, filepath.Join(dir, name))
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	require.FileExists(t, victim)
	require.DirExists(t, filepath.Join(dir, "empty"))
	_ = os.Remove(filepath.Join(dir, "linked"))
	require.Empty(t, filesIn(t, dir))
	require.NoDirExists(t, filepath.Join(dir, "live", "a"))
	require.NoDirExists(t, filepath.Join(dir, "2020-03-28"))
}
