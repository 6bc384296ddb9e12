package fileurl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

func TestPath(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"a.flv", "a.flv"},
		{"/srv/a b%20.flv", "/srv/a b%20.flv"},
		{`C:\a.flv`, `C:\a.flv`},
		{"file:///srv/a%20b.flv", "/srv/a b.flv"},
		{"file://localhost/srv/a.flv", "/srv/a.flv"},
		{"FILE:///srv/a.flv", "/srv/a.flv"},
	} {
		require.True(t, Is(c.name), c.name)
		got, err := Path(c.name)
		require.NoError(t, err, c.name)
		if c.name != c.want {
			c.want = filepath.FromSlash(c.want)
		}
		require.Equal(t, c.want, got, c.name)
	}
	_, err := Path("file://elsewhere/srv/a.flv")
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = Path("file:///%zz")
	require.Error(t, err)
	for _, name := range []string{"rtsp://host/a.flv", "files://a.flv", "://a.flv"} {
		require.False(t, Is(name), name)
	}
}

func TestSame(t *testing.T) {
	dir := t.TempDir()
	file, other := filepath.Join(dir, "a.flv"), filepath.Join(dir, "b.flv")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{file, file, true},
		{file, filepath.Join(dir, ".", "x", "..", "a.flv"), true},
		{file, other, false},
		{file, filepath.Join(dir, "none"), false},
		{filepath.Join(dir, "none"), filepath.Join(dir, "none"), false},
		{"rtmp://h/a/b", "rtmp://h/a/b", false},
	} {
		require.Equal(t, c.same, Same(c.a, c.b), "%s %s", c.a, c.b)
	}
}
