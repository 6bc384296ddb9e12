package player

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/source"
)

// openBelow returns how many files and folders below root this process has open.
func openBelow(t *testing.T, root string) (n int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, root) {
			n++
		}
	}
	return n
}

// playFilm plays a film as for HLS.
func playFilm(t *testing.T, root, stream string) (source.Reader, medium, rester) {
	t.Helper()
	req := asked(stream, "")
	req.Schema = "hls"
	r, err := (&VOD{Root: root}).Play(t.Context(), req)
	require.NoError(t, err)
	m, ok := source.As[medium](r)
	require.True(t, ok)
	return r, m, m.(rester)
}

// A film that rested is the same, from wherever it is sought. Nothing is open
// meanwhile.
func TestVODRest(t *testing.T) {
	root := vault(t)
	for _, stream := range []string{"cam/a.flv", "cam/a.ts", "cam/a.mpg", "cam/a.mp4", "cam/a.mov", "day", "cam/a.mp4;cam/a.flv"} {
		r, m, sleeper := playFilm(t, root, stream)
		keys, err := m.KeyTimes(t.Context())
		require.NoError(t, err)
		length, tracks := m.Duration(), m.Tracks()
		last := keys[len(keys)-1]
		for _, at := range []time.Duration{0, last, keys[len(keys)/2], last, 0} {
			got, err := m.Seek(t.Context(), at)
			require.NoError(t, err)
			require.Equal(t, at, got, stream)
			want, _ := containertest.ReadAll(m)
			if runtime.GOOS == "linux" {
				require.Positive(t, openBelow(t, root))
			}
			sleeper.Rest()
			sleeper.Rest()
			require.Zero(t, openBelow(t, root))
			require.Equal(t, length, m.Duration())
			require.Equal(t, len(tracks), len(m.Tracks()))

			got, err = m.Seek(t.Context(), at)
			require.NoError(t, err)
			require.Equal(t, at, got, stream)
			frames, _ := containertest.ReadAll(m)
			require.Equal(t, len(want), len(frames))
			for i, f := range frames {
				require.Equal(t, want[i].DTS, f.DTS)
				require.Equal(t, want[i].Data, f.Data)
			}
		}
		sleeper.Rest()
		again, err := m.KeyTimes(t.Context())
		require.NoError(t, err)
		require.Equal(t, keys, again)
		sleeper.Rest()
		require.NoError(t, r.Close())
		sleeper.Rest()
		_, err = m.Seek(t.Context(), 0)
		require.ErrorIs(t, err, source.ErrClosed)
		require.NoError(t, r.Close())
		require.Zero(t, openBelow(t, root))
	}
}

// Under the name of a film that rested there may be another one, or none. One that
// has grown is the same.
func TestVODRestReplaced(t *testing.T) {
	root := vault(t)
	name := filepath.Join(root, "record", "cam", "a.flv")
	r, m, sleeper := playFilm(t, root, "cam/a.flv")
	defer r.Close()
	sleeper.Rest()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 100))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = m.Seek(t.Context(), 0)
	require.NoError(t, err)

	sleeper.Rest()
	require.NoError(t, os.Rename(name, name+".old"))
	_, err = m.Seek(t.Context(), 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
	makeFilm(t, filmLength, root, "record/cam/a.flv")
	_, err = m.Seek(t.Context(), 0)
	require.ErrorIs(t, err, source.ErrNotFound)
	_, err = m.ReadFrame(t.Context())
	require.ErrorIs(t, err, source.ErrNotFound)
	require.Zero(t, openBelow(t, root))
	require.NoError(t, os.Rename(name+".old", name))
	_, err = m.Seek(t.Context(), 0)
	require.NoError(t, err)
}

// TestVODFlood: however many viewers somebody makes up by HLS, there are not as many
// open files. They are sessions, all the same, that go on.
func TestVODFlood(t *testing.T) {
	root := vault(t)
	synctest.Test(t, func(t *testing.T) {
		v := &VOD{Root: root}
		h := &hls.Handler{Handler: v}
		get := func(viewer int, path string) string {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/record/"+path, nil)
			r.Header.Set("User-Agent", strconv.Itoa(viewer))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code, path)
			return w.Body.String()
		}
		const crowd = 300
		names := []string{"cam/a.flv", "cam/a.ts", "cam/a.mpg", "cam/a.mp4", "day", "cam/a.mp4;day"}
		lists := make([]string, crowd)
		for i := range lists {
			lists[i] = get(i, names[i%5]+"/hls.m3u8")
			require.LessOrEqual(t, openBelow(t, root), 64)
		}
		require.Len(t, v.Sessions(), crowd)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Zero(t, openBelow(t, root))
		for i, list := range lists[:2*len(names)] {
			for line := range strings.Lines(list) {
				if !strings.HasPrefix(line, "#") {
					require.NotEmpty(t, get(i, names[i%5]+"/"+strings.TrimSpace(line)))
				}
			}
		}
		require.Len(t, v.Sessions(), crowd)
		require.NoError(t, h.Shutdown(t.Context()))
		require.Empty(t, v.Sessions())
		require.Zero(t, openBelow(t, root))
		require.NoError(t, v.Close())
	})
}
