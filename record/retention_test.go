package record

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// A shelf is a folder with recordings of 1000 bytes, each an hour older than the
// one before, and with what is none.
type shelf struct {
	t       testing.TB
	root    string
	outside string
	rs      *Recorders
	others  int
}

func (s *shelf) put(name string, size int, age time.Duration) {
	s.t.Helper()
	path := filepath.Join(s.root, filepath.FromSlash(name))
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, make([]byte, size), 0o600))
	at := time.Now().Add(-age)
	require.NoError(s.t, os.Chtimes(path, at, at))
}

func newShelf(t testing.TB) *shelf {
	s := &shelf{t: t, root: t.TempDir(), outside: t.TempDir()}
	s.rs = &Recorders{Root: s.root}
	s.put("record/live/a/2026-11-22/2026-11-22-12-00-00-0.mp4", 1000, 0)
	s.put("record/live/a/2026-11-22/2026-11-22-11-00-00-0.flv", 1000, time.Hour)
	s.put("record/live/b/c/2026-11-22/10-00-00.ts", 1000, 2*time.Hour)
	s.put("tv.example/record/live/a/2026-11-22/09-00-00.mp4", 1000, 3*time.Hour)
	s.put("record/live/a/2026-11-22/08-00-00.m3u8", 100, 4*time.Hour)
	s.put("record/live/a/2026-11-22/08-00-00/00000.ts", 500, 4*time.Hour)
	s.put("record/live/a/2026-11-22/08-00-00/00001.ts", 400, 4*time.Hour)
	s.put("record/live/a/2026-11-21/12-00-00.mp4", 1000, 5*time.Hour)
	for _, name := range []string{
		"2026-11-22/12-00-00.mp4", "other/live/a/2026-11-22/12-00-00.mp4", "record/live/a/2026-11-22/holiday.mp4", "record/live/a/holiday.mp4",
		"record/live/a/2026-11-22/12-00-00.mp4.bak", "record/live/a/2026-11-22/keep/12-00-00.mp4", "record/live/a/2026-11-32/12-00-00.mp4",
		"record/index.html",
	} {
		s.put(name, 1000, 100*time.Hour)
		s.others++
	}
	require.NoError(t, os.Mkdir(filepath.Join(s.root, "record/live/a/2026-11-22/07-00-00.mp4"), 0o755))
	victim := filepath.Join(s.outside, "2026-11-22", "12-00-00.mp4")
	require.NoError(t, os.Mkdir(filepath.Dir(victim), 0o755))
	require.NoError(t, os.WriteFile(victim, []byte("x"), 0o600))
	if os.Symlink(s.outside, filepath.Join(s.root, "record/live/link")) == nil {
		require.NoError(t, os.Symlink(victim, filepath.Join(s.root, "record/live/a/2026-11-22/06-00-00.mp4")))
		require.NoError(t, os.Symlink(filepath.Join(s.root, "other"), filepath.Join(s.root, "record/live/inside")))
		require.NoError(t, os.Symlink(filepath.Join(s.root, "other"), filepath.Join(s.root, "vhost")))
		s.others += 4
	}
	return s
}

// requireLeft fails unless so many recordings are left, and all else.
func (s *shelf) requireLeft(n int) {
	s.t.Helper()
	require.Len(s.t, tree(s.t, s.root), n+s.others)
	require.Len(s.t, tree(s.t, s.outside), 1)
}

