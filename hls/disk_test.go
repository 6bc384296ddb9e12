package hls

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// filesIn returns the names of all files in dir, with slashes.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	}))
	return names
}

// TestDisk: what is on disk is what is in memory, no more than Retain says stays,
// and nothing after Purge.
func TestDisk(t *testing.T) {
	for name, container := range containers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent := t.TempDir()
				dir := filepath.Join(parent, "app", "stream")
				g := newRig(t, serveStream.Tracks(), Options{Container: container, Dir: dir, Retain: 4})
				begin := time.Now()
				most := 0
				for f := range serveStream.Frames() {
					if f.DTS >= 2*time.Minute {
						break
					}
					g.write(f, begin)
					if f.DTS%time.Second == 0 && isVideo(f) {
						synctest.Wait()
						most = max(most, len(filesIn(t, dir)))
					}
				}
				g.close()
				require.LessOrEqual(t, most, 4+4+2, "3 listed, 4 retained, one about to go, playlist, init")
				list, err := os.ReadFile(filepath.Join(dir, container.playlist()))
				require.NoError(t, err)
				require.NotContains(t, string(list), "EXT-X-PART")
				p := parseChecked(t, list)
				require.True(t, p.Ended)
				for _, s := range p.Segments {
					b, err := os.ReadFile(filepath.Join(dir, s.URI))
					require.NoError(t, err)
					require.True(t, bytes.Equal(g.bytes[s.URI], b))
				}
				require.Zero(t, g.w.Stats().DiskErrors)
				require.NoError(t, g.w.Purge())
				require.NoDirExists(t, dir)
				require.DirExists(t, filepath.Dir(dir))
			})
		})
	}
}

// TestDiskEvent: an event is a recording. All of it is on disk, the last of it in
// memory, and neither Purge nor the next Writer deletes it.
func TestDiskEvent(t *testing.T) {
	synctest.Test(t, testDiskEvent)
}

func testDiskEvent(t *testing.T) {
	dir := t.TempDir()
	w := newServed(t, Options{Container: FMP4, Dir: dir, Segments: -1}, 40*time.Second)
	synctest.Wait() // for the disk
	feed(t, w, 40*time.Second, 50*time.Second)
	require.NoError(t, w.Close())
	inMemory := 0
	p := parseChecked(t, request(w, "GET", "hls.fmp4.m3u8", "").Body.Bytes())
	require.Len(t, p.Segments, 25)
	for _, s := range p.Segments {
		if w.find(s.URI).content.Load() != nil {
			inMemory++
		}
		b, err := os.ReadFile(filepath.Join(dir, s.URI))
		require.NoError(t, err)
		rec := request(w, "GET", s.URI, "")
		require.Equal(t, 200, rec.Code)
		require.True(t, bytes.Equal(b, rec.Body.Bytes()))
		rec = request(w, "GET", s.URI, "bytes=10-19")
		require.Equal(t, 206, rec.Code)
		require.True(t, bytes.Equal(b[10:20], rec.Body.Bytes()))
		require.Equal(t, 200, request(w, "GET", s.URI, "bytes=0-1,3-4").Code)
	}
	require.LessOrEqual(t, inMemory, recentFiles+1)
	require.NoError(t, w.Purge())
	require.Len(t, filesIn(t, dir), 27)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".init.mp4.tmp"), nil, 0o600))
	w = newServed(t, Options{Container: FMP4, Dir: dir, Segments: -1}, 0)
	require.NoError(t, w.Close())
	require.Len(t, filesIn(t, dir), 27)
}

// TestDiskLeftovers: what a Writer that was killed has left is removed, and
// nothing else.
func TestDiskLeftovers(t *testing.T) {
	outside := t.TempDir()
	ours := []string{
		"hls.m3u8", ".hls.m3u8.tmp", "2020-03-28/11/09-38_0.ts", "2020-03-28/11/.09-40_1.ts.tmp",
		"2020-03-29/00/00-00_18446744073709551.ts",
	}
	others := []string{
		"hls.fmp4.m3u8", "init.mp4", "2020-03-28/12/09-38_0.mp4", // of the other container
		"index.html", "x.ts", "2020-03-28/x.ts", "2020-03-28/11/x.ts", "2020-03-28/11/9-38_0.ts",
		"2020-03-28/11/09-38_.ts", "2020-03-28/11/09-38_0.ts.bak", "2020-03-28/111/09-38_0.ts", "20-03-28/11/09-38_0.ts",
		"2020-03-28/11/deep/09-38_0.ts", "init-1.ts",
	}
	for _, event := range []bool{false, true} {
		dir := t.TempDir()
		for _, name := range append(append([]string{}, ours...), others...) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
		}
		victim := filepath.Join(outside, "09-38_0.ts")
		require.NoError(t, os.WriteFile(victim, []byte("x"), 0o600))
		linked := os.Symlink(outside, filepath.Join(dir, "2020-03-28", "13")) == nil &&
			os.Symlink(victim, filepath.Join(dir, "2020-03-28", "11", "09-38_7.ts")) == nil

		o := Options{Dir: dir}
		want := len(others)
		if event {
			o.Segments = -1
			want += len(ours) - 2 // what was not finished
		}
		if linked {
			want += 2
		}
		w := newServed(t, o, 0)
		require.NoError(t, w.Close())
		require.Len(t, filesIn(t, dir), want)
		require.FileExists(t, victim)
		if !event {
			require.NoDirExists(t, filepath.Join(dir, "2020-03-29"))
		}
		require.Zero(t, w.Stats().DiskErrors)
	}
}

