package mp4

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// layouts are all there are.
var layouts = map[string]Layout{"progressive": LayoutProgressive, "fast start": LayoutFastStart, "fragmented": LayoutFragmented}

// A memFile is a file in memory.
type memFile struct {
	b      []byte
	pos    int64
	room   int64 // bytes it can hold; 0: any
	limits int   // writes that were refused
	closed int
	synced int
}

var errFull = errors.New("the disk is full")

func (f *memFile) Write(b []byte) (int, error) {
	n := len(b)
	if f.room > 0 && f.pos+int64(n) > f.room {
		n = int(max(f.room-f.pos, 0))
		f.limits++
	}
	if grown := f.pos + int64(n) - int64(len(f.b)); grown > 0 {
		f.b = append(f.b, make([]byte, grown)...)
	}
	copy(f.b[f.pos:], b[:n])
	f.pos += int64(n)
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func (f *memFile) Seek(at int64, whence int) (int64, error) {
	if whence != io.SeekStart {
		return 0, errors.New("no")
	}
	f.pos = at
	return at, nil
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(f.b).ReadAt(b, at)
}

func (f *memFile) Truncate(n int64) error {
	f.b = f.b[:n]
	return nil
}

func (f *memFile) Sync() error {
	f.synced++
	return nil
}

func (f *memFile) Close() error {
	f.closed++
	return nil
}

// record returns frames as a file.
func record(t testing.TB, tracks []*codec.Track, frames []*codec.Frame, o *WriterOptions) []byte {
	t.Helper()
	var f memFile
	w, err := NewWriter(&f, tracks, o)
	require.NoError(t, err)
	for _, n := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), n))
	}
	require.NoError(t, w.Close())
	require.Equal(t, 1, f.closed)
	return f.b
}

// openBytes opens a file in memory.
func openBytes(b []byte) (*File, error) { return NewFile(bytes.NewReader(b), int64(len(b))) }

// readFile returns the frames of a file.
func readFile(t testing.TB, b []byte) []*codec.Frame {
	t.Helper()
	f, err := openBytes(b)
	require.NoError(t, err)
	frames, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	return frames
}

// Every codec in every layout, with fragments of some and of all frames.
func TestWriterRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		s.Change = 0
		want := s.Take(3 * time.Second)
		for name, layout := range layouts {
			for _, d := range []time.Duration{time.Nanosecond, 0, time.Hour} {
				wire := record(t, s.Tracks(), want, &WriterOptions{Layout: layout, FragmentDuration: d})
				f, err := openBytes(wire)
				require.NoError(t, err, name)
				require.NoError(t, f.Damage())
				require.InDelta(t, 3*time.Second, f.Duration(), float64(50*time.Millisecond))
				requireFilm(t, f, s.Tracks(), want)
			}
		}
	})
}

func TestWriterRoundTripMPEG2Video(t *testing.T) {
	track, want := mpeg2Stream()
	for _, layout := range layouts {
		requireSameFrames(t, want, readFile(t, record(t, []*codec.Track{track}, want, &WriterOptions{Layout: layout})))
	}
}

// Frame rates that vary, gaps, several frames of one time, a track that begins
// late, and times that are on no tick.
func TestWriterRoundTripAnyTimes(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: r.IntN(3), Bitrate: 100_000, Seed: seed}
		late := time.Duration(r.Int64N(int64(300 * time.Millisecond)))
		var want []*codec.Frame
		var moved time.Duration
		start := time.Duration(r.Int64N(int64(time.Hour))) - 20*time.Minute
		for _, f := range s.Take(2 * time.Second) {
			if f.Track.Kind() == codec.KindAudio && f.DTS < late {
				continue
			}
			switch r.IntN(10) {
			case 0:
				moved += time.Duration(r.Int64N(int64(3 * time.Second)))
			case 1, 2:
				moved += time.Duration(r.Int64N(int64(time.Millisecond)))
			}
			f.DTS += moved + start
			f.PTS += moved + start + time.Duration(r.Int64N(100))
			want = append(want, f)
		}
		for _, layout := range layouts {
			got := readFile(t, record(t, s.Tracks(), want, &WriterOptions{Layout: layout}))
			containertest.RequireOrder(t, got)
			containertest.Match{Shift: -want[0].DTS, Tick: func(track *codec.Track) time.Duration {
				return time.Second/time.Duration(scaleOf(track)) + time.Microsecond
			}}.Frames(t, want, got)
		}
	}
}