// TestClean: the oldest go, by age and by size, and nothing else does.
func TestClean(t *testing.T) {
	for name, c := range map[string]struct {
		r    Retention
		want []string // gone
		left int      // files
	}{
		"nothing":  {Retention{}, nil, 8},
		"too old":  {Retention{MaxAge: 3*time.Hour + time.Minute}, []string{"record/live/a/2026-11-21/12-00-00.mp4", "record/live/a/2026-11-22/08-00-00.m3u8"}, 4},
		"too much": {Retention{MaxBytes: 5500}, []string{"record/live/a/2026-11-21/12-00-00.mp4"}, 7},
		"both": {Retention{MaxBytes: 3000, MaxAge: 5 * time.Hour}, []string{
			"record/live/a/2026-11-21/12-00-00.mp4", "record/live/a/2026-11-22/08-00-00.m3u8", "tv.example/record/live/a/2026-11-22/09-00-00.mp4",
		}, 3},
		"enough": {Retention{MaxBytes: 6000, MaxAge: 6 * time.Hour}, nil, 8},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			var size int64
			for range c.want {
				size += 1000
			}
			for _, dry := range []bool{true, false} {
				if dry {
					defer s.requireLeft(c.left)
				}
				gone, err := s.rs.Clean(c.r, dry)
				require.NoError(t, err)
				require.Equal(t, Cleaned{len(c.want), size, c.want}, gone)
				if dry {
					s.requireLeft(8)
				}
			}
			if name == "too old" {
				require.NoDirExists(t, filepath.Join(s.root, "record/live/a/2026-11-21"), "an empty folder goes, too")
			}
			gone, err := s.rs.Clean(c.r, false)
			require.NoError(t, err)
			require.Zero(t, gone.Files)
		})
	}
	_, err := (&Recorders{Root: filepath.Join(t.TempDir(), "none")}).Clean(Retention{MaxBytes: 1}, false)
	require.NoError(t, err)
}

// TestCleanUnfinished: what is being written counts, and stays.
func TestCleanUnfinished(t *testing.T) {
	s := newShelf(t)
	s.put("record/live/a/2026-11-22/.13-00-00.mp4", 10_000, 10*time.Hour)
	gone, err := s.rs.Clean(Retention{MaxBytes: 1000, MaxAge: time.Hour}, false)
	require.NoError(t, err)
	require.Equal(t, 6, gone.Files)
	require.FileExists(t, filepath.Join(s.root, "record/live/a/2026-11-22/.13-00-00.mp4"))
}

// TestFiles lists and deletes what there is of one stream.
func TestFiles(t *testing.T) {
	s := newShelf(t)
	a := source.Key{App: "live", Stream: "a"}
	days, err := s.rs.Days(a, "2026-11")
	require.NoError(t, err)
	require.Equal(t, []string{"2026-11-21", "2026-11-22"}, days)
	names, err := s.rs.Files(a, "2026-11-22")
	require.NoError(t, err)
	require.Equal(t, []string{"08-00-00.m3u8", "2026-11-22-11-00-00-0.flv", "2026-11-22-12-00-00-0.mp4"}, names)
	names, err = s.rs.Files(source.Key{Vhost: "tv.example", App: "live", Stream: "a"}, "2026-11-22")
	require.NoError(t, err)
	require.Equal(t, []string{"09-00-00.mp4"}, names)

	for _, c := range []struct {
		key       source.Key
		day, name string
	}{
		{source.Key{App: "live", Stream: "link"}, "2026-11-22", ""},
		{source.Key{App: "live", Stream: "link"}, "", ""},
		{source.Key{App: "live", Stream: "inside/live/a"}, "", ""},
		{source.Key{Vhost: "vhost", App: "live", Stream: "a"}, "", ""},
		{a, "..", ""},
		{a, "../a/2026-11-22", ""},
		{a, "2026-11-20", ""},
		{a, "2026-11-22", "holiday.mp4"},
		{a, "2026-11-22", "../2026-11-21/12-00-00.mp4"},
		{a, "2026-11-22", "06-00-00.mp4"},
	} {
		gone, err := s.rs.Delete(c.key, c.day, c.name, false)
		require.NoError(t, err)
		require.Zero(t, gone.Files, "%+v", c)
	}
	_, err = s.rs.Delete(source.Key{App: "..", Stream: "x"}, "", "", false)
	require.ErrorIs(t, err, source.ErrBadKey)
	s.requireLeft(8)

	for _, c := range []struct {
		day, name string
		dry       bool
		files     int
		left      int
	}{
		{"2026-11-22", "", true, 3, 8},
		{"2026-11-22", "2026-11-22-11-00-00-0.flv", false, 1, 7},
		{"2026-11-22", "08-00-00.m3u8", false, 1, 4},
		{"", "", false, 2, 2},
	} {
		gone, err := s.rs.Delete(a, c.day, c.name, c.dry)
		require.NoError(t, err)
		require.Equal(t, c.files, gone.Files)
		require.EqualValues(t, 1000*c.files, gone.Bytes)
		s.requireLeft(c.left)
	}
}
