package player

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/source"
)

// A shop is a server with one file, which breaks connections off.
type shop struct {
	mu       sync.Mutex
	file     []byte
	tag      string
	modified time.Time
	cut      int  // bytes after which the next answer ends; 0: none
	deaf     bool // it knows no ranges
	ranges   []string
	code     int // instead of the file
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.code != 0 {
		w.WriteHeader(s.code)
		return
	}
	if s.tag != "" {
		w.Header().Set("ETag", s.tag)
	}
	if s.deaf {
		r.Header.Del("Range")
	}
	cut := s.cut
	s.cut = 0
	if cut > 0 {
		w = &cutter{w, cut}
	}
	http.ServeContent(w, r, "", s.modified, bytes.NewReader(s.file))
}

// A cutter breaks a connection off after some bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func randomFile(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestDownload(t *testing.T) {
	const size = 300_000
	old, other := randomFile(1, size), randomFile(2, size)
	longer := append(bytes.Clone(old), 1)
	when := time.Date(2020, 3, 28, 11, 9, 38, 0, time.UTC)
	for _, c := range []struct {
		name   string
		shop   *shop
		change func(s *shop) // before the second call of Download
		calls  int           // the first one of two is cut short
		ranges []string
	}{
		{"at once", &shop{file: old, tag: `"a"`}, nil, 1, []string{""}},
		{"empty", &shop{}, nil, 1, []string{""}},
		{"broken off", &shop{file: old, tag: `"a"`, cut: 100_000}, nil, 1, []string{"", "bytes=100000-"}},
		{"goes on later", &shop{file: old, tag: `"a"`, cut: 100_000}, nil, 2, []string{"", "bytes=100000-"}},
		{"by its time", &shop{file: old, modified: when, cut: 100_000}, nil, 2, []string{"", "bytes=100000-"}},
		{"by its size", &shop{file: old, cut: 100_000}, nil, 2, []string{"", "bytes=100000-"}},
		{"a weak tag is none", &shop{file: old, tag: `W/"a"`, modified: when, cut: 100_000}, nil, 2, []string{"", "bytes=100000-"}},
		{"another file", &shop{file: old, tag: `"a"`, cut: 100_000}, func(s *shop) { s.file, s.tag = other, `"b"` }, 2, []string{"", "bytes=100000-"}},
		{"another size", &shop{file: old, cut: 100_000}, func(s *shop) { s.file = longer }, 2, []string{"", "bytes=100000-", ""}},
		{"shorter than what is there", &shop{file: old, cut: 100_000}, func(s *shop) { s.file = other[:50_000] }, 2, []string{"", "bytes=100000-", ""}},
		{"no ranges", &shop{file: old, tag: `"a"`, cut: 100_000, deaf: true}, nil, 2, []string{"", "bytes=100000-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.shop)
			defer srv.Close()
			path := filepath.Join(t.TempDir(), "a.bin")
			var have, total int64
			o := &DownloadOptions{Attempts: 2, Progress: func(h, n int64) { have, total = h, n }}
			if c.calls == 2 {
				one := *o
				one.Attempts = 1
				require.Error(t, Download(filmtest.Soon(t), srv.URL+"/a", path, &one))
				require.NoFileExists(t, path)
				if c.change != nil {
					c.change(c.shop)
				}
			}
			require.NoError(t, Download(filmtest.Soon(t), srv.URL+"/a", path, o))
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.shop.file, got))
			require.Equal(t, c.ranges, c.shop.ranges)
			require.EqualValues(t, len(got), have)
			require.EqualValues(t, len(got), total)
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, left, 1, "nothing else is left")
		})
	}
}

