package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/mp4"
	recorder "github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/source"
)

// A kind of recording, with a folder of its own.
type recorded struct {
	name string
	o    recorder.Options
	rs   *recorder.Recorders

	mu    sync.Mutex
	files []recorder.File // guarded by mu
	kinds []recorder.EventKind
}

// newRecorded makes a kind of recording of the hub's streams.
func newRecorded(t testing.TB, hub *source.Hub, name string, o recorder.Options) *recorded {
	k := &recorded{name: name, o: o}
	k.rs = &recorder.Recorders{Hub: hub, Root: t.TempDir(), OnEvent: func(e recorder.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.kinds = append(k.kinds, e.Kind)
		if e.Kind == recorder.EventFinished {
			k.files = append(k.files, e.File)
		}
	}}
	t.Cleanup(func() { require.NoError(t, k.rs.Close()) })
	return k
}

// finished returns the files so far.
func (k *recorded) finished() []recorder.File {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.files)
}

// told reports whether there was an event of that kind.
func (k *recorded) told(kind recorder.EventKind) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.kinds, kind)
}

// liveStream waits for the stream live/t.
func liveStream(t testing.TB, hub *source.Hub) (key source.Key) {
	t.Helper()
	key = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}
	_, err := hub.Await(t.Context(), key)
	require.NoError(t, err)
	return key
}

// lengthOf asks ffprobe for the length of a file.
func lengthOf(t testing.TB, path string) time.Duration {
	t.Helper()
	out := start(t, "ffprobe", "-v", "error", "-show_format", "-of", "json", path).ok(patience)
	var p struct {
		Format struct {
			Duration string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	s, err := strconv.ParseFloat(p.Format.Duration, 64)
	require.NoError(t, err, "%s: %s", path, out)
	return time.Duration(s * float64(time.Second))
}

// TestRecord records what ffmpeg publishes by RTMP for two minutes in every format,
// in slices of 30 s: ffprobe finds all packets in the files, one after the other,
// as long as the files say, beginning with a key frame.
func TestRecord(t *testing.T) {
	t.Parallel()
	find(t, "ffprobe")
	length, slice := 2*time.Minute, 30*time.Second
	if testing.Short() {
		length, slice = 20*time.Second, 5*time.Second
	}
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	hub := &source.Hub{}
	s := serve(t, hub)
	kinds := []*recorded{
		newRecorded(t, hub, "progressive MP4", recorder.Options{Format: recorder.MP4}),
		newRecorded(t, hub, "fast-start MP4", recorder.Options{Format: recorder.MP4, Layout: mp4.LayoutFastStart, Names: recorder.NamesTime}),
		newRecorded(t, hub, "fragmented MP4", recorder.Options{Format: recorder.MP4, Layout: mp4.LayoutFragmented}),
		newRecorded(t, hub, "FLV", recorder.Options{Format: recorder.FLV, Names: recorder.NamesTime}),
		newRecorded(t, hub, "TS", recorder.Options{Format: recorder.TS}),
		newRecorded(t, hub, "HLS", recorder.Options{Format: recorder.HLS}),
		newRecorded(t, hub, "HLS fMP4", recorder.Options{Format: recorder.HLSFMP4}),
	}
	whole := newRecorded(t, hub, "whole", recorder.Options{Format: recorder.FLV, Slice: -1})
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1", "-t", fmt.Sprint((length + slice/2).Seconds()))
	key := liveStream(t, hub)
	var all []*recorder.Recorder
	for _, k := range append(kinds, whole) {
		if k != whole {
			k.o.Slice = slice
		}
		r, err := k.rs.Start(key, k.o)
		require.NoError(t, err)
		all = append(all, r)
	}
	for i, k := range kinds {
		eventually(t, func() bool { return len(k.finished()) == 1 && all[i].Stats().Frames > 0 }, "%s: a slice is finished", k.name)
		eventually(t, func() bool {
			name := all[i].Stats().Name
			_, err := os.Stat(filepath.Join(k.rs.Root, name))
			return name != "" && filepath.Base(name)[0] == '.' && err == nil
		}, "%s: the next one is hidden", k.name)
	}
	pub.ok(length + 2*patience)
	for _, r := range all {
		<-r.Done()
		require.Zero(t, r.Stats().Lost)
	}
	require.Len(t, whole.finished(), 1)
	want := probeFile(t, "ffprobe", whole.finished()[0].Path)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { requireSlices(t, k, whole.finished()[0], want, slice, int(length/slice)) })
	}
}

