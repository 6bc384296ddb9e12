package player

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
)

func TestOpenFileRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range sniffCases {
		if c.err == nil && c.is != formatHLS {
			continue // of these there is only a beginning: containers refuse them or not
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
	_, err = Open(t.Context(), t.TempDir())
	require.ErrorIs(t, err, fs.ErrNotExist, "there is nothing in it")
}

// makeFilm makes a file of the first d of film, of the kind that its extension says
// (.mp4 is fragmented, .mov is not), and the folders it is in. It returns its path.
func makeFilm(t *testing.T, d time.Duration, path ...string) string {
	if name := filepath.Join(path...); filepath.Ext(name) == ".mov" {
		makeText(t, "", name)
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		require.NoError(t, err)
		w, err := mp4.NewWriter(f, film.Tracks(), nil)
		require.NoError(t, err)
		containertest.Write(t, w, film.Take(d))
		require.NoError(t, w.Close())
		return name
	}
	return makeText(t, string(encodeFilm(t, filepath.Ext(filepath.Join(path...)), film.Take(d))), path...)
}

// makeText makes a file with that content, and the folders it is in.
func makeText(t *testing.T, content string, path ...string) string {
	name := filepath.Join(path...)
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

// TestOpenFileSeeks opens files of all kinds, under names of all kinds, and seeks.
func TestOpenFileSeeks(t *testing.T) {
	const length = 600 * time.Millisecond
	want := film.Take(length)
	for _, name := range []string{"a.flv", "a.ts", "a.mpg", "a.mp4", "a.mov"} {
		for _, called := range []string{name, "a.flv", "a.ts", "a.vob", "a.mp4", "a"} {
			file := makeFilm(t, length, t.TempDir(), name)
			path := filepath.Join(filepath.Dir(file), called)
			require.NoError(t, os.Rename(file, path))
			r, err := Open(t.Context(), path)
			require.NoError(t, err, "%s called %s", name, called)
			require.Len(t, r.Tracks(), 2)
			frames, err := containertest.ReadAll(r)
			require.Equal(t, io.EOF, err)
			require.Len(t, frames, len(want))
			filmtest.Require(t, frames, time.Millisecond)

			s, ok := source.As[source.Seeker](r)
			require.True(t, ok)
			require.InDelta(t, length, s.Duration(), float64(30*time.Millisecond))
			got, err := s.Seek(t.Context(), 450*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, 400*time.Millisecond, got)
			f, err := r.ReadFrame(t.Context())
			require.NoError(t, err)
			require.Equal(t, got, f.DTS)
			require.True(t, f.Has(codec.FlagKey|codec.FlagDiscont))
			require.NoError(t, r.Close())
			_, err = r.ReadFrame(t.Context())
			require.ErrorIs(t, err, source.ErrClosed)
		}
	}
}

// A transport or program stream that was cut somewhere is known by its name only.
func TestOpenFileCut(t *testing.T) {
	for _, name := range []string{"a.ts", "a.mpg"} {
		file := makeFilm(t, time.Second, t.TempDir(), name)
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, b[100:], 0o600))
		r, err := Open(t.Context(), file)
		require.NoError(t, err)
		_, err = r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
}

// TestOpenList opens a folder, and files with semicolons between their paths.
func TestOpenList(t *testing.T) {
	dir := t.TempDir()
	a := makeFilm(t, 400*time.Millisecond, dir, "a.flv")
	b := makeFilm(t, 400*time.Millisecond, dir, "b;c.flv")
	n := len(film.Take(400 * time.Millisecond))
	for path, frames := range map[string]int{dir: 2 * n, b: n, a + ";" + a: 2 * n, a + ";" + dir: 3 * n} {
		r, err := Open(t.Context(), path)
		require.NoError(t, err, path)
		all, err := containertest.ReadAll(r)
		require.Equal(t, io.EOF, err)
		require.Len(t, all, frames, path)
		require.NoError(t, r.Close())
	}
	_, err := Open(t.Context(), a+";none.flv")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "none.flv")
}

// TestOpenFileOptions opens a file that is played again and again in real time.
func TestOpenFileOptions(t *testing.T) {
	file := makeFilm(t, 400*time.Millisecond, t.TempDir(), "a.flv")
	n := len(film.Take(400 * time.Millisecond))
	synctest.Test(t, func(t *testing.T) {
		r, err := (&Client{Loop: true, Paced: true}).Open(t.Context(), file)
		require.NoError(t, err)
		defer r.Close()
		for _, ability := range []bool{has[source.Seeker](r), has[source.Pauser](r), has[source.Speeder](r)} {
			require.True(t, ability)
		}
		began := time.Now()
		frames := rounds(t, r, 3, n)
		requireOrder(t, frames)
		require.InDelta(t, 1200*time.Millisecond, time.Since(began), float64(100*time.Millisecond))
	})

	var log bytes.Buffer
	c := &Client{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	makeText(t, "no film at all", filepath.Dir(file), "b.flv")
	r, err := c.Open(t.Context(), filepath.Dir(file))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Contains(t, log.String(), "b.flv")
}

// TestOpenFileLive makes a file a live stream of another name, for as long as
// somebody watches.
func TestOpenFileLive(t *testing.T) {
	file := makeFilm(t, 400*time.Millisecond, t.TempDir(), "a.mov")
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{Options: source.StreamOptions{IdleClose: time.Second}}
		defer hub.Close()
		hub.OnMiss = func(context.Context, *source.Request) (source.Source, error) {
			return (&Client{Paced: true, Loop: true}).Source(file), nil
		}
		key := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "film"}
		r, err := hub.Play(t.Context(), &source.Request{ID: source.NewID(), Key: key})
		require.NoError(t, err)
		requireOrder(t, rounds(t, r, 5, len(film.Take(400*time.Millisecond))))
		require.NoError(t, r.Close())
		time.Sleep(2 * time.Second)
		require.Empty(t, hub.Streams())
	})
}

// has reports whether r has an ability.
func has[T any](r source.Reader) bool {
	_, ok := source.As[T](r)
	return ok
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
