package mp4

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
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

var (
	_ source.Reader     = (*File)(nil)
	_ source.Seeker     = (*File)(nil)
	_ source.KeyIndexer = (*File)(nil)
	_ source.Writer     = (*Writer)(nil)
)

// To wherever one goes, what follows is what follows there when the file is read
// from its beginning, however the file is laid out.
func TestFileSeek(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond},
		{Video: codec.H265, GOP: time.Second},
		{Video: codec.MJPEG, Audio: codec.PCMA},
		{Audio: codec.AAC},
		{Audio: codec.PCMU},
	} {
		s.Bitrate = 60_000
		frames := s.Take(3 * time.Second)
		for name, wire := range map[string][]byte{
			"progressive":    record(t, s.Tracks(), frames, nil),
			"fast start":     record(t, s.Tracks(), frames, &WriterOptions{Layout: LayoutFastStart}),
			"fragmented":     record(t, s.Tracks(), frames, &WriterOptions{Layout: LayoutFragmented}),
			"by frames":      mux(t, s.Tracks(), frames, 1),
			"one fragment":   mux(t, s.Tracks(), frames, 1<<20),
			"without times":  withoutTimes(t, mux(t, s.Tracks(), frames, 20)),
			"without index":  unmarked(t, record(t, s.Tracks(), frames, nil)),
			"hybrid":         hybrid(t, s.Tracks(), frames),
			"track by track": separate(t, s.Tracks(), frames),
		} {
			t.Run(containertest.Name(s)+" "+name, func(t *testing.T) {
				containertest.TestFile(t, openFile, wire, frames, func(t *testing.T, want, got []*codec.Frame) { requireSameFrames(t, want, got) })
			})
		}
	}
}

// openFile is NewFile as containertest takes it.
func openFile(r io.ReaderAt, size int64) (containertest.File, error) { return NewFile(r, size) }

// withoutTimes removes the decode times of fragments.
func withoutTimes(t *testing.T, wire []byte) []byte {
	t.Helper()
	return bytes.ReplaceAll(wire, []byte("tfdt"), []byte("free"))
}

// unmarked removes the box that says which samples are keys.
func unmarked(t *testing.T, wire []byte) []byte {
	t.Helper()
	return bytes.ReplaceAll(wire, []byte("stss"), []byte("free"))
}

// hybrid returns a file whose first half is listed in the movie box, the rest in
// fragments, as ffmpeg writes it unless it is told otherwise.
func hybrid(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	half := len(frames) / 2
	wire := record(t, tracks, frames[:half], nil)
	extends := appendBox(nil, "mvex", func(b []byte) []byte {
		for i := range tracks {
			b = appendFullBox(b, "trex", 0, 0, func(b []byte) []byte { return appendUint32s(b, uint32(i+1), 1, 0, 0, 0) })
		}
		return b
	})
	moov := bytes.LastIndex(wire, []byte("moov")) - 4
	wire = append(wire[:moov], inserted(bytes.Clone(wire[moov:]), "trak", extends, "moov")...)
	rest := mux(t, tracks, frames[half:], 7)
	return append(wire, rest[len(appendInit(nil, tracks)):]...)
}

// separate returns a file in which each fragment is of one track, two seconds long.
func separate(t *testing.T, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	init := appendInit(nil, tracks)
	type part struct {
		at   time.Duration
		id   int
		wire []byte
	}
	var parts []part
	for i, track := range tracks {
		m, err := NewMuxer([]*codec.Track{track})
		require.NoError(t, err)
		begin := time.Duration(0)
		cut := func() {
			b := m.AppendFragment(nil)
			if len(b) > 0 {
				binary.BigEndian.PutUint32(b[bytes.Index(b, []byte("tfhd"))+8:], uint32(i+1))
				parts = append(parts, part{begin, i, b})
			}
		}
		for _, f := range frames {
			if f.Track.ID != track.ID {
				continue
			}
			require.NoError(t, m.Add(f))
			if f.DTS-begin >= 2*time.Second {
				cut()
				begin = f.DTS
			}
		}
		m.Flush()
		cut()
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.at, b.at) })
	for _, p := range parts {
		init = append(init, p.wire...)
	}
	return init
}

