package ts

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func openFile(r io.ReaderAt, size int64) (containertest.File, error) { return NewFile(r, size) }

func requireSame(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	requireSameFrames(t, want, got, -want[0].DTS)
}

func TestFile(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		s.GOP = 700 * time.Millisecond
		want := s.Take(8 * time.Second)
		containertest.TestFile(t, openFile, write(t, s.Tracks(), want), want, requireSame)
	})
}

func TestFileEnds(t *testing.T) {
	b, _ := film(t, testmedia.Stream{Video: codec.H264})
	containertest.TestFileEnds(t, openFile, b)
}

// film returns a file that is large enough to be halved.
func film(t testing.TB, s testmedia.Stream) ([]byte, []*codec.Frame) {
	frames := containertest.Film(s)
	return write(t, s.Tracks(), frames), frames
}

func TestFileLarge(t *testing.T) {
	for _, s := range containertest.Films() {
		t.Run(containertest.Name(s), func(t *testing.T) {
			b, want := film(t, s)
			containertest.TestFile(t, openFile, b, want, requireSame)
		})
	}
}

// Packets with times before them, or error correction behind them.
func TestFileStrides(t *testing.T) {
	b, want := film(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC})
	for _, c := range [][2]int{{4, 0}, {0, 16}} {
		var file []byte
		packetsIn(b, func(_ int, p []byte) {
			file = append(file, make([]byte, c[0])...)
			file = append(file, p...)
			file = append(file, make([]byte, c[1])...)
		})
		containertest.TestFile(t, openFile, file, want, requireSame)
	}
}

// Encoders that do not say where key frames are, and those that say it of all.
func TestFileRandomAccessIndicator(t *testing.T) {
	for _, set := range []bool{false, true} {
		for _, c := range []codec.Codec{codec.H264, codec.H265} {
			b, want := film(t, testmedia.Stream{Video: c, Audio: codec.AAC})
			packetsIn(b, func(_ int, p []byte) {
				if p[3]&0x20 == 0 || p[4] == 0 {
					return
				}
				if p[5] &^= flagRandomAccess; set {
					p[5] |= flagRandomAccess
				}
			})
			containertest.TestFile(t, openFile, b, want, requireSame)
		}
	}
}

// Damage costs what is damaged. What is asked for is found around it.
func TestFileDamage(t *testing.T) {
	b, _ := film(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC})
	third := len(b) / 3
	damaged := slices.Concat(b[:third], make([]byte, 1_000_003), b[third+200_000:])
	f, err := NewFile(bytes.NewReader(damaged), int64(len(damaged)))
	require.NoError(t, err)
	all, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	for at := time.Duration(0); at < f.Duration(); at += 1500 * time.Millisecond {
		containertest.RequireLanding(t, f, all, at)
	}
}

// Files that were joined are one timeline, whatever their times are.
func TestFileJoined(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 200_000}
	one := write(t, s.Tracks(), s.Take(20*time.Second))
	for name, b := range map[string][]byte{
		"the same again": slices.Concat(one, one, one),
		"much later":     slices.Concat(one, later(t, s, time.Hour), one),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			containertest.RequireKeysEachSecond(t, f, 3*20, 200*time.Millisecond)
			_, err = f.Seek(t.Context(), 19*time.Second)
			require.NoError(t, err)
			rest, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			containertest.RequireOrder(t, rest)
			require.InDelta(t, time.Minute, rest[len(rest)-1].DTS, float64(300*time.Millisecond))
		})
	}
}

// later returns s as a file whose times begin at start.
func later(t *testing.T, s testmedia.Stream, start time.Duration) []byte {
	return write(t, s.Tracks(), containertest.Later(s.Take(20*time.Second), start))
}

// The clock has 33 bits and wraps.
func TestFileWrap(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 400_000}
	b := later(t, s, codec.FromTicks(1<<33, pes.ClockRate)-5*time.Second)
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.InDelta(t, 20*time.Second, f.Duration(), float64(200*time.Millisecond))
	all, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Zero(t, all[0].DTS)
	for at := time.Duration(0); at < f.Duration(); at += 1500 * time.Millisecond {
		containertest.RequireLanding(t, f, all, at)
	}
}

func TestFileCutAtEveryLength(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	whole := write(t, s.Tracks(), s.Take(200*time.Millisecond))
	for n := range len(whole) {
		f, err := NewFile(bytes.NewReader(whole[:n]), int64(n))
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid, n)
			continue
		}
		_, err = containertest.ReadAll(f)
		require.Equal(t, io.EOF, err)
		_, err = f.Seek(t.Context(), f.Duration())
		require.NoError(t, err)
	}
}

// What is asked for is found by reading little.
func TestFileReadsLittle(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 4_000_000}
	b := write(t, s.Tracks(), s.Take(2*time.Minute))
	containertest.TestFileReadsLittle(t, openFile, b, 4<<20, 3<<20)
}

// FuzzFile opens, reads and searches anything.
func FuzzFile(f *testing.F) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 100 * time.Millisecond, Bitrate: 20_000}
	b := write(f, s.Tracks(), s.Take(300*time.Millisecond))
	f.Add(b, int64(150*time.Millisecond))
	f.Add(slices.Concat(b, b), int64(150*time.Millisecond))
	f.Add(slices.Concat(b, b[1000:]), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, at int64) {
		file, err := NewFile(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		frames, err := containertest.ReadAll(file)
		require.Equal(t, io.EOF, err)
		containertest.RequireOrder(t, frames)
		containertest.RequireSeeks(t, file, time.Duration(at), nil)
	})
}
