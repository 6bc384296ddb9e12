package record

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// abandon writes so much of the film and leaves the file as a process does that is
// killed then. It returns a copy of the folder.
func abandon(t testing.TB, o Options, d time.Duration) (root string) {
	t.Helper()
	g := newRig(t, o, film.Tracks())
	g.write(film.Take(d)...)
	root = t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS(g.root)))
	_ = g.w.Close()
	old := time.Now().Add(-time.Minute) // where systems have no locks
	for _, name := range tree(t, root) {
		require.NoError(t, os.Chtimes(filepath.Join(root, name), old, old))
	}
	return root
}

// TestRecover: what a process that was killed has left plays but for the last
// fragment, and gets its name.
func TestRecover(t *testing.T) {
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			for i, d := range []time.Duration{5 * time.Second, 7300 * ms, 100 * ms, 0} {
				root := abandon(t, o, d)
				var log log
				rs := &Recorders{Root: root, OnEvent: log.add}
				files, err := rs.Recover(t.Context())
				require.NoError(t, err)
				if i >= 2 {
					require.Empty(t, files)
					for _, name := range tree(t, root) {
						require.NotContains(t, name, "/.", "nothing plays")
					}
					continue
				}
				require.Len(t, files, 1)
				f := files[0]
				require.True(t, f.Recovered)
				require.Equal(t, "record/live/t/2026-11-22/2026-11-22-12-00-00-0"+o.Format.extension(), f.Name)
				frames := readRecording(t, f.Path)
				require.True(t, frames[0].Key())
				require.Greater(t, f.Duration, d-3*time.Second)
				require.InDelta(t, frames[len(frames)-1].DTS-frames[0].DTS, f.Duration, float64(100*ms))
				require.Equal(t, []File{f}, log.files())
				require.Equal(t, testKey, log.events()[0].Key)
				require.Equal(t, o.Format, log.events()[0].Format)
				if !o.Format.segmented() {
					require.Len(t, f.Tracks, 2)
				}
				files, err = rs.Recover(t.Context())
				require.NoError(t, err)
				require.Empty(t, files)
			}
		})
	}
}

// TestRecoverCut cuts what was left anywhere, and puts nonsense at its end: it
// plays as far as it is whole.
func TestRecoverCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, o := range []Options{{Format: MP4}, {Format: MP4, Layout: formats["MP4 fragmented"].Layout}, {Format: FLV}, {Format: TS}} {
		root := abandon(t, o, 9*time.Second)
		hidden := filepath.Join(root, tree(t, root)[0])
		whole, err := os.ReadFile(hidden)
		require.NoError(t, err)
		for range 30 {
			n := random.IntN(len(whole))
			b := append(bytes.Clone(whole[:n]), make([]byte, random.IntN(100))...)
			require.NoError(t, os.WriteFile(hidden, b, 0o600))
			file, err := recoverFile(rootDisk(root), "record/live/t/2026-11-22/"+filepath.Base(hidden), true, false)
			require.NoError(t, err)
			if file.Name == "" {
				require.Less(t, n, 200_000)
				require.NoFileExists(t, hidden)
				continue
			}
			frames := readRecording(t, file.Path)
			require.NotEmpty(t, frames, "%v cut at %d", o.Format, n)
			require.NoError(t, os.Remove(file.Path))
		}
	}
}

// TestRecoverOthers: what somebody writes is left alone, and what is not ours.
func TestRecoverOthers(t *testing.T) {
	g := newRig(t, Options{Format: FLV}, film.Tracks())
	g.write(film.Take(5 * time.Second)...)
	dir := filepath.Join(g.root, "record", "live", "t")
	outside := t.TempDir()
	for _, name := range []string{filepath.Join(g.root, ".x.mp4"), filepath.Join(outside, ".x.mp4"), filepath.Join(dir, ".notes.txt"), filepath.Join(dir, "x.mp4")} {
		require.NoError(t, os.WriteFile(name, []byte("x"), 0o600))
	}
	linked := os.Symlink(outside, filepath.Join(dir, "link")) == nil &&
		os.Symlink(filepath.Join(outside, ".x.mp4"), filepath.Join(dir, ".y.mp4")) == nil
	before := tree(t, g.root)
	files, err := (&Recorders{Root: g.root}).Recover(t.Context())
	require.NoError(t, err)
	require.Empty(t, files)
	require.Equal(t, before, tree(t, g.root))
	require.Len(t, tree(t, outside), 1)
	if linked {
		require.Len(t, before, 6)
	}
	require.Len(t, g.close(), 1)
	_, err = (&Recorders{Root: filepath.Join(outside, "none")}).Recover(t.Context())
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(outside, "none"))
}

