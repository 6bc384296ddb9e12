package player

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/source"
)

var folderCases = []struct {
	name  string
	files []string
	want  []string
}{
	{"in the order of their paths", []string{"b.mp4", "a/z.mp4", "a.mp4", "2/1.mp4", "10/1.MP4"}, []string{"10/1.MP4", "2/1.mp4", "a.mp4", "a/z.mp4", "b.mp4"}},
	{"hidden ones are left out", []string{".open.mp4", "a.mp4", ".trash/b.mp4", "c/.open.mp4"}, []string{"a.mp4"}},
	{"a stream recorded in all kinds", []string{"1.flv", "1.mp4", "1.ts", "2.flv", "2.m4v", "2.mov"}, []string{"1.mp4", "2.m4v", "2.mov"}},
	{"FLV before TS", []string{"1.flv", "0.ts", "2.flv"}, []string{"1.flv", "2.flv"}},
	{"TS before PS", []string{"1.mpg", "0.vob", "2.ts"}, []string{"2.ts"}},
	{"discs", []string{"b.VOB", "a.mpeg", "c.ps", "d.mpg"}, []string{"a.mpeg", "b.VOB", "c.ps", "d.mpg"}},
	{"segments", []string{"hls.m3u8", "1.ts", "0.ts", "x.MTS", "y.m2ts"}, []string{"0.ts", "1.ts", "x.MTS", "y.m2ts"}},
	{"nothing to see", []string{"a.txt", "mp4", "a.mp4.part", "a.mp4/notes.txt"}, nil},
	{"empty", nil, nil},
}

func TestListFolder(t *testing.T) {
	for _, c := range folderCases {
		t.Run(c.name, func(t *testing.T) {
			folder := fstest.MapFS{}
			for _, name := range c.files {
				folder[name] = &fstest.MapFile{}
			}
			got, err := listFolder(t.Context(), folder)
			require.Equal(t, c.want, got)
			if c.want == nil {
				require.ErrorIs(t, err, fs.ErrNotExist)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// closedFS is a folder of which a part may not be read.
type closedFS struct {
	fstest.MapFS
	closed string
}

func (c closedFS) Open(name string) (fs.File, error) {
	if name == c.closed {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.Open(name)
}

func (c closedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == c.closed {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return c.MapFS.ReadDir(name)
}

func TestListFolderErrors(t *testing.T) {
	films := fstest.MapFS{"a.mp4": {}, "b/b.mp4": {}}
	for _, closed := range []string{".", "b"} {
		_, err := listFolder(t.Context(), closedFS{films, closed})
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, closed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := listFolder(ctx, films)
	require.ErrorIs(t, err, context.Canceled)

	many := fstest.MapFS{}
	for i := range maxEntries {
		many[fmt.Sprint(i)] = &fstest.MapFile{}
	}
	_, err = listFolder(t.Context(), many)
	require.ErrorIs(t, err, source.ErrLimit)
}

func TestOpenFilesLimit(t *testing.T) {
	dir := t.TempDir()
	makeText(t, "", dir, "a.mp4")
	names := make([]string, maxFiles+1)
	for i := range names {
		names[i] = filepath.Join(dir, "a.mp4")
	}
	_, err := OpenFiles(t.Context(), names...)
	require.ErrorIs(t, err, source.ErrLimit)
	_, err = OpenFiles(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestOpenFiles plays files of all kinds as one, by list and by folder.
func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	const part = 400 * time.Millisecond
	a := makeFilm(t, part, dir, "a.flv")
	b := makeFilm(t, part, dir, "b.ts")
	c := makeFilm(t, part, dir, "c.mp4")
	whole := len(film.Take(part))

	r, err := OpenFiles(t.Context(), a, b, c)
	require.NoError(t, err)
	frames, err := containertest.ReadAll(r)
	require.ErrorContains(t, err, "EOF")
	require.NoError(t, r.Close())
	require.Len(t, frames, 3*whole)
	requireOrder(t, frames)
	s, ok := source.As[source.Seeker](r)
	require.True(t, ok)
	require.InDelta(t, 3*part, s.Duration(), float64(50*time.Millisecond))

	for _, of := range [][]string{{dir}, {c}, {dir, dir}} { // the folder has one MP4 file
		r, err = OpenFiles(t.Context(), of...)
		require.NoError(t, err)
		frames, _ = containertest.ReadAll(r)
		require.Len(t, frames, len(of)*whole)
		require.NoError(t, r.Close())
	}

	makeText(t, "no film", dir, "d.mp4")
	r, err = OpenFiles(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = OpenFiles(t.Context(), a, filepath.Join(dir, "d.mp4"))
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, "d.mp4")
	_, err = OpenFiles(t.Context(), a, filepath.Join(dir, "gone.mp4"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.RemoveAll(dir))
}
