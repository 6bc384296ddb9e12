//go:build unix

package player

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// A pipe is not a film: to open it would take until somebody writes to it.
func TestVODPipe(t *testing.T) {
	root := vault(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "record", "pipe.flv"), 0o600))
	v := &VOD{Root: root}
	_, err := v.Play(t.Context(), asked("pipe.flv", ""))
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = OpenFiles(t.Context(), filepath.Join(root, "record", "pipe.flv"))
	require.ErrorIs(t, err, source.ErrUnsupported)
}

// What this process may not read is refused as such.
func TestVODPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	root := vault(t)
	v := &VOD{Root: root}
	for name, closed := range map[string]string{"cam/a.flv": "cam/a.flv", "day/1.mp4": "day", "day": "day"} {
		path := filepath.Join(root, "record", closed)
		require.NoError(t, os.Chmod(path, 0))
		_, err := v.Play(t.Context(), asked(name, ""))
		require.ErrorIs(t, err, source.ErrForbidden, name)
		require.Equal(t, "the file cannot be read", source.RefusalText(err))
		require.NoError(t, os.Chmod(path, 0o700))
	}
}

// A pipe is read as it comes, without seeking.
func TestOpenPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe.mp4")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	b := encodeFilm(t, ".flv", film.Take(filmLength))
	done := make(chan error, 1)
	go func() {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err == nil {
			_, err = w.Write(b)
			_ = w.Close()
		}
		done <- err
	}()
	r, err := Open(t.Context(), name)
	require.NoError(t, err)
	require.False(t, has[source.Seeker](r))
	n := 0
	for _, err := range source.Frames(t.Context(), r) {
		require.NoError(t, err)
		n++
	}
	require.Len(t, film.Take(filmLength), n)
	require.NoError(t, <-done)
	require.NoError(t, r.Close())
}
