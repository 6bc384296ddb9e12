package hls

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/hlscheck"
)

// recordFrames writes what serveStream has from from to to to w.
func recordFrames(t *testing.T, w *Writer, from, to time.Duration) error {
	t.Helper()
	for f := range serveStream.Frames() {
		if f.DTS >= to {
			break
		}
		if f.DTS < from {
			continue
		}
		if err := w.WriteFrame(context.Background(), f); err != nil {
			return err
		}
	}
	return nil
}

// playlistIn reads and checks a recording's playlist.
func playlistIn(t *testing.T, dir, name string) *hlscheck.Playlist {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	p := parseChecked(t, b)
	require.Equal(t, "VOD", p.Type)
	require.True(t, p.Ended)
	require.NotContains(t, string(b), "EXT-X-PART")
	return p
}

// TestRecording: the playlist is hidden until Close, but whole at any time; what
// is recorded is what a Writer in memory makes.
func TestRecording(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "2026-01-02")
			w, err := NewWriter(serveStream.Tracks(), Options{Container: container, Dir: dir, Record: "x y.m3u8"})
			require.NoError(t, err)
			began := time.Now()
			require.NoError(t, recordFrames(t, w, 0, 31*time.Second))
			require.NoFileExists(t, filepath.Join(dir, "x y.m3u8"))
			p := playlistIn(t, dir, ".x y.m3u8")
			require.Len(t, p.Segments, 15)
			require.Equal(t, "EVENT", parse(t, request(w, "GET", container.playlist(), "").Body.Bytes()).Type)
			for _, f := range w.files {
				require.True(t, f.stored.Load() && (f.reused || f.content.Load() == nil), "%s is in memory", f.name)
			}

			require.NoError(t, w.Close())
			p = playlistIn(t, dir, "x y.m3u8")
			require.Len(t, p.Segments, 16)
			s := w.Stats()
			require.Equal(t, p.Total(), s.Duration)
			require.InDelta(t, 31*time.Second, s.Duration, float64(40*time.Millisecond))
			var bytes uint64
			for i, g := range p.Segments {
				b, err := os.ReadFile(filepath.Join(dir, g.URI))
				require.NoError(t, err)
				bytes += uint64(len(b))
				require.Equal(t, "x~20y", filepath.Dir(g.URI))
				require.Equal(t, b, request(w, "GET", g.URI, "").Body.Bytes())
				if i > 0 {
					require.WithinDuration(t, p.Segments[i-1].Date.Add(p.Segments[i-1].Duration), g.Date, time.Millisecond)
				}
			}
			require.WithinDuration(t, began, p.Segments[0].Date, 10*time.Second)
			require.Equal(t, bytes, s.Bytes)
			more := 1 // the playlist
			if container == FMP4 {
				more++
				require.Equal(t, "x~20y/init.mp4", p.Segments[0].Map)
			}
			require.Len(t, filesIn(t, dir), 16+more)
			require.NoError(t, w.Purge())
			require.Len(t, filesIn(t, dir), 16+more)
		})
	}
}

// TestRecordingKilled: what is there without Close plays up to the last segment,
// and is in the way of none but the same name.
func TestRecordingKilled(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Record: "a.m3u8"}
	w, err := NewWriter(serveStream.Tracks(), o)
	require.NoError(t, err)
	require.NoError(t, recordFrames(t, w, 0, 11*time.Second))
	require.Equal(t, 10*time.Second, playlistIn(t, dir, ".a.m3u8").Total())

	_, err = NewWriter(serveStream.Tracks(), o)
	require.ErrorIs(t, err, fs.ErrExist)
	o.Record = "b.m3u8"
	other, err := NewWriter(serveStream.Tracks(), o)
	require.NoError(t, err)
	require.NoError(t, recordFrames(t, other, 0, 5*time.Second))
	require.NoError(t, other.Close())

	foreign := filepath.Join(dir, "a", "notes.ts")
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	require.NoError(t, RemoveRecording(dir, "a.m3u8"))
	require.FileExists(t, foreign)
	require.NoError(t, os.Remove(foreign))
	require.NoError(t, RemoveRecording(dir, "a.m3u8"))
	require.NoDirExists(t, filepath.Join(dir, "a"))
	require.NoFileExists(t, filepath.Join(dir, ".a.m3u8"))
	require.Equal(t, 5*time.Second, playlistIn(t, dir, "b.m3u8").Total().Round(100*time.Millisecond))
	require.NoError(t, RemoveRecording(dir, "b.m3u8"))
	require.Empty(t, filesIn(t, dir))
}

