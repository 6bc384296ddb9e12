package flv

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func openFile(r io.ReaderAt, size int64) (containertest.File, error) { return NewFile(r, size) }

func TestFile(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) {
		s.GOP = 700 * time.Millisecond
		want := s.Take(8 * time.Second)
		containertest.TestFile(t, openFile, write(t, form, s.Tracks(), want), want, requireSameFrames)
	})
}

func TestFileEnds(t *testing.T) { containertest.TestFileEnds(t, openFile, short(t)) }

// film is a file that is large enough to be halved.
func film(t testing.TB, change int) ([]byte, []*codec.Frame) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Bitrate: 500_000, Change: change}
	frames := s.Take(30 * time.Second)
	return write(t, FormStandard, s.Tracks(), frames), frames
}

func TestFileLarge(t *testing.T) {
	b, want := film(t, 0)
	containertest.TestFile(t, openFile, b, want, requireSameFrames)
}

// New parameters in the middle are those of what is behind them, once they are
// known.
func TestFileChanges(t *testing.T) {
	b, want := film(t, 3)
	for name, learn := range map[string]func(*File){
		"by reading":  func(f *File) { _, _ = containertest.ReadAll(f) },
		"by KeyTimes": func(f *File) { _, _ = f.KeyTimes(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			learn(f)
			for _, target := range []time.Duration{30 * time.Second, 5 * time.Second, time.Minute, 0, 20 * time.Second} {
				containertest.RequireLanding(t, f, want, target)
			}
		})
	}
}

// onDisk returns what a Writer writes that can seek.
func onDisk(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.flv")
	out, err := os.Create(name)
	require.NoError(t, err)
	w := NewWriter(out, tracks)
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
	require.NoError(t, w.Close())
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return b
}

// A Writer with a buffer writes the same file, its table of key frames included.
func TestWriterBuffer(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Bitrate: 300_000}
	frames := s.Take(3 * time.Second)
	want := onDisk(t, s.Tracks(), frames)
	for _, size := range []int{1, 10_000, 1 << 20} {
		out, err := os.Create(filepath.Join(t.TempDir(), "a.flv"))
		require.NoError(t, err)
		w := NewWriter(out, s.Tracks())
		w.Buffer = size
		for _, f := range frames {
			require.NoError(t, w.WriteFrame(t.Context(), f))
		}
		require.NoError(t, w.Close())
		got, err := os.ReadFile(out.Name())
		require.NoError(t, err)
		require.Equal(t, containertest.Digest(want), containertest.Digest(got))
	}
}

// The table of key frames that a Writer leaves saves reading the file for it. It
// may be anything: then the file is read as if there was none.
func TestFileKeyTable(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Bitrate: 2_000_000}
	want := s.Take(30 * time.Second)
	good := onDisk(t, s.Tracks(), want)
	table := parseKeyTable(good)
	require.Len(t, table.times, 75)
	places := bytes.Index(good, keyPlaces) + len(keyPlaces) + 4
	times := bytes.Index(good, keyTimes) + len(keyTimes) + 4
	set := func(at int, v float64) func([]byte) {
		return func(b []byte) { binary.BigEndian.PutUint64(b[at+1:], math.Float64bits(v)) }
	}
	for _, c := range []struct {
		name   string
		change func([]byte)
		fast   bool
	}{
		{"as it is", func([]byte) {}, true},
		{"no tag there", set(places, table.places[0]+1), false},
		{"beyond the file", set(places+74*9, 1e12), false},
		{"not a place", set(places, math.NaN()), false},
		{"between bytes", set(places, table.places[0]+0.5), false},
		{"not in order", set(places+9, 20), false},
		{"wrong time", set(times, 0.1), false},
		{"times fall", set(times+9, 20), false},
		{"negative", set(times, -1), false},
		{"another type", func(b []byte) { b[times+9] = 5 }, false},
		{"one less", func(b []byte) { b[times-1]--; b[places-1]-- }, false},
		{"another length", func(b []byte) { b[times-1]-- }, false},
		{"longer than the tag", func(b []byte) { b[times-4], b[places-4] = 0x7f, 0x7f }, false},
		{"no such object", func(b []byte) { b[bytes.Index(b, []byte("keyframes"))]++ }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bytes.Clone(good)
			c.change(b)
			containertest.TestFile(t, openFile, b, want, requireSameFrames)
			in := &containertest.CountingAt{ReaderAt: bytes.NewReader(b)}
			f, err := NewFile(in, int64(len(b)))
			require.NoError(t, err)
			in.N = 0
			_, err = f.KeyTimes(t.Context())
			require.NoError(t, err)
			require.Equal(t, c.fast, in.N == 0)
		})
	}
}

