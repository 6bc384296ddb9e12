package player

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

func TestOpenFileRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range sniffCases {
		if c.err == nil && c.is != formatHLS {
			continue
		}
		if c.is == formatHLS {
			c.err, c.says = source.ErrUnsupported, "playlist"
		}
		name := filepath.Join(dir, "a.flv")
		require.NoError(t, os.WriteFile(name, []byte(c.begins), 0o600))
		_, err := Open(t.Context(), name)
		require.ErrorIs(t, err, c.err)
		require.ErrorContains(t, err, c.says)
	}
	_, err := Open(t.Context(), filepath.Join(dir, "none.flv"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Open(t.Context(), dir)
	require.Error(t, err)
}

func TestOpenUnknownScheme(t *testing.T) {
	for _, c := range []Client{{}, {Retry: &source.Backoff{}}} { // with Retry: at once, too
		_, err := c.Open(t.Context(), "gopher://user:secret@example.com/live")
		require.ErrorIs(t, err, source.ErrUnsupported)
		require.ErrorContains(t, err, schemes)
		require.NotContains(t, err.Error(), "secret")
	}
	if runtime.GOOS != "windows" {
		_, err := Open(t.Context(), `C:\none.flv`)
		require.ErrorIs(t, err, fs.ErrNotExist, "no scheme")
	}
}