// A file that was not closed is read as far as it goes, wherever it was cut. No
// whole fragment is lost.
func TestWriterCutAnywhere(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 60_000, GOP: 400 * time.Millisecond}
	want := s.Take(2 * time.Second)
	for name, layout := range layouts {
		var m memFile
		w, err := NewWriter(&m, s.Tracks(), &WriterOptions{Layout: layout, FragmentDuration: 400 * time.Millisecond})
		require.NoError(t, err)
		type state struct{ size, frames int }
		var states []state
		for i, f := range want {
			require.NoError(t, w.WriteFrame(t.Context(), f))
			if n := len(m.b); len(states) == 0 || n > states[len(states)-1].size {
				states = append(states, state{n, i - 1}) // of each track one is held back
			}
		}
		require.Greater(t, len(states), 3)
		wire := bytes.Clone(m.b)
		cuts := []int{}
		for _, s := range states[1:] {
			cuts = append(cuts, s.size-1, s.size, s.size+1)
		}
		for cut := states[1].size; cut < len(wire); cut += 211 {
			cuts = append(cuts, cut)
		}
		for _, cut := range cuts {
			if cut < states[1].size || cut > len(wire) {
				continue
			}
			f, err := openBytes(wire[:cut])
			require.NoError(t, err, "%s, %d bytes", name, cut)
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			least := 0
			whole := false
			for _, s := range states {
				if s.size <= cut {
					least = s.frames
				}
				whole = whole || s.size == cut
			}
			require.GreaterOrEqual(t, len(got), least, "%d bytes", cut)
			require.Equal(t, whole, f.Damage() == nil, "%s, %d bytes: %v", name, cut, f.Damage())
			for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
				of := containertest.OfKind(got, k)
				requireSameFrames(t, containertest.OfKind(want, k)[:len(of)], of)
			}
		}
		require.NoError(t, w.Close())
		requireSameFrames(t, want, readFile(t, m.b))
	}
}

// The process dies while Close changes the file: before the movie box is whole,
// before the header is changed.
func TestWriterCutWhileClosing(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 60_000, BFrames: 2}
	want := s.Take(2 * time.Second)
	fragments := record(t, s.Tracks(), want, nil)
	var m memFile
	w, err := NewWriter(&m, s.Tracks(), nil)
	require.NoError(t, err)
	for _, f := range want {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.NoError(t, w.Close())
	end := int(w.Size())
	require.Equal(t, fragments, m.b)
	before := bytes.Clone(m.b)
	copy(before[w.head:], appendZeros(appendHeader(nil, bigHeader, "free"), 8))
	for n := end; n <= len(before); n += 13 {
		got := readFile(t, before[:n])
		requireSameFrames(t, want, got)
	}
	requireSameFrames(t, want, readFile(t, before))
}

// The disk is full at every position: what was written before is a file.
func TestWriterDiskFull(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 60_000, GOP: 400 * time.Millisecond}
	want := s.Take(2 * time.Second)
	o := &WriterOptions{FragmentDuration: 400 * time.Millisecond}
	whole := record(t, s.Tracks(), want, o)
	for _, layout := range layouts {
		o.Layout = layout
		for room := int64(500); room < int64(len(whole))+3000; room += 701 {
			m := memFile{room: room}
			w, err := NewWriter(&m, s.Tracks(), o)
			if err != nil {
				require.ErrorIs(t, err, errFull)
				continue
			}
			var failed error
			for _, f := range want {
				if failed = w.WriteFrame(t.Context(), f); failed != nil {
					require.ErrorIs(t, failed, errFull)
					require.Equal(t, failed, w.WriteFrame(t.Context(), f), "it sticks")
					require.Equal(t, failed, w.Flush())
					break
				}
			}
			size := w.Size()
			err = w.Close()
			require.Equal(t, m.limits > 0, errors.Is(err, errFull))
			require.Equal(t, 1, m.closed)
			f, err := openBytes(m.b)
			if size < 3000 && err != nil {
				continue // no fragment yet
			}
			require.NoError(t, err)
			require.NoError(t, f.Damage())
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			require.NotEmpty(t, got)
			for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
				of := containertest.OfKind(got, k)
				requireSameFrames(t, containertest.OfKind(want, k)[:len(of)], of)
			}
		}
	}
}