// A table that proves wrong after the file was opened.
func TestFileKeyTableWrong(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond, Bitrate: 500_000}
	want := s.Take(30 * time.Second)
	b := onDisk(t, s.Tracks(), want)
	at := bytes.Index(b, keyPlaces) + len(keyPlaces) + 4 + 7*9 + 1
	binary.BigEndian.PutUint64(b[at:], math.Float64bits(parseKeyTable(b).places[7]+1))
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	containertest.RequireLanding(t, f, want, 3600*time.Millisecond)
	times, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	require.Len(t, times, 75)
}

// The table has room for so many key frames; of more it has those of the whole file.
func TestKeyTableWriter(t *testing.T) {
	for _, n := range []int{0, 1, maxKeys, maxKeys + 1, 2 * maxKeys, 5*maxKeys + 3} {
		var w keyTableWriter
		for i := range n {
			w.add(time.Duration(i)*time.Second, int64(i)*1000)
		}
		p := w.properties()
		b := amf.Append(nil, p)
		require.Len(t, b, len(amf.Append(nil, (&keyTableWriter{}).properties())))
		table := parseKeyTable(b)
		require.LessOrEqual(t, len(table.times), maxKeys)
		require.GreaterOrEqual(t, len(table.times), min(n, maxKeys/2))
		step := 1.0
		if len(table.times) > 1 {
			step = table.times[1]
		}
		for i := range table.times {
			require.Equal(t, float64(i)*step, table.times[i])
			require.Equal(t, float64(i)*step*1000, table.places[i])
		}
		require.GreaterOrEqual(t, float64(len(table.times))*step, float64(n))
	}
}

// A file that was being written ends with its last whole tag, whatever is behind it.
func TestFileCutAtEveryLength(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	want := s.Take(300 * time.Millisecond)
	whole := write(t, FormStandard, s.Tracks(), want)
	for n := range len(whole) + 1 {
		files := [][]byte{whole[:n]}
		if n%97 == 0 { // it takes a while
			files = append(files, slices.Concat(whole[:n], make([]byte, 300_000)))
		}
		for _, b := range files {
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				require.ErrorIs(t, err, ErrInvalid, n)
				require.Less(t, n, 700, "of the header")
				continue
			}
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err, n)
			require.LessOrEqual(t, len(got), len(want))
			for i := range got {
				require.Equal(t, want[i].DTS, got[i].DTS)
			}
			if n == len(whole) {
				require.Len(t, got, len(want))
			}
		}
	}
}

// Times of a live stream that was written down begin anywhere.
func TestFileClock(t *testing.T) {
	for _, start := range []time.Duration{time.Hour, (1<<32 - 3000) * time.Millisecond} {
		s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000}
		want := s.Take(20 * time.Second)
		b := write(t, FormStandard, s.Tracks(), containertest.Later(want, start))
		containertest.TestFile(t, openFile, b, want, requireSameFrames)
	}
}

// Where times fall another timeline begins.
func TestFileTimesFall(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 500_000}
	one := write(t, FormStandard, s.Tracks(), s.Take(20*time.Second))
	b := slices.Concat(one, one[fileHeader+tagSize:], one[fileHeader+tagSize:])
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	containertest.RequireKeysEachSecond(t, f, 60, 100*time.Millisecond)
}

