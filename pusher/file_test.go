package pusher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// readFile returns the frames of a file, told by what it begins with.
func readFile(t *testing.T, path string) (fs []*codec.Frame) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	head := make([]byte, 8)
	_, err = f.ReadAt(head, 0)
	require.NoError(t, err)
	var r source.Reader
	switch {
	case string(head[:3]) == "FLV":
		r = flv.NewReader(f)
	case head[0] == 0x47:
		r = ts.NewReader(f)
	case string(head[:4]) == "\x00\x00\x01\xba":
		r = ps.NewReader(f)
	case string(head[4:]) == "ftyp":
		r, err = mp4.NewFile(f, info.Size())
		require.NoError(t, err)
	default:
		t.Fatalf("%s begins with %x", path, head)
	}
	defer r.Close()
	for f, err := range source.Frames(t.Context(), r) {
		require.NoError(t, err)
		fs = append(fs, f)
	}
	return fs
}

// Every kind of file holds what was written, and replaces one that is there.
func TestCreateFile(t *testing.T) {
	dir := t.TempDir()
	fileURL := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "a b.flv"))}
	if runtime.GOOS == "windows" {
		fileURL.Path = "/" + fileURL.Path
	}
	hevc := testmedia.Stream{Video: codec.H265, Audio: codec.AAC, GOP: time.Second}
	for _, c := range []struct {
		name   string
		client Client
		url    string
		path   string // what is there to be read; segments of it in their order
		has    string // what it contains
	}{
		{"FLV", Client{}, filepath.Join(dir, "a.flv"), "a.flv", "hvc1"},
		{"by its URL", Client{}, fileURL.String(), "a b.flv", "hvc1"},
		{"legacy ids", Client{Form: flv.FormLegacy}, filepath.Join(dir, "l.FLV"), "l.FLV", "FLV\x01"},
		{"no extension", Client{}, filepath.Join(dir, "pipe"), "pipe", "hvc1"},
		{"a file is not created again", Client{Retry: &source.Backoff{}}, filepath.Join(dir, "r.flv"), "r.flv", "hvc1"},
		{"MP4", Client{}, filepath.Join(dir, "a.mp4"), "a.mp4", "moov"},
		{"MP4 in fragments", Client{Layout: mp4.LayoutFragmented}, filepath.Join(dir, "f.m4v"), "f.m4v", "moof"},
		{"TS", Client{}, filepath.Join(dir, "a.ts"), "a.ts", "\x47"},
		{"PS", Client{}, filepath.Join(dir, "a.mpg"), "a.mpg", "\x00\x00\x01\xba"},
		{"HLS", Client{Segment: time.Second}, filepath.Join(dir, "a.m3u8"), "a/*.ts", "\x47"},
		{"HLS with MP4", Client{Segment: time.Second}, filepath.Join(dir, "a.fmp4.m3u8"), "a.fmp4/*", "moof"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := hevc.Take(3 * time.Second)
			for range 2 {
				w, err := c.client.Create(t.Context(), c.url, hevc.Tracks())
				require.NoError(t, err)
				for _, f := range want {
					require.NoError(t, w.WriteFrame(t.Context(), f))
				}
				require.NoError(t, w.Close())
			}
			paths, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(c.path)))
			require.NoError(t, err)
			require.NotEmpty(t, paths)
			whole := joined(t, paths)
			require.Contains(t, string(whole), c.has)
			require.Equal(t, c.client.Form != flv.FormLegacy && c.has != "\x47" && c.name != "PS", bytes.Contains(whole, []byte("hvc1")))
			if strings.Contains(c.path, "/") {
				require.Greater(t, len(paths), 2)
				playlist, err := os.ReadFile(c.url)
				require.NoError(t, err)
				require.Contains(t, string(playlist), "#EXT-X-ENDLIST")
			}
			path := filepath.Join(t.TempDir(), "whole")
			require.NoError(t, os.WriteFile(path, whole, 0o600))
			got := readFile(t, path)
			require.Len(t, got, len(want))
			require.Equal(t, ofVideo(want), ofVideo(got))
		})
	}
}

// ofVideo returns the pictures' data.
func ofVideo(fs []*codec.Frame) (all [][]byte) {
	for _, f := range fs {
		if f.Track.Kind() == codec.KindVideo {
			all = append(all, f.Data)
		}
	}
	return all
}

// joined returns the files one after the other, an initialization segment first.
func joined(t *testing.T, paths []string) []byte {
	t.Helper()
	var head, rest []byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		if strings.HasPrefix(filepath.Base(p), "init") {
			head = b
		} else {
			rest = append(rest, b...)
		}
	}
	return append(head, rest...)
}

// Tracks that a file cannot hold are left out, which is logged; without any other
// there is no file.
func TestCreateFileLeavesOut(t *testing.T) {
	dir := t.TempDir()
	vp8, aac := testmedia.Track(1, codec.VP8), testmedia.Track(2, codec.AAC)
	for name, left := range map[string]int{"a.ts": 1, "a.m3u8": 1, "a.PS": 1, "a.mp4": 0} {
		var log bytes.Buffer
		c := &Client{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		path := filepath.Join(dir, name)
		w, err := c.Create(t.Context(), path, []*codec.Track{vp8, aac})
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.Equal(t, left, strings.Count(log.String(), "track left out"), name)
	}
	opaque := &codec.Track{ID: 1, Codec: codec.Opaque, Wire: "rtp"}
	for _, name := range []string{"b.mp4", "b.m3u8"} {
		_, err := Create(t.Context(), filepath.Join(dir, name), []*codec.Track{opaque})
		require.ErrorIs(t, err, source.ErrUnsupported)
		require.NoFileExists(t, filepath.Join(dir, name))
	}
}

// A stream is pushed to a file while it lasts.
func TestProxyToFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.mp4")
	hub := &source.Hub{}
	defer hub.Close()
	proxies := &Proxies{Hub: hub}
	defer proxies.Close()
	id, err := proxies.Add(Proxy{Key: cam, URL: path})
	require.NoError(t, err)
	pub, err := hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Key: cam})
	require.NoError(t, err)
	require.NoError(t, pub.SetTracks(film.Tracks(), true))
	frames := film.Take(2 * time.Second)
	require.NoError(t, pub.WriteFrame(context.Background(), frames[0]))
	require.NoError(t, eventually(func() bool {
		st, _ := proxies.Stats(id)
		return st.Status() == "live"
	}))
	for _, f := range frames[1:] {
		require.NoError(t, pub.WriteFrame(context.Background(), f))
	}
	require.NoError(t, pub.Close())
	require.NoError(t, eventually(func() bool {
		st, _ := proxies.Stats(id)
		return st.Status() == "ended" && errors.Is(st.State.Err, io.EOF)
	}))
	require.Len(t, readFile(t, path), len(frames))
}

// eventually waits until ok holds.
func eventually(ok func() bool) error {
	for range 30_000 {
		if ok() {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("waited in vain")
}