// TestDiskLinks: nothing is written through a link that leads out.
func TestDiskLinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	target := filepath.Join(outside, "target")
	if os.Symlink(target, filepath.Join(dir, ".hls.m3u8.tmp")) != nil {
		t.Skip("no links here")
	}
	d := &rootFolder{path: dir}
	require.NoError(t, d.write("hls.m3u8", []byte("x")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "2020-03-28")))
	require.Error(t, d.write("2020-03-28/11/09-38_0.ts", []byte("x")))
	_, err := d.open("2020-03-28/x")
	require.Error(t, err)
	require.NoError(t, d.close())
	require.Empty(t, filesIn(t, outside))
}

// TestDiskFolderGone: somebody deletes the folder while the stream goes on.
func TestDiskFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stream")
	d := newDisk(&rootFolder{path: dir}, Options{}.withDefaults())
	f := newInit(&Options{}, 0, []byte("x"), time.Now())
	d.store(f)
	require.Eventually(t, f.stored.Load, 10*time.Second, time.Millisecond)
	require.NoError(t, os.RemoveAll(dir))
	f = newInit(&Options{}, 1, []byte("y"), time.Now())
	d.store(f)
	require.NoError(t, d.close(10*time.Second))
	require.True(t, f.stored.Load())
	require.Equal(t, []string{"init-1.mp4"}, filesIn(t, dir))
	require.NoError(t, d.purge())
	require.NoDirExists(t, dir)
	require.Zero(t, d.errors())
}

// TestDiskOfTwo: the one that goes leaves the playlist of the one that came.
func TestDiskOfTwo(t *testing.T) {
	dir := t.TempDir()
	old := newServed(t, Options{Dir: dir}, 5*time.Second)
	require.NoError(t, old.Close())
	other := newServed(t, Options{Dir: dir, Container: FMP4}, 5*time.Second)
	next, err := newWriterAt(serveStream.Tracks(), Options{Dir: dir}, old.position())
	require.NoError(t, err)
	feed(t, next, 0, 5*time.Second)
	require.NoError(t, next.Close())
	require.NoError(t, other.Close())
	require.NoError(t, old.Purge())
	for _, w := range []*Writer{next, other} {
		text, err := os.ReadFile(filepath.Join(dir, w.o.Container.playlist()))
		require.NoError(t, err)
		for _, s := range parseChecked(t, text).Segments {
			require.FileExists(t, filepath.Join(dir, s.URI))
		}
	}
	require.NoError(t, next.Purge())
	require.NoError(t, other.Purge())
	require.NoDirExists(t, dir)
}

// A badFolder is a disk that fails, or hangs.
type badFolder struct {
	mu    sync.Mutex
	err   error
	hang  chan struct{} // if not nil, writing waits for it
	names []string
}

func (b *badFolder) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *badFolder) write(name string, _ []byte) error {
	if b.hang != nil {
		<-b.hang
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.names = append(b.names, name)
	}
	return b.err
}

func (b *badFolder) clean(Container, bool) error       { return nil }
func (b *badFolder) remove(string) error               { return nil }
func (b *badFolder) read(string) ([]byte, error)       { return nil, fs.ErrNotExist }
func (b *badFolder) open(name string) (fs.File, error) { return nil, fs.ErrNotExist }
func (b *badFolder) close() error                      { return nil }

// newBad returns a Writer on b, and its log.
func newBad(t *testing.T, b *badFolder, o Options) (*Writer, *bytes.Buffer) {
	t.Helper()
	var text bytes.Buffer
	o.Logger = slog.New(slog.NewTextHandler(&text, nil))
	w, err := newWriter(serveStream.Tracks(), o, position{}, o.Container.newMuxer)
	require.NoError(t, err)
	w.disk = newDisk(b, w.o)
	return w, &text
}