// requireSlices checks that the files of k have what the whole recording has, which
// ffprobe sees as want, and are n slices, or one more.
func requireSlices(t *testing.T, k *recorded, whole recorder.File, want probe, slice time.Duration, n int) {
	name := `^record/live/t/\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d\.\w+$`
	if k.o.Names == recorder.NamesTime {
		name = `^record/live/t/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d\.\w+$`
	}
	files := k.finished()
	require.Len(t, files, n+1, "and a half")
	var total, probed time.Duration
	got := map[string][]string{}
	for i, f := range files {
		require.Regexp(t, name, f.Name)
		p := probeFile(t, "ffprobe", f.Path)
		require.Equal(t, byte('K'), p.packets(t, "video")[0].Flags[0], "%s begins with a key frame", f.Name)
		for _, s := range want.Streams {
			got[s.Kind] = append(got[s.Kind], contents(p.packets(t, s.Kind))...)
		}
		length := lengthOf(t, f.Path)
		require.InDelta(t, f.Duration, length, float64(100*time.Millisecond), f.Name)
		if i < n {
			require.InDelta(t, slice, f.Duration, float64(time.Second+50*time.Millisecond), f.Name)
		}
		total, probed = total+f.Duration, probed+length
		if !inSegments(k.o.Format) {
			info, err := os.Stat(f.Path)
			require.NoError(t, err)
			require.Equal(t, info.Size(), f.Size)
		}
	}
	const frame = float64(40 * time.Millisecond)
	require.InDelta(t, whole.Duration, total, frame*float64(len(files)), "all together")
	require.InDelta(t, total, probed, 2*frame*float64(len(files)), "as ffprobe says, which counts pictures that are reordered twice")
	for _, s := range want.Streams {
		all := contents(want.packets(t, s.Kind))
		if k.o.Format == recorder.TS || k.o.Format == recorder.HLS { // other bytes
			require.Len(t, got[s.Kind], len(all))
		} else {
			require.Equal(t, all, got[s.Kind], "%s: no packet too many, none too few", s.Kind)
		}
	}
	requireDecodes(t, "ffmpeg", files[len(files)-1].Path)
	require.Empty(t, hiddenIn(t, k.rs.Root))
}

func inSegments(f recorder.Format) bool { return f == recorder.HLS || f == recorder.HLSFMP4 }

// contents returns what packets have in them.
func contents(packets []probePacket) (list []string) {
	for _, p := range packets {
		list = append(list, fmt.Sprint(p.Size, " ", p.Hash))
	}
	return list
}

// hiddenIn returns the hidden files in a folder.
func hiddenIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Base(path)[0] == '.' && filepath.Ext(path) != ".tmp" && filepath.Ext(path) != ".lock" {
			names = append(names, path)
		}
		return nil
	})
	return names
}

// sizeOf returns the size of all files in a folder.
func sizeOf(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// TestRecordKilled kills a recording program twenty times, at any moment. What it
// has left can be played by ffmpeg, and when the program runs again it has its name.
func TestRecordKilled(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 10 * time.Second}
	s := serve(t, nil)
	publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	for _, format := range []recorder.Format{recorder.MP4, recorder.FLV, recorder.TS, recorder.HLS, recorder.HLSFMP4} {
		t.Run(format.String(), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			run := func() *process {
				return example(t, "record", "-root", root, "-format", format.String(), "-slice", "3s", "t="+s.url("rtmp", "live/t"))
			}
			for range 4 {
				p := run()
				had := sizeOf(root)
				moment := had + 100_000 + rand.Int64N(400_000)
				eventually(t, func() bool { return sizeOf(root) > moment }, "%s grows", root)
				p.kill()
				left := hiddenIn(t, root)
				require.LessOrEqual(t, len(left), 2, "one is being written, one may be being finished")
				for _, path := range left {
					if st, err := os.Stat(path); err != nil || st.Size() < 4096 && !inSegments(format) {
						continue // its first fragment is not over
					}
					requireBegins(t, path)
				}
			}
			p := run()
			eventually(t, func() bool {
				left := hiddenIn(t, root)
				return len(left) == 1 && sizeOf(root) > 0
			}, "what was left is finished")
			before := sizeOf(root)
			eventually(t, func() bool { return sizeOf(root) > before+100_000 }, "it goes on")
			p.signal(syscall.SIGTERM)
			p.ok(patience)
			require.Empty(t, hiddenIn(t, root))
			files := 0
			_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
				require.NoError(t, err)
				ext := filepath.Ext(path)
				if e.IsDir() || format == recorder.HLS && ext == ".ts" || format == recorder.HLSFMP4 && ext == ".mp4" {
					return nil
				}
				files++
				requireBegins(t, path)
				start(t, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-").ok(patience)
				return nil
			})
			require.GreaterOrEqual(t, files, 5)
		})
	}
}