// A tableFile is a file of one track whose tables a test writes.
type tableFile struct {
	track  *codec.Track
	data   []byte // from byte dataAt on
	tables []byte
	edits  []byte
}

// dataAt is where the samples of a tableFile are.
const dataAt = boxHeader

// bytes returns the file: mdat, moov.
func (f tableFile) bytes() []byte {
	trak := appendTrack(nil, 1, f.track, nil)
	empty := len((*listing)(nil).appendTables(nil))
	trak = trak[:len(trak)-empty]
	for _, name := range []string{"trak", "mdia", "minf", "stbl"} {
		at := bytes.Index(trak, []byte(name)) - 4
		binary.BigEndian.PutUint32(trak[at:], binary.BigEndian.Uint32(trak[at:])-uint32(empty)+uint32(len(f.tables)))
	}
	trak = append(trak, f.tables...)
	if f.edits != nil {
		trak = inserted(trak, "mdia", f.edits, "trak")
	}
	return appendBox(mdat(f.data...), "moov", func(b []byte) []byte {
		return append(appendMovieHeader(b, 2, 0), trak...)
	})
}

// fullTable returns a table box.
func fullTable(name string, values ...uint32) []byte {
	return appendFullBox(nil, name, 0, 0, func(b []byte) []byte { return appendUint32s(b, values...) })
}

// Tables in all their forms.
func TestFileTables(t *testing.T) {
	aac, alaw := testmedia.Track(1, codec.AAC), testmedia.Track(1, codec.PCMA)
	times := fullTable("stts", 1, 5, 1000)
	runs := fullTable("stsc", 2, 1, 3, 1, 2, 2, 1)
	sizes := fullTable("stsz", 0, 5, 1, 2, 3, 4, 5)
	places := fullTable("stco", 2, dataAt+20, dataAt)
	want := []string{"u", "vw", "xyz", "abcd", "efghi"}
	for _, c := range []struct {
		name   string
		track  *codec.Track
		tables []byte
		want   []string
		dts    []int64 // ticks
	}{
		{"plain", aac, join(times, runs, sizes, places), want, []int64{0, 1000, 2000, 3000, 4000}},
		{"positions of 64 bits", aac, join(times, runs, sizes, fullTable("co64", 2, 0, dataAt+20, 0, dataAt)), want, nil},
		{"sizes of 8 bits", aac, join(times, runs, places, fullTable("stz2", 8, 5, 0x01020304, 0x05000000)), want, nil},
		{"sizes of 16 bits", aac, join(times, runs, places, fullTable("stz2", 16, 5, 0x00010002, 0x00030004, 0x00050000)), want, nil},
		{"sizes of 4 bits", aac, join(times, runs, places, fullTable("stz2", 4, 5, 0x12345000)), want, nil},
		{"one size", aac, join(times, runs, places, fullTable("stsz", 2, 5)), []string{"uv", "wx", "yz", "ab", "cd"}, nil},
		{"an empty sample", aac, join(times, runs, places, fullTable("stsz", 0, 5, 1, 0, 3, 4, 5)), []string{"u", "vwx", "abcd", "efghi"}, []int64{0, 2000, 3000, 4000}},
		{"several durations", aac, join(fullTable("stts", 4, 1, 10, 0, 5, 2, 20, 1, 30), runs, sizes, places), want, []int64{0, 10, 30, 50, 80}},
		{"too few durations", aac, join(fullTable("stts", 1, 2, 10), runs, sizes, places), want, []int64{0, 10, 20, 30, 40}},
		{"a negative duration", aac, join(fullTable("stts", 2, 2, 10, 3, 0xffffffff), runs, sizes, places), want, []int64{0, 10, 20, 20, 20}},
		{"too few chunks", aac, join(times, fullTable("stsc", 1, 1, 2, 1), sizes, places), []string{"u", "vw", "abc", "defg"}, nil},
		{"an empty chunk", aac, join(times, fullTable("stsc", 2, 1, 0, 1, 2, 3, 1), sizes, places), []string{"a", "bc", "def"}, nil},
		{"no chunks", aac, join(times, fullTable("stsc", 0), sizes, places), nil, nil},
		{"PCM, each sample listed", alaw, join(fullTable("stts", 1, 7, 1), fullTable("stsc", 2, 1, 4, 1, 2, 3, 1), fullTable("stsz", 1, 7), places), []string{"uvwx", "abc"}, []int64{0, 4}},
		{"PCM, frames listed", alaw, join(fullTable("stts", 1, 2, 4), fullTable("stsc", 1, 1, 1, 1), fullTable("stsz", 4, 2), places), []string{"uvwx", "abcd"}, []int64{0, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := openBytes(tableFile{track: c.track, data: []byte("abcdefghijklmnopqrstuvwxyz"), tables: c.tables}.bytes())
			if c.want == nil {
				require.ErrorIs(t, err, source.ErrUnsupported)
				return
			}
			require.NoError(t, err)
			require.NoError(t, f.Damage())
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			var data []string
			var dts []int64
			for _, g := range got {
				data = append(data, string(g.Data))
				dts = append(dts, codec.Ticks(g.DTS, c.track.SampleRate))
			}
			require.Equal(t, c.want, data)
			if c.dts != nil {
				require.Equal(t, c.dts, dts)
			}
		})
	}
}

