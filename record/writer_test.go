package record

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A rig is a Sink's Writer on a disk of the test.
type rig struct {
	t    testing.TB
	root string
	disk *badDisk
	log  log
	w    source.Writer
}

// newRig begins a recording whose first frame comes at noon.
func newRig(t testing.TB, o Options, tracks []*codec.Track) *rig {
	t.Helper()
	g := &rig{t: t, root: t.TempDir()}
	g.disk = newBadDisk(g.root)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	s := &Sink{Key: testKey, Start: noon, OnEvent: g.log.add}
	w, err := s.create(g.disk, o.withDefaults(), tracks)
	require.NoError(t, err)
	g.w = w
	return g
}

func (g *rig) write(frames ...*codec.Frame) {
	g.t.Helper()
	for _, f := range frames {
		require.NoError(g.t, g.w.WriteFrame(context.Background(), f))
	}
}

// close ends the recording and returns its files.
func (g *rig) close() []File {
	g.t.Helper()
	require.NoError(g.t, g.w.Close())
	return g.log.files()
}

// tickOf is how exact the times in a file are.
func tickOf(o Options) func(*codec.Track) time.Duration {
	return func(t *codec.Track) time.Duration {
		if o.Format == FLV {
			return time.Millisecond
		}
		return time.Second / time.Duration(min(t.ClockRate, 90_000))
	}
}

// TestSlices records streams as every format and in slices: all frames are there,
// each file begins with a key frame at 0 and is as long as it says.
func TestSlices(t *testing.T) {
	bFrames := film
	bFrames.BFrames = 2
	hevc := film
	hevc.Video = codec.H265
	noVideo, noAudio := film, film
	noVideo.Video = codec.Opaque
	noAudio.Audio = codec.Opaque
	for name, o := range formats {
		for _, s := range []testmedia.Stream{film, bFrames, hevc, noVideo, noAudio} {
			t.Run(name+" "+containertest.Name(s), func(t *testing.T) {
				t.Parallel()
				testSlices(t, o, s)
			})
		}
	}
}

func testSlices(t *testing.T, o Options, s testmedia.Stream) {
	const offset = time.Hour // the stream's clock was running
	o.Slice = 2500 * ms
	g := newRig(t, o, s.Tracks())
	var all []*codec.Frame
	for _, f := range s.Take(8 * time.Second) {
		f.DTS, f.PTS = f.DTS+offset, f.PTS+offset
		all = append(all, f)
	}
	g.write(all...)
	files := g.close()
	slice := 3 * time.Second
	if s.Video == codec.Opaque {
		slice = 2500 * ms
	}
	var total time.Duration
	var names []string
	for i, f := range files {
		want := min(slice, 8*time.Second-time.Duration(i)*slice)
		require.InDelta(t, want, f.Duration, float64(80*ms), f.Name)
		require.InDelta(t, total, f.Start.Sub(files[0].Start), float64(100*ms))
		total += f.Duration
		require.Equal(t, filepath.Join(g.root, filepath.FromSlash(f.Name)), f.Path)
		require.FileExists(t, f.Path)
		require.Len(t, f.Tracks, len(s.Tracks()))
		names = append(names, f.Name)
		if !o.Format.segmented() {
			info, err := os.Stat(f.Path)
			require.NoError(t, err)
			require.Equal(t, info.Size(), f.Size)
		}
		got := readRecording(t, f.Path)
		require.True(t, got[0].Key())
		if !o.Format.segmented() {
			require.Zero(t, got[0].DTS)
		}
		length := got[len(got)-1].DTS - got[0].DTS
		require.InDelta(t, want, length, float64(120*ms), "%s by its frames", f.Name)

		// The frames of the slice, and no others.
		var part []*codec.Frame
		for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
			mine := containertest.OfKind(got, k)
			rest := containertest.OfKind(all, k)
			require.GreaterOrEqual(t, len(rest), len(mine))
			part = append(part, rest[:len(mine)]...)
		}
		shift := -part[0].DTS
		if s.Video != codec.Opaque {
			shift = -containertest.OfKind(part, codec.KindVideo)[0].DTS
		}
		if o.Format.segmented() {
			shift += got[0].DTS - (part[0].DTS + shift)
		}
		containertest.Match{Shift: shift, Tick: tickOf(o), Lost: codec.FlagDiscont | codec.FlagMarker | codec.FlagDisposable | codec.FlagKey}.Frames(t, part, got)
		all = slices.DeleteFunc(all, func(f *codec.Frame) bool { return slices.Contains(part, f) })
	}
	require.Empty(t, all, "all frames are in the files")
	require.InDelta(t, 8*time.Second, total, float64(100*ms))
	const folder = "record/live/t/2026-11-22/2026-11-22-12-00-"
	require.Equal(t, fmt.Sprintf("%s00-0%s", folder, o.Format.extension()), names[0])
	require.Equal(t, fmt.Sprintf("%s%02d-1%s", folder, int(slice.Seconds()), o.Format.extension()), names[1])
	for _, name := range tree(t, g.root) {
		require.NotEqual(t, byte('.'), filepath.Base(name)[0], name)
	}
}