// TestDiskFull: the stream goes on, errors are counted and logged once, and what
// comes after the disk works again is there.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("no space left")
		b := &badFolder{err: full}
		w, text := newBad(t, b, Options{})
		feed(t, w, 0, 21*time.Second)
		synctest.Wait()
		require.Empty(t, b.names)
		require.GreaterOrEqual(t, w.Stats().DiskErrors, uint64(10))
		require.EqualValues(t, 10, w.Stats().Segments)
		require.Equal(t, 1, strings.Count(text.String(), "no space left"))
		segments, _ := listOf(t, w)
		for _, name := range segments {
			require.Equal(t, 200, request(w, "GET", name, "").Code)
		}
		b.fail(nil)
		feed(t, w, 21*time.Second, 31*time.Second)
		synctest.Wait()
		require.GreaterOrEqual(t, len(b.names), 6, "five segments and the playlist")
		require.Contains(t, text.String(), "works again")
		require.NoError(t, w.Close())
	})
}

// TestDiskHangs: nobody waits for it, the queue is bounded, and Close gives up.
func TestDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &badFolder{hang: make(chan struct{})}
		w, _ := newBad(t, b, Options{})
		feed(t, w, 0, 30*time.Second)
		w.disk.mu.Lock()
		waiting := len(w.disk.files)
		w.disk.mu.Unlock()
		require.Positive(t, waiting)
		big := newInit(&Options{}, 7, make([]byte, maxQueued), time.Now())
		w.disk.store(big)
		require.EqualValues(t, 1, w.Stats().DiskErrors)
		began := time.Now()
		require.ErrorIs(t, w.Close(), source.ErrTimeout)
		require.Equal(t, diskGrace, time.Since(began))
		require.NoError(t, w.Purge())
		close(b.hang)
		synctest.Wait()
	})
}

// TestDiskQueued: a segment that is deleted before it was written is not written.
func TestDiskQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &badFolder{hang: make(chan struct{})}
		d := newDisk(b, Options{}.withDefaults())
		files := []*file{newInit(&Options{}, 0, []byte("a"), time.Now()), newInit(&Options{}, 1, []byte("b"), time.Now()), newInit(&Options{}, 2, []byte("c"), time.Now())}
		for _, f := range files {
			d.store(f)
		}
		synctest.Wait()
		d.remove(files[1])
		close(b.hang)
		require.NoError(t, d.close(time.Second))
		require.Equal(t, []string{"init.mp4", "init-2.mp4"}, b.names)
	})
}

// TestRetain: a segment can be fetched for three target durations after it has
// left the list, and no longer than needed.
func TestRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, serveStream.Tracks(), Options{Retain: 1})
		begin := time.Now()
		left := map[string]time.Time{}
		for f := range serveStream.Frames() {
			if f.DTS >= time.Minute {
				break
			}
			g.write(f, begin)
			for _, s := range g.order {
				status := request(g.w, "HEAD", s.URI, "").Code
				listed := g.last.Segments[0].URI <= s.URI
				since, gone := left[s.URI]
				switch {
				case listed:
					require.Equal(t, 200, status)
				case !gone:
					left[s.URI] = time.Now()
				case time.Since(since) < 3*g.last.Target:
					require.Equal(t, 200, status)
				case time.Since(since) > 6*g.last.Target:
					require.Equal(t, 404, status)
				}
			}
		}
		g.close()
		require.Greater(t, len(left), 20)
	})
}

// TestRetainBytes: a stream that is written faster than it plays does not fill
// the memory.
func TestRetainBytes(t *testing.T) {
	synctest.Test(t, testRetainBytes) // whose clock stands still meanwhile
}

func testRetainBytes(t *testing.T) {
	w, err := NewWriter(serveStream.Tracks(), Options{Retain: 2})
	require.NoError(t, err)
	picture := bytes.Clone(serveStream.Take(time.Millisecond)[0].Data)
	for f := range serveStream.Frames() {
		if f.DTS >= 2*time.Minute {
			break
		}
		if isVideo(f) && f.Key() {
			g := *f
			g.Data = append(bytes.Clone(picture), make([]byte, 4<<20)...)
			f = &g
		}
		require.NoError(t, w.WriteFrame(context.Background(), f))
	}
	var sum int
	for _, f := range w.files {
		sum += len(f.content.Load().data)
	}
	require.Greater(t, sum, maxExtra)
	require.Less(t, sum, maxExtra+40<<20)
	require.NoError(t, w.Close())
}