// requireBegins checks that a recording plays and begins with a key frame.
func requireBegins(t testing.TB, path string) {
	t.Helper()
	out := start(t, "ffprobe", "-v", "fatal", "-show_streams", "-show_packets", "-of", "json", path).ok(patience)
	p := parseProbe(t, out)
	require.Len(t, p.Streams, 2, path)
	require.Equal(t, byte('K'), p.packets(t, "video")[0].Flags[0], "%s begins with a key frame", path)
}

// TestRecordDiskFull records to a disk of 50 MB that is full but for some: a viewer
// notices nothing, the recording ends its file and tells, and goes on when there is
// room.
func TestRecordDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := execute("mount", "-t", "tmpfs", "-o", "size=50m", "mediakit-test", dir); err != nil {
		note(fmt.Sprintf("%s: no tmpfs can be mounted: %s\n", t.Name(), out))
		t.Skipf("!!! SKIPPED %s: no tmpfs can be mounted here: %v %s", t.Name(), err, out)
	}
	t.Cleanup(func() {
		_, err := execute("umount", dir)
		require.NoError(t, err)
	})
	filler := filepath.Join(dir, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 48<<20), 0o600))
	c := clip{video: "h264", audio: "aac", bframes: 2, kbps: 2000, duration: 10 * time.Second}
	hub := &source.Hub{}
	s := serve(t, hub)
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	key := liveStream(t, hub)
	kinds := map[recorder.Format]*recorded{}
	all := map[recorder.Format]*recorder.Recorder{}
	for _, f := range []recorder.Format{recorder.MP4, recorder.TS, recorder.HLS} {
		k := newRecorded(t, hub, f.String(), recorder.Options{Format: f, Root: dir})
		r, err := k.rs.Start(key, k.o)
		require.NoError(t, err)
		kinds[f], all[f] = k, r
	}
	viewer := record(t, s.url("http", "live/t"))
	for f, k := range kinds {
		eventually(t, func() bool { return k.told(recorder.EventFailed) }, "%v fails", f)
		require.ErrorIs(t, all[f].Stats().Err, syscall.ENOSPC)
	}
	for f, r := range all {
		eventually(t, func() bool { return r.Stats().Errors > 1 }, "%v is tried again", f)
	}
	require.NoError(t, os.Remove(filler))
	for f, k := range kinds {
		eventually(t, func() bool { return k.told(recorder.EventResumed) && all[f].Stats().State == recorder.StateRecording }, "%v goes on", f)
	}
	for _, session := range hub.Stream(key).Stats().Sessions {
		require.Zero(t, session.Jumps, "%s", session.Schema)
	}
	pub.signal(syscall.SIGINT)
	pub.wait(patience)
	for f, r := range all {
		<-r.Done()
		require.NotZero(t, r.Stats().Lost, "%v", f)
		files := kinds[f].finished()
		require.GreaterOrEqual(t, len(files), 2, "%v", f)
		for _, file := range files {
			requireBegins(t, file.Path)
			requireDecodes(t, "ffmpeg", file.Path)
		}
	}
	require.Empty(t, hiddenIn(t, dir))
	packets := probeFile(t, "ffprobe", viewer.wait()).packets(t, "video")
	for i := 1; i < len(packets); i++ {
		require.Less(t, packets[i].DTS-packets[i-1].DTS, seconds(100*time.Millisecond), "the viewer has no gap")
	}
}