// TestSliceBytes ends files by their size.
func TestSliceBytes(t *testing.T) {
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.SliceBytes = 60_000 // a bit more than two seconds
			g := newRig(t, o, film.Tracks())
			g.write(film.Take(10 * time.Second)...)
			files := g.close()
			require.Greater(t, len(files), 2)
			for _, f := range files[:len(files)-1] {
				require.Greater(t, f.Size, int64(50_000))
				require.Less(t, f.Size, int64(200_000))
			}
		})
	}
}

// TestTaken: names that are taken are left alone.
func TestTaken(t *testing.T) {
	g := newRig(t, Options{Format: FLV, Names: NamesTime}, film.Tracks())
	dir := filepath.Join(g.root, "record", "live", "t", "2026-11-22")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for _, name := range []string{"12-00-00.flv", ".12-00-00-1.flv"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	g.write(film.Take(time.Second)...)
	files := g.close()
	require.Len(t, files, 1)
	require.Equal(t, "record/live/t/2026-11-22/12-00-00-2.flv", files[0].Name)
	require.Len(t, tree(t, g.root), 3)
}

// TestHidden: a file has a leading dot while it is written, and all of it but the
// last fragment is there.
func TestHidden(t *testing.T) {
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, o, film.Tracks())
			g.write(film.Take(7 * time.Second)...)
			hidden := filepath.Join(g.root, "record", "live", "t", "2026-11-22", ".2026-11-22-12-00-00-0"+o.Format.extension())
			frames := readRecording(t, hidden)
			require.GreaterOrEqual(t, frames[len(frames)-1].DTS, 3900*ms)
			require.NoFileExists(t, filepath.Join(filepath.Dir(hidden), "2026-11-22-12-00-00-0"+o.Format.extension()))
			require.Len(t, g.close(), 1)
			require.NoFileExists(t, hidden)
		})
	}
}

// TestEdges has what a stream can do to the cuts.
func TestEdges(t *testing.T) {
	audioOnly := func(f *codec.Frame) bool { return f.Track.Kind() == codec.KindAudio }
	changing := film
	changing.Change = 3
	other := testmedia.Track2(testmedia.AudioID, codec.AAC)
	for _, c := range []struct {
		name   string
		slice  time.Duration
		tracks []*codec.Track
		frames func() []*codec.Frame
		want   string // length and number of tracks of each file
	}{
		{"nothing", 0, film.Tracks(), func() []*codec.Frame { return nil }, ""},
		{"it begins with a key frame", 0, film.Tracks(), func() []*codec.Frame {
			return film.Take(5 * time.Second)[10:]
		}, "4.0s/2 "},
		{"other parameters of the video", 0, film.Tracks(), func() []*codec.Frame {
			return changing.Take(7 * time.Second)
		}, "3.0s/2 3.0s/2 1.0s/2 "},
		{"other parameters of the audio", 0, film.Tracks(), func() []*codec.Frame {
			all := film.Take(5 * time.Second)
			for _, f := range all {
				if audioOnly(f) && f.DTS > 2500*ms {
					f.Track = other
				}
			}
			return all
		}, "3.0s/2 2.0s/2 "},
		{"audio comes later", 0, film.Tracks()[:1], func() []*codec.Frame {
			return slices.DeleteFunc(film.Take(5*time.Second), func(f *codec.Frame) bool { return audioOnly(f) && f.DTS < 1500*ms })
		}, "2.0s/1 3.0s/2 "},
		{"video comes later", 0, film.Tracks()[1:], func() []*codec.Frame {
			return slices.DeleteFunc(film.Take(5*time.Second), func(f *codec.Frame) bool { return !audioOnly(f) && f.DTS < 1500*ms })
		}, "2.0s/1 3.0s/2 "},
		{"video never comes", 0, film.Tracks(), func() []*codec.Frame {
			return slices.DeleteFunc(film.Take(8*time.Second), func(f *codec.Frame) bool { return !audioOnly(f) })
		}, "5.0s/1 "},
		{"audio has gone", 11 * time.Second, film.Tracks(), func() []*codec.Frame {
			return slices.DeleteFunc(film.Take(30*time.Second), func(f *codec.Frame) bool { return audioOnly(f) })
		}, "11.0s/2 11.0s/1 8.0s/1 "},
		{"nothing is as it was announced", 0, film.Tracks(), func() []*codec.Frame {
			all := film.Take(3 * time.Second)
			for _, f := range all { // other IDs
				again := *f.Track
				again.ID += 10
				f.Track = &again
			}
			return all
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, o := range formats {
				if o.Format.segmented() && c.name == "audio has gone" {
					continue // those wait for tracks that never come
				}
				o.Slice = c.slice
				g := newRig(t, o, c.tracks)
				g.write(c.frames()...)
				var got string
				for _, f := range g.close() {
					got += fmt.Sprintf("%.1fs/%d ", f.Duration.Seconds(), len(f.Tracks))
				}
				require.Equal(t, c.want, got, name)
			}
		})
	}
}