// PCM of which each sample is listed comes in frames of 20 ms.
func TestFilePCMGroups(t *testing.T) {
	track := testmedia.Track(1, codec.L16)
	const n = 48000
	data := make([]byte, n*4)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	f, err := openBytes(tableFile{track: track, data: data, tables: join(
		fullTable("stts", 1, n, 1), fullTable("stsc", 1, 1, n, 1), fullTable("stsz", 1, n), fullTable("stco", 1, dataAt),
	)}.bytes())
	require.NoError(t, err)
	require.Equal(t, time.Second, f.Duration())
	got, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 50)
	var all []byte
	for i, g := range got {
		require.Equal(t, time.Duration(i)*20*time.Millisecond, g.DTS)
		all = append(all, g.Data...)
	}
	require.Equal(t, data, all)
	at, err := f.Seek(t.Context(), 999*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 900*time.Millisecond, at)
}

// Presentation that precedes decoding moves decoding, not presentation.
func TestFileNegativeOffsets(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, BFrames: 2, Bitrate: 50_000, GOP: 400 * time.Millisecond}
	want := s.Take(time.Second)
	shifted := make([]*codec.Frame, len(want))
	for i, f := range want {
		g := *f
		g.PTS -= 40 * time.Millisecond
		shifted[i] = &g
	}
	for name, layout := range layouts {
		wire := record(t, s.Tracks(), shifted, &WriterOptions{Layout: layout})
		got := readFile(t, wire)
		for _, g := range got {
			require.GreaterOrEqual(t, g.PTS, g.DTS, name)
		}
		requireSameFrames(t, want, got)
	}
}

// Edit lists move tracks against each other; what comes first is at 0.
func TestFileEdits(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	frames := s.Take(time.Second)
	wire := record(t, s.Tracks(), frames, nil)
	for name, c := range map[string]struct {
		entries []uint32
		video   time.Duration // DTS of the first frame
	}{
		"delayed":          {[]uint32{2, 45000, 0xffffffff, 1 << 16, 0, 0, 1 << 16}, 500 * time.Millisecond},
		"from a sample on": {[]uint32{1, 0, 9000, 1 << 16}, 0},
	} {
		edts := appendBox(nil, "edts", func(b []byte) []byte {
			return appendFullBox(b, "elst", 0, 0, func(b []byte) []byte { return appendUint32s(b, c.entries...) })
		})
		moov := bytes.LastIndex(wire, []byte("moov")) - 4
		plain := bytes.Replace(bytes.Clone(wire[moov:]), []byte("edts"), []byte("free"), 1)
		b := append(bytes.Clone(wire[:moov]), inserted(plain, "mdia", edts, "moov", "trak")...)
		got := readFile(t, b)
		video, audio := containertest.OfKind(got, codec.KindVideo), containertest.OfKind(got, codec.KindAudio)
		require.Equal(t, c.video, video[0].DTS, name)
		want := 100 * time.Millisecond
		if c.video > 0 {
			want = 0
		}
		require.Equal(t, want, audio[0].DTS, name)
	}
}

