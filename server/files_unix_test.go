//go:build unix

package server

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDevices: what is no file is neither served nor listed, nor waited for.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "index.html"), 0o600))
	h := &Files{Root: dir}
	require.Equal(t, 404, fetch(h, "/pipe").Code)
	require.Empty(t, links(fetch(h, "/").Body.String()))
	require.Equal(t, 404, fetch(&Files{Root: "/dev"}, "/null").Code)
}

func TestPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0))
	require.Equal(t, 403, fetch(&Files{Root: dir}, "/a").Code)
}