// TestRecoverLock: a lock alone says that there is nothing to play, unless the
// playlist is finished.
func TestRecoverLock(t *testing.T) {
	for _, finished := range []bool{false, true} {
		root := abandon(t, Options{Format: HLS}, 7*time.Second)
		dir := filepath.Join(root, "record", "live", "t", "2026-11-22")
		left := 0
		if finished {
			files, err := (&Recorders{Root: root}).Recover(t.Context())
			require.NoError(t, err)
			require.Len(t, files, 1)
			left = len(tree(t, root))
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".2026-11-22-12-00-00-0.m3u8.lock"), nil, 0o600))
		} else {
			require.NoError(t, os.Remove(filepath.Join(dir, ".2026-11-22-12-00-00-0.m3u8")))
		}
		for _, name := range tree(t, root) {
			old := time.Now().Add(-time.Minute)
			require.NoError(t, os.Chtimes(filepath.Join(root, name), old, old))
		}
		files, err := (&Recorders{Root: root}).Recover(t.Context())
		require.NoError(t, err)
		require.Empty(t, files)
		require.Len(t, tree(t, root), left)
	}
}

// TestRecoverTaken: the name of what was left has been taken.
func TestRecoverTaken(t *testing.T) {
	root := abandon(t, Options{Format: TS, Names: NamesTime}, 5*time.Second)
	dir := filepath.Join(root, "record", "live", "t", "2026-11-22")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "12-00-00.ts"), []byte("x"), 0o600))
	files, err := (&Recorders{Root: root}).Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "record/live/t/2026-11-22/12-00-00-1.ts", files[0].Name)
}

// TestRecoveredKey: the name of a file tells whose it is.
func TestRecoveredKey(t *testing.T) {
	rs := &Recorders{}
	for name, want := range map[string]source.Key{
		"record/live/t/2026-11-22/12-00-00.mp4":            testKey,
		"record/live/cam/1/2026-11-22/12-00-00.mp4":        {Vhost: source.DefaultVhost, App: "live", Stream: "cam/1"},
		"record/live/t/alarm.mp4":                          testKey,
		"tv.example/record/live/t/2026-11-22/12-00-00.mp4": {Vhost: "tv.example", App: "live", Stream: "t"},
	} {
		require.Equal(t, want, rs.recovered(File{Name: name}).Key)
	}
}

// TestRecoverCopy: the copy that was to become a fast-start file goes.
func TestRecoverCopy(t *testing.T) {
	root := abandon(t, Options{}, 5*time.Second)
	hidden := filepath.Join(root, tree(t, root)[0])
	copied := temporary(hidden)
	require.NoError(t, os.WriteFile(copied, []byte("x"), 0o600))
	old := time.Now().Add(-time.Minute)
	require.NoError(t, os.Chtimes(copied, old, old))
	files, err := (&Recorders{Root: root}).Recover(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Len(t, tree(t, root), 1)
}

// TestServe recovers, cleans, and closes the recordings when it ends.
func TestServe(t *testing.T) {
	root := abandon(t, Options{Format: TS}, 5*time.Second)
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	finished := make(chan File, 1)
	hub := &source.Hub{}
	defer hub.Close()
	rs := &Recorders{Hub: hub, Root: root, Retention: Retention{MaxBytes: 1}, OnEvent: func(e Event) {
		if e.Kind == EventFinished {
			finished <- e.File
		}
	}}
	done := make(chan error)
	go func() { done <- rs.Serve(ctx) }()
	f := <-finished
	require.Eventually(t, func() bool { return len(tree(t, root)) == 0 }, time.Minute, ms, "%s is too much", f.Name)
	_, err := rs.Start(testKey, Options{Wait: true})
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, rs.All())
}