// A progressive file that was cut is read up to there.
func TestFileCutShort(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000, GOP: 400 * time.Millisecond}
	want := s.Take(3 * time.Second)
	wire := record(t, s.Tracks(), want, &WriterOptions{Layout: LayoutFastStart, FragmentDuration: 400 * time.Millisecond})
	media := bytes.Index(wire, []byte("mdat"))
	last := -1
	for cut := media; cut < len(wire); cut += 331 {
		f, err := openBytes(wire[:cut])
		if err != nil {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.Equal(t, -1, last)
			continue
		}
		require.ErrorIs(t, f.Damage(), io.ErrUnexpectedEOF)
		got, err := containertest.ReadAll(f)
		require.Equal(t, io.EOF, err)
		require.GreaterOrEqual(t, len(got), last)
		require.GreaterOrEqual(t, f.Duration(), got[len(got)-1].DTS)
		last = len(got)
		for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
			of := containertest.OfKind(got, k)
			requireSameFrames(t, containertest.OfKind(want, k)[:len(of)], of)
		}
	}
	require.InDelta(t, len(want), last, 1)
	_, err := openBytes(record(t, s.Tracks(), want, nil)[:5000])
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the movie box is gone")
	require.ErrorContains(t, err, "mdat box at byte")
}

// What the movie box does not tell is read from the frames, and nothing is lost.
func TestFileProbes(t *testing.T) {
	audio := testmedia.Stream{Audio: codec.MP2}
	want := audio.Take(time.Second)
	for _, layout := range layouts {
		f, err := openBytes(record(t, audio.Tracks(), want, &WriterOptions{Layout: layout}))
		require.NoError(t, err)
		require.Equal(t, codec.MP2, f.Tracks()[0].Codec)
		got, err := containertest.ReadAll(f)
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got)
	}
}

// A file is closed while it is read.
func TestFileClose(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 8_000_000}
	path := filepath.Join(t.TempDir(), "x.mp4")
	require.NoError(t, os.WriteFile(path, record(t, s.Tracks(), s.Take(3*time.Second), nil), 0o600))
	open := func() *File {
		file, err := os.Open(path)
		require.NoError(t, err)
		info, err := file.Stat()
		require.NoError(t, err)
		f, err := NewFile(file, info.Size())
		require.NoError(t, err)
		return f
	}
	f := open()
	done := make(chan error)
	go func() {
		for {
			if _, err := f.ReadFrame(context.Background()); err == io.EOF {
				_, err = f.Seek(context.Background(), 0)
				if err != nil {
					done <- err
					return
				}
			} else if err != nil {
				done <- err
				return
			}
		}
	}()
	require.NoError(t, f.Close())
	require.ErrorIs(t, <-done, source.ErrClosed)
}

func TestFileEnds(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 50_000}
	containertest.TestFileEnds(t, openFile, record(t, s.Tracks(), s.Take(time.Second), nil))
}

// Errors of the disk are told as they are, and are not the end of the file.
func TestFileReadErrors(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 2_000_000}
	broken := errors.New("bad sector")
	for _, layout := range layouts {
		wire := record(t, s.Tracks(), s.Take(3*time.Second), &WriterOptions{Layout: layout})
		for good := 0; ; good++ {
			f, err := NewFile(&failing{bytes.NewReader(wire), good, broken}, int64(len(wire)))
			if err == nil {
				if _, err = f.KeyTimes(t.Context()); err == nil {
					_, err = containertest.ReadAll(f)
				}
			}
			if err == io.EOF {
				require.Greater(t, good, 3)
				break
			}
			require.ErrorIs(t, err, broken)
		}
	}
}

// A failing reads so often.
type failing struct {
	io.ReaderAt
	good int
	err  error
}

func (f *failing) ReadAt(b []byte, at int64) (int, error) {
	if f.good--; f.good < 0 {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(b, at)
}

func BenchmarkFile(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(20 * time.Second)
	wire := record(b, s.Tracks(), frames, nil)
	f, err := openBytes(wire)
	require.NoError(b, err)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire) / len(frames)))
	for b.Loop() { // an operation is a frame
		if _, err := f.ReadFrame(b.Context()); err == io.EOF {
			_, err = f.Seek(b.Context(), 0)
			require.NoError(b, err)
		}
	}
}