// A file can be read from any place though the sizes behind its tags are wrong, if
// it has some: zeros behind the last tag may be those of a tag that was not written.
func TestFileWrongSizes(t *testing.T) {
	file, want := film(t, 0)
	for name, change := range wrongSizes {
		t.Run(name, func(t *testing.T) {
			b, want := bytes.Clone(file), want
			eachSize(b, change)
			if name == "none" {
				want = want[:len(want)-1]
			}
			containertest.TestFile(t, openFile, b, want, requireSameFrames)
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			times, err := f.KeyTimes(t.Context())
			require.NoError(t, err)
			require.Len(t, times, 15)
			for _, at := range times {
				containertest.RequireLanding(t, f, want, at)
			}
		})
	}
}

// Damage ends the reading; what is behind it can be sought.
func TestFileDamage(t *testing.T) {
	b, want := film(t, 0)
	clear(b[len(b)/3 : len(b)/3+100_000])
	b[len(b)/3] = 0xff
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	_, err = containertest.ReadAll(f)
	require.ErrorIs(t, err, ErrInvalid)
	containertest.RequireLanding(t, f, want, 25*time.Second)
	containertest.RequireLanding(t, f, want, 2*time.Second)
}

// What is asked for is found by reading little.
func TestFileReadsLittle(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 4_000_000}
	b := write(t, FormStandard, s.Tracks(), s.Take(time.Minute))
	containertest.TestFileReadsLittle(t, openFile, b, 3<<20, 2<<20)
}

// The beginning of a body tells what is in it.
func TestContentOf(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) {
		m := NewBodyMuxer(s.Tracks(), form)
		bodies := m.Config()
		for _, f := range s.Take(time.Second) {
			var err error
			bodies, err = m.Append(bodies, f)
			require.NoError(t, err)
		}
		for _, b := range bodies {
			want := contentFrame
			switch {
			case b.Type == TagScript:
				want = contentOther
			case b.Header:
				want = contentConfig
			}
			whole := join(b)
			c, key := contentOf(b.Type, whole[:min(len(whole), bodyStart)])
			require.Equal(t, want, c)
			if want == contentFrame {
				require.Equal(t, b.Key || b.Type == TagAudio, key)
			}
		}
	})
	modified := func(packet byte, n int) []byte {
		return slices.Concat([]byte{0x90 | packetModEx, byte(n - 1)}, make([]byte, n), []byte{packet}, []byte("avc1"))
	}
	for _, c := range []struct {
		name string
		body []byte
		want content
	}{
		{"empty", nil, contentOther},
		{"one byte", []byte{0x17}, contentOther},
		{"end of sequence", []byte{0x17, 2, 0, 0, 0}, contentOther},
		{"command", []byte{0x57, 1}, contentOther},
		{"enhanced command", []byte{0xd1, 1}, contentOther},
		{"modified sequence header", modified(packetStart, 2), contentConfig},
		{"modified frame", modified(packetFrames, 2), contentFrame},
		{"modified by much", modified(packetStart, 200)[:bodyStart], contentFrame},
		{"multitrack sequence header", []byte{0x96, 0x00, 'a', 'v', 'c', '1', 0}, contentConfig},
		{"multitrack frame", []byte{0x96, 0x01, 'a', 'v', 'c', '1', 0}, contentFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := contentOf(TagVideo, c.body)
			require.Equal(t, c.want, got)
		})
	}
}

// FuzzFile opens, reads and searches anything.
func FuzzFile(f *testing.F) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 100 * time.Millisecond, Bitrate: 20_000}
	f.Add(write(f, FormStandard, s.Tracks(), s.Take(300*time.Millisecond)), int64(150*time.Millisecond))
	f.Add(onDisk(f, s.Tracks(), s.Take(300*time.Millisecond)), int64(150*time.Millisecond))
	for _, c := range badFiles {
		f.Add(append(fileStart[:len(fileStart):len(fileStart)], c.wire...), int64(0))
	}
	f.Fuzz(func(t *testing.T, b []byte, at int64) {
		file, err := NewFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		frames, _ := containertest.ReadAll(file)
		containertest.RequireOrder(t, frames)
		containertest.RequireSeeks(t, file, time.Duration(at), ErrInvalid)
	})
}