// A part that is whole, because only the end was lost, is not fetched again.
func TestDownloadWhole(t *testing.T) {
	s := &shop{file: randomFile(1, 1000), tag: `"a"`, cut: 999}
	srv := httptest.NewServer(s)
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "a.bin")
	require.Error(t, Download(filmtest.Soon(t), srv.URL, path, &DownloadOptions{Attempts: 1}))
	require.NoError(t, os.WriteFile(path+partSuffix, s.file, 0o600))
	require.NoError(t, Download(filmtest.Soon(t), srv.URL, path, nil))
	require.Equal(t, []string{"", "bytes=1000-"}, s.ranges)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(s.file, got))
}

// What is left of another URL, or has no note, is not gone on with.
func TestDownloadStrangeParts(t *testing.T) {
	for _, note := range []string{"", "{", `{"source":"x","validator":"\"a\"","size":1000}`} {
		s := &shop{file: randomFile(1, 1000), tag: `"a"`}
		srv := httptest.NewServer(s)
		path := filepath.Join(t.TempDir(), "a.bin")
		require.NoError(t, os.WriteFile(path+partSuffix, []byte("something else"), 0o600))
		if note != "" {
			require.NoError(t, os.WriteFile(path+noteSuffix, []byte(note), 0o600))
		}
		require.NoError(t, Download(filmtest.Soon(t), srv.URL, path, nil))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(s.file, got))
		srv.Close()
	}
}

func TestDownloadRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		shop *shop
		o    DownloadOptions
		err  error
	}{
		{"missing", &shop{code: 404}, DownloadOptions{}, source.ErrNotFound},
		{"failing", &shop{code: 503}, DownloadOptions{Attempts: 2}, source.ErrLimit},
		{"too large", &shop{file: make([]byte, 1000)}, DownloadOptions{MaxSize: 999}, source.ErrLimit},
	} {
		srv := httptest.NewServer(c.shop)
		require.ErrorIs(t, Download(filmtest.Soon(t), srv.URL, filepath.Join(dir, "a"), &c.o), c.err, c.name)
		srv.Close()
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, left, c.name)
		require.Len(t, c.shop.ranges, max(1, c.o.Attempts), c.name)
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	require.ErrorIs(t, Download(filmtest.Soon(t), endless.URL, filepath.Join(dir, "a"), &DownloadOptions{MaxSize: 100_000}), source.ErrLimit)
	require.ErrorIs(t, Download(filmtest.Soon(t), "file:///etc/passwd", filepath.Join(dir, "a"), nil), source.ErrUnsupported)
	require.ErrorIs(t, Download(filmtest.Soon(t), "http://", filepath.Join(dir, "a"), nil), source.ErrBadKey)
	require.ErrorIs(t, Download(filmtest.Soon(t), endless.URL, filepath.Join(dir, "none", "a"), nil), fs.ErrNotExist)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// When ctx ends, what has come stays.
func TestDownloadContext(t *testing.T) {
	file := randomFile(1, 100_000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(file)))
		_, _ = w.Write(file[:50_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "a")
	ctx, cancel := context.WithCancel(t.Context())
	err := Download(ctx, srv.URL, path, &DownloadOptions{Progress: func(have, _ int64) {
		if have == 50_000 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	part, err := os.ReadFile(path + partSuffix)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file[:50_000], part))
	err = Download(t.Context(), srv.URL, filepath.Join(t.TempDir(), "b"), &DownloadOptions{ReadTimeout: 20 * time.Millisecond, Attempts: 1})
	require.ErrorIs(t, err, source.ErrTimeout)
}

func ExampleDownload() {
	srv := httptest.NewServer(&shop{file: make([]byte, 100_000), tag: `"1"`})
	defer srv.Close()
	dir, err := os.MkdirTemp("", "download")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	err = Download(context.Background(), srv.URL+"/film.mp4", filepath.Join(dir, "film.mp4"), &DownloadOptions{MaxSize: 1 << 30})
	fmt.Println(err)
	info, err := os.Stat(filepath.Join(dir, "film.mp4"))
	fmt.Println(info.Size(), err)
	// Output:
	// <nil>
	// 100000 <nil>
}