// TestLate has the audio come 300 ms after the video of its time: files are cut
// where their times say.
func TestLate(t *testing.T) {
	const late = 300 * ms
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			all := film.Take(6 * time.Second)
			slices.SortStableFunc(all, func(a, b *codec.Frame) int {
				at := func(f *codec.Frame) time.Duration {
					if f.Track.Kind() == codec.KindAudio {
						return f.DTS + late
					}
					return f.DTS
				}
				return int(at(a) - at(b))
			})
			o.Slice = 2 * time.Second
			g := newRig(t, o, film.Tracks())
			g.write(all...)
			files := g.close()
			require.Len(t, files, 3)
			for i, f := range files {
				require.InDelta(t, 2*time.Second, f.Duration, float64(50*ms))
				require.InDelta(t, 2*time.Second*time.Duration(i), f.Start.Sub(files[0].Start), float64(ms))
				if !o.Format.segmented() {
					audio := containertest.OfKind(readRecording(t, f.Path), codec.KindAudio)
					require.Less(t, audio[0].DTS, 25*ms)
					require.Greater(t, audio[len(audio)-1].DTS, 1950*ms)
				}
			}
		})
	}
}

// TestFastStart: the index comes first, unless there is no room for a copy.
func TestFastStart(t *testing.T) {
	for _, room := range []int64{-1, 500_000} {
		g := newRig(t, formats["MP4 fast start"], film.Tracks())
		g.disk.set(room, nil)
		g.write(film.Take(8 * time.Second)...)
		files := g.close()
		require.Len(t, files, 1)
		b, err := os.ReadFile(files[0].Path)
		require.NoError(t, err)
		require.Len(t, b, int(files[0].Size))
		require.Equal(t, room < 0, bytes.Index(b, []byte("moov")) < bytes.Index(b, []byte("mdat")))
		require.InDelta(t, 8*time.Second, files[0].Duration, float64(50*ms))
		require.NotEmpty(t, readRecording(t, files[0].Path))
		require.Len(t, tree(t, g.root), 1)
	}
}

// TestUnsupported: a format that can carry nothing is refused, one that can carry
// something is not.
func TestUnsupported(t *testing.T) {
	vp8 := testmedia.Track(1, codec.VP8)
	s := &Sink{Key: testKey, Options: Options{Format: TS, Root: t.TempDir()}}
	_, err := s.Create(t.Context(), []*codec.Track{vp8})
	require.ErrorIs(t, err, source.ErrUnsupported)
	w, err := s.Create(t.Context(), []*codec.Track{vp8, testmedia.Track(2, codec.AAC)})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.WriteFrame(t.Context(), film.Take(1)[0]), source.ErrClosed)
}

// TestSync: what a finished file has is on the disk before its name is, unless that
// is not wanted; fragments are if that is wanted.
func TestSync(t *testing.T) {
	for _, format := range []Format{MP4, FLV, TS} {
		for name, c := range map[string]struct {
			o    Options
			want []string
			more int // syncs before
		}{
			"by default": {Options{}, []string{"create", "sync", "close", "rename+sync"}, 0},
			"never":      {Options{NoSync: true}, []string{"create", "close", "rename"}, 0},
			"always":     {Options{SyncFragments: true}, []string{"create", "sync", "close", "rename+sync"}, 3},
		} {
			t.Run(format.String()+" "+name, func(t *testing.T) {
				c.o.Format = format
				g := newRig(t, c.o, film.Tracks())
				g.write(film.Take(9 * time.Second)...)
				require.Len(t, g.close(), 1)
				did := g.disk.did
				for range c.more {
					require.Equal(t, "sync", did[1])
					did = slices.Delete(did, 1, 2)
				}
				require.Equal(t, c.want, slices.Compact(did))
			})
		}
	}
}

// TestFull: a disk that is full ends the file where it plays, the error says so,
// and what comes later begins another file.
func TestFull(t *testing.T) {
	for _, format := range []Format{MP4, FLV, TS} {
		for _, room := range []int64{0, 100, 200_000} {
			t.Run(fmt.Sprint(format, " ", room), func(t *testing.T) {
				g := newRig(t, Options{Format: format}, film.Tracks())
				g.disk.set(room, nil)
				var err error
				all := film.Take(20 * time.Second)
				n := 0
				for ; n < len(all) && err == nil; n++ {
					err = g.w.WriteFrame(t.Context(), all[n])
				}
				require.ErrorIs(t, err, errFull)
				g.disk.set(-1, nil)
				g.write(all[n:]...)
				_ = g.w.Close()
				files := g.log.files()
				if room < 1000 {
					require.Len(t, files, 1)
				} else {
					require.Len(t, files, 2)
					frames := readRecording(t, files[0].Path)
					require.True(t, frames[0].Key())
					require.LessOrEqual(t, files[0].Size, room)
					require.Greater(t, files[0].Duration, time.Second)
					require.InDelta(t, frames[len(frames)-1].DTS, files[0].Duration, float64(50*ms))
				}
				require.True(t, readRecording(t, files[len(files)-1].Path)[0].Key())
				require.Len(t, tree(t, g.root), len(files))
			})
		}
	}
}