// Fragments are as long as they may be, and begin with key frames if they can.
func TestWriterFragments(t *testing.T) {
	for _, c := range []struct {
		name   string
		stream testmedia.Stream
		o      WriterOptions
		want   []time.Duration // DTS of the first frame
	}{
		{"at key frames", testmedia.Stream{Video: codec.H264, GOP: 1800 * time.Millisecond}, WriterOptions{}, []time.Duration{0, 1800, 3600, 5400, 7200}},
		{"as long as the GOP", testmedia.Stream{Video: codec.H264, GOP: 2 * time.Second}, WriterOptions{}, []time.Duration{0, 2000, 4000, 6000}},
		{"within long GOPs", testmedia.Stream{Video: codec.H264, GOP: 5 * time.Second}, WriterOptions{}, []time.Duration{0, 2000, 4000, 5000, 7000}},
		{"not at each key frame", testmedia.Stream{Video: codec.MJPEG}, WriterOptions{}, []time.Duration{0, 1000, 2000, 3000, 4000, 5000, 6000, 7000}},
		{"of audio", testmedia.Stream{Audio: codec.Opus}, WriterOptions{FragmentDuration: 3 * time.Second}, []time.Duration{0, 3000, 6000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.stream.Bitrate = 30_000
			c.o.Layout = LayoutFragmented
			wire := record(t, c.stream.Tracks(), c.stream.Take(7400*time.Millisecond), &c.o)
			var got []time.Duration
			boxes, _ := topLevel(t, wire)
			for _, x := range boxes {
				if x.kind == typeOf("moof") {
					i := bytes.Index(x.body, []byte("tfdt"))
					in := fields{b: x.body[i+8:]}
					got = append(got, codec.FromTicks(int64(in.u64()), scaleOf(c.stream.Tracks()[0]))/time.Millisecond)
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Frames that are longer than the buffer, and many that are waited for.
func TestWriterLargeFrames(t *testing.T) {
	track := testmedia.Track(1, codec.MJPEG)
	picture := testmedia.Stream{Video: codec.MJPEG}.Take(time.Millisecond)[0].Data
	var want []*codec.Frame
	for i := range 20 {
		at := time.Duration(i) * 40 * time.Millisecond
		data := append(bytes.Clone(picture), make([]byte, 1<<20+i)...)
		want = append(want, &codec.Frame{Track: track, DTS: at, PTS: at, Flags: codec.FlagKey, Data: data})
	}
	for _, layout := range layouts {
		wire := record(t, []*codec.Track{track}, want, &WriterOptions{Layout: layout, FragmentDuration: time.Hour})
		got := readFile(t, wire)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, want[i].Data, got[i].Data)
		}
	}
	require.Equal(t, 2, bytes.Count(record(t, []*codec.Track{track}, want, &WriterOptions{FragmentDuration: time.Hour}), []byte("moof")))
}

func TestWriterRefuses(t *testing.T) {
	tracks := testmedia.Stream{Video: codec.H264}.Tracks()
	_, err := NewWriter(&memFile{}, nil, nil)
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = NewWriter(&bytes.Buffer{}, tracks, nil)
	require.ErrorIs(t, err, source.ErrUnsupported)
	_, err = NewWriter(struct{ io.WriteSeeker }{&memFile{}}, tracks, &WriterOptions{Layout: LayoutFastStart})
	require.ErrorIs(t, err, source.ErrUnsupported)
	w, err := NewWriter(&bytes.Buffer{}, tracks, &WriterOptions{Layout: LayoutFragmented})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.WriteFrame(t.Context(), nil), source.ErrClosed)
}

// New parameters are refused; the file is what came before.
func TestWriterNewFormat(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Change: 1, Bitrate: 50_000}
	var m memFile
	w, err := NewWriter(&m, s.Tracks(), nil)
	require.NoError(t, err)
	var had []*codec.Frame
	for f := range s.Frames() {
		if err = w.WriteFrame(t.Context(), f); err != nil {
			break
		}
		had = append(had, f)
	}
	require.ErrorIs(t, err, source.ErrNewFormat)
	require.Equal(t, had[len(had)-1].DTS, w.Duration())
	require.NoError(t, w.Close())
	requireSameFrames(t, had, readFile(t, m.b))
}

// Nothing was written: that is a file without samples.
func TestWriterEmpty(t *testing.T) {
	for _, layout := range layouts {
		_, err := openBytes(record(t, testmedia.Stream{Video: codec.H264}.Tracks(), nil, &WriterOptions{Layout: layout}))
		require.ErrorIs(t, err, source.ErrUnsupported)
	}
}

func TestWriterSync(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: 400 * time.Millisecond, Bitrate: 20_000}
	for _, c := range []struct {
		o    WriterOptions
		want int
	}{{WriterOptions{}, 0}, {WriterOptions{Sync: true}, 2}, {WriterOptions{Layout: LayoutFragmented, Sync: true}, 1}, {WriterOptions{SyncFragments: true}, 3}} {
		var m memFile
		c.o.FragmentDuration = 400 * time.Millisecond
		w, err := NewWriter(&m, s.Tracks(), &c.o)
		require.NoError(t, err)
		for _, f := range s.Take(1200 * time.Millisecond) {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.Close())
		require.Equal(t, c.want, m.synced)
	}
}

func BenchmarkWriter(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(20 * time.Second)
	bytes := 0
	for _, f := range frames {
		bytes += len(f.Data)
	}
	w, err := NewWriter(io.Discard, s.Tracks(), &WriterOptions{Layout: LayoutFragmented})
	require.NoError(b, err)
	b.ReportAllocs()
	b.SetBytes(int64(bytes / len(frames)))
	shift := time.Duration(0)
	for i := 0; b.Loop(); i++ { // an operation is a frame
		if i == len(frames) {
			i, shift = 0, shift+20*time.Second
		}
		f := *frames[i]
		f.DTS += shift
		f.PTS += shift
		if err := w.WriteFrame(b.Context(), &f); err != nil {
			b.Fatal(err)
		}
	}
}
