package fileurl

import (
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