// TestRecordingFails: a disk that fails ends the recording, and what was written
// before is one (limits M5).
func TestRecordingFails(t *testing.T) {
	t.Run("segment", func(t *testing.T) {
		dir := t.TempDir()
		w, err := NewWriter(serveStream.Tracks(), Options{Dir: dir, Record: "a.m3u8"})
		require.NoError(t, err)
		require.NoError(t, recordFrames(t, w, 0, 9*time.Second))
		block(t, filepath.Join(dir, "a", ".00004.ts.tmp"))
		err = recordFrames(t, w, 9*time.Second, 31*time.Second)
		require.Error(t, err)
		require.EqualValues(t, 1, w.Stats().DiskErrors)
		require.Error(t, w.Close())
		require.Len(t, playlistIn(t, dir, "a.m3u8").Segments, 4)
	})
	t.Run("playlist", func(t *testing.T) {
		dir := t.TempDir()
		w, err := NewWriter(serveStream.Tracks(), Options{Dir: dir, Record: "a.m3u8"})
		require.NoError(t, err)
		require.NoError(t, recordFrames(t, w, 0, 9*time.Second))
		block(t, filepath.Join(dir, "..a.m3u8.tmp"))
		require.Error(t, recordFrames(t, w, 9*time.Second, 31*time.Second))
		require.Error(t, w.Close())
		require.Len(t, playlistIn(t, dir, "a.m3u8").Segments, 4)
		require.NoFileExists(t, filepath.Join(dir, "a", "00004.ts"), "no list has it")
	})
	t.Run("at once", func(t *testing.T) {
		dir := t.TempDir()
		w, err := NewWriter(serveStream.Tracks(), Options{Dir: dir, Record: "a.m3u8", Container: FMP4})
		require.NoError(t, err)
		block(t, filepath.Join(dir, "a", ".00000.mp4.tmp"))
		require.Error(t, recordFrames(t, w, 0, 31*time.Second))
		require.Error(t, w.Close())
		require.NoFileExists(t, filepath.Join(dir, "a.m3u8"))
		require.NoFileExists(t, filepath.Join(dir, "a", "init.mp4"))
	})
	t.Run("folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		_, err := NewWriter(serveStream.Tracks(), Options{Dir: file, Record: "a.m3u8"})
		require.Error(t, err)
	})
}

// block makes a file that is called so impossible: a folder that is not empty is.
func block(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(name, "in the way"), 0o755))
}

// Without a segment nothing is left.
func TestRecordingEmpty(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(serveStream.Tracks(), Options{Dir: dir, Record: "a.m3u8", Container: FMP4})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.Empty(t, filesIn(t, dir))
	require.NoDirExists(t, filepath.Join(dir, "a"))
}

// TestRecordingNames: a name cannot lead out of the folder, nor mean something in a
// URI (limits M7, H13).
func TestRecordingNames(t *testing.T) {
	for name, good := range map[string]bool{
		"a.m3u8": true, "2026-01-02-03-04-05-0.m3u8": true, "käse 1.m3u8": true, "a.b.m3u8": true, "a%2f.m3u8": true, "a#.m3u8": true,
		"": false, ".m3u8": false, "a": false, "a.M3U8": false, ".a.m3u8": false, "../a.m3u8": false, "a/b.m3u8": false,
		`a\b.m3u8`: false, "a\n.m3u8": false, "a?.m3u8": false, "c:a.m3u8": false,
		strings.Repeat("a", 300) + ".m3u8": false,
	} {
		require.Equal(t, good, isRecordName(name), name)
		if !good {
			require.ErrorIs(t, RemoveRecording(t.TempDir(), name), fs.ErrInvalid)
		}
	}
	_, err := NewWriter(serveStream.Tracks(), Options{Dir: t.TempDir(), Record: "../a.m3u8"})
	require.ErrorIs(t, err, fs.ErrInvalid)
	require.NoError(t, RemoveRecording(filepath.Join(t.TempDir(), "none"), "a.m3u8"))

	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "00000.ts")
	require.NoError(t, os.WriteFile(victim, nil, 0o600))
	if os.Symlink(outside, filepath.Join(dir, "a")) == nil {
		require.NoError(t, RemoveRecording(dir, "a.m3u8"))
		require.FileExists(t, victim)
	}
}