// leftoverCases are beginnings of files, with how much of them is whole.
var leftoverCases = []struct {
	name   string
	format Format
	data   string
	whole  int64
}{
	{"nothing", MP4, "", 0},
	{"no movie", MP4, "\x00\x00\x00\x08ftyp", 0},
	{"a movie", MP4, "\x00\x00\x00\x08ftyp\x00\x00\x00\x08moov", 16},
	{"a fragment without media", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x08moof", 8},
	{"a fragment with less", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x08moof\x00\x00\x00\x0amdat.", 8},
	{"a fragment", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x08moof\x00\x00\x00\x0amdat..", 26},
	{"a movie box more", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x08moof\x00\x00\x00\x0amdat..\x00\x00\x00\x08moov", 26},
	{"a large box", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x12..", 26},
	{"a large box of less than its header", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0a..", 8},
	{"a box of no size", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x00mdat", 8},
	{"a size below 8", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x07mdat", 8},
	{"a size of 2^63", MP4, "\x00\x00\x00\x08moov\x00\x00\x00\x01mdat\x80\x00\x00\x00\x00\x00\x00\x00", 8},
	{"no header", FLV, "FLV\x01", 0},
	{"something else", FLV, strings.Repeat("x", 100), 0},
	{"a header", FLV, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", 13},
	{"a header of 4 GB", FLV, "FLV\x01\x05\xff\xff\xff\xff\x00\x00\x00\x00", 0},
	{"a header of 8 bytes", FLV, "FLV\x01\x05\x00\x00\x00\x08\xe5\x00\x00\x00", 0},
	{"a tag", FLV, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x08\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00x\x00\x00\x00\x0c", 29},
	{"nothing", TS, "", 0},
	{"less than a packet", TS, packets("\x00\x00\x01")[:187], 0},
	{"no frame", TS, packets("\x00\x00\xb0", "=", "="), 0},
	{"one frame", TS, packets("\x00\x00\xb0", "\x00\x00\x01", "="), 188},
	{"two frames and a bit", TS, packets("\x00\x00\x01", "=", "=", "\x00\x00\x01", "=") + "\x47", 3 * 188},
	{"a long adaptation field", TS, packets("\x00\x00\x01", "=")[:191] + "\x30\xff" + strings.Repeat("x", 183), 0},
	{"half a tag", FLV, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x08\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00x\x00\x00", 13},
}

func wholeOf(format Format, b []byte) (int64, error) {
	switch format {
	case FLV:
		return wholeTags(bytes.NewReader(b), int64(len(b)))
	case TS:
		return wholePackets(bytes.NewReader(b), int64(len(b)))
	}
	return wholeBoxes(bytes.NewReader(b), int64(len(b)))
}

// packets makes packets of a transport stream from the beginnings of their payloads;
// "=" is the middle of a frame.
func packets(payloads ...string) string {
	var b strings.Builder
	for _, p := range payloads {
		head := "\x47\x41\x00\x10"
		if p == "=" {
			head = "\x47\x01\x00\x10"
		}
		b.WriteString(head + p + strings.Repeat("x", tsPacket-4-len(p)))
	}
	return b.String()
}

func TestWhole(t *testing.T) {
	for _, c := range leftoverCases {
		t.Run(fmt.Sprint(c.format, " ", c.name), func(t *testing.T) {
			n, err := wholeOf(c.format, []byte(c.data))
			require.NoError(t, err)
			require.Equal(t, c.whole, n)
		})
	}
}

func FuzzWhole(f *testing.F) {
	for _, c := range leftoverCases {
		f.Add(uint8(c.format), []byte(c.data))
	}
	f.Fuzz(func(t *testing.T, f uint8, b []byte) {
		format := Format(f % 3)
		n, err := wholeOf(format, b)
		if err != nil || n < 0 || n > int64(len(b)) {
			t.Fatalf("%d of %d, %v", n, len(b), err)
		}
		if again, _ := wholeOf(format, b[:n]); again != n && format != TS { // that always gives up the last frame
			t.Fatalf("%d, but then %d", n, again)
		}
	})
}
