package ps

import (
	"bytes"
	"io"
	"maps"
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

func requireFilm(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	requireDemuxed(t, want, got, -want[0].DTS)
}

func TestFile(t *testing.T) {
	eachDemux(t, func(t *testing.T, s testmedia.Stream) {
		s.GOP = 700 * time.Millisecond
		want := s.Take(8 * time.Second)
		containertest.TestFile(t, openFile, muxed(t, want), want, requireFilm)
	})
}

func TestFileEnds(t *testing.T) {
	b, _ := film(t, testmedia.Stream{Video: codec.H264})
	containertest.TestFileEnds(t, openFile, b)
}

// film returns a file that is large enough to be halved.
func film(t testing.TB, s testmedia.Stream) ([]byte, []*codec.Frame) {
	frames := containertest.Film(s)
	return muxed(t, frames), frames
}

func TestFileLarge(t *testing.T) {
	for _, s := range containertest.Films() {
		t.Run(containertest.Name(s), func(t *testing.T) {
			b, want := film(t, s)
			containertest.TestFile(t, openFile, b, want, requireFilm)
		})
	}
}

// Pictures of several PES packets are entered by the first.
func TestFileLargePictures(t *testing.T) {
	s := largeDemux
	s.GOP = 500 * time.Millisecond
	want := s.Take(3 * time.Second)
	containertest.TestFile(t, openFile, muxed(t, want), want, requireFilm)
}

// Files of other forms: of MPEG-1, without maps, without anything before key frames,
// without lengths, with wrong ones, with nothing but packets, with stuffing.
func TestFileForms(t *testing.T) {
	b, want := film(t, testmedia.Stream{Video: codec.H264, Audio: codec.AAC})
	without := func(ids ...byte) []byte {
		return changed(b, func(_ int, s section) []byte {
			if slices.Contains(ids, s.id()) {
				return nil
			}
			return s
		})
	}
	lengths := func(fn func(n int) int) []byte {
		return changed(b, func(_ int, s section) []byte {
			if pes.IsVideo(s.id()) {
				s.setLength(fn(len(s) - pes.Prefix))
			}
			return s
		})
	}
	for name, b := range map[string][]byte{
		"MPEG-1":          toMPEG1(b),
		"no map":          without(pes.IDMap),
		"no tables":       without(pes.IDMap, codeSystem),
		"no packs":        without(pes.IDMap, codeSystem, codePack),
		"no lengths":      lengths(func(int) int { return 0 }),
		"lengths too low": lengths(func(n int) int { return n / 2 }),
		"stuffing": changed(b, func(_ int, s section) []byte {
			return append(s, 0, 0, 0, 0, 0)
		}),
		"padding": changed(b, func(_ int, s section) []byte {
			return append(s, 0, 0, 1, pes.IDPadding, 0, 3, 0xff, 0xff, 0xff)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			containertest.TestFile(t, openFile, b, want, func(t *testing.T, want, got []*codec.Frame) {
				for _, f := range got {
					f.Flags &^= codec.FlagCorrupt // as the first are whose length is wrong
				}
				requireFilm(t, want, got)
			})
		})
	}
}

// Files for DVD have packets that do not begin with frames. What is found there is
// the key frames that are the first in their packet.
func TestFileLoose(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Bitrate: 3_000_000},
		{Video: codec.H264, Bitrate: 3_000_000, BFrames: 2},
		{Video: codec.H265, Bitrate: 3_000_000},
		{Video: codec.H264, Audio: codec.MP2, Bitrate: 3_000_000},
	} {
		for _, size := range []int{2000, 30_000} {
			b := loosened(s.Take(14*time.Second), size)
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			all, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			video := containertest.OfKind(all, codec.KindVideo)
			byTime := map[time.Duration]*codec.Frame{}
			for _, f := range video {
				byTime[f.DTS] = f
			}
			times, err := f.KeyTimes(t.Context())
			require.NoError(t, err)
			if size == 2000 {
				require.GreaterOrEqual(t, len(times), 6) // of 7
			}
			for _, at := range times {
				require.NotNil(t, byTime[at])
				require.True(t, byTime[at].Key())
			}
			for _, want := range times {
				landed, err := f.Seek(t.Context(), want+time.Millisecond)
				require.NoError(t, err)
				require.Equal(t, want, landed)
				for range 60 {
					fr, err := f.ReadFrame(t.Context())
					if err == io.EOF {
						break
					}
					require.NoError(t, err)
					if fr.Track.Kind() == codec.KindVideo {
						require.NotNil(t, byTime[fr.DTS])
						require.Equal(t, containertest.Digest(byTime[fr.DTS].Data), containertest.Digest(fr.Data))
					}
				}
			}
		}
	}
}

// Files without times have those of their packs.
func TestFileUntimed(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 500_000}
	want := s.Take(20 * time.Second)
	b := withoutTimes(muxed(t, want), func(section) bool { return false })
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	containertest.RequireKeysEachSecond(t, f, 20, 100*time.Millisecond)
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

// Files that were joined are one timeline, whatever their times and codecs are.
func TestFileJoined(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: time.Second, Bitrate: 200_000}
	other := testmedia.Stream{Video: codec.H265, Audio: codec.MP3, GOP: time.Second, Bitrate: 200_000}
	one := muxed(t, s.Take(20*time.Second))
	for name, b := range map[string][]byte{
		"the same again":  slices.Concat(one, one, one),
		"much later":      slices.Concat(one, muxed(t, containertest.Later(s.Take(20*time.Second), time.Hour)), one),
		"something else":  slices.Concat(one, muxed(t, other.Take(20*time.Second)), one),
		"with their ends": slices.Concat(one, []byte{0, 0, 1, codeEnd}, one, []byte{0, 0, 1, codeEnd}, one, []byte{0, 0, 1, codeEnd}),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := NewFile(bytes.NewReader(b), int64(len(b)))
			require.NoError(t, err)
			tracks := f.Tracks()
			containertest.RequireKeysEachSecond(t, f, 3*20, 200*time.Millisecond)
			_, err = f.Seek(t.Context(), 19*time.Second)
			require.NoError(t, err)
			rest, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			containertest.RequireOrder(t, rest)
			require.InDelta(t, time.Minute, rest[len(rest)-1].DTS, float64(300*time.Millisecond))
			_, err = f.Seek(t.Context(), 0)
			require.NoError(t, err)
			for i, again := range f.Tracks() {
				containertest.RequireSameTrack(t, tracks[i], again)
			}
		})
	}
}

// The clock has 33 bits and wraps.
func TestFileWrap(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 400_000}
	b := muxed(t, containertest.Later(s.Take(20*time.Second), codec.FromTicks(1<<33, pes.ClockRate)-5*time.Second))
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

// Nothing is lost where it has to be found out what the streams carry.
func TestFileUnmapped(t *testing.T) {
	want := testmedia.Stream{Audio: codec.MP2}.Take(5 * time.Second)
	b := loosened(want, 1000)
	require.Less(t, len(demuxed(t, b)), len(want))
	f, err := NewFile(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	got, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, containertest.Digest(want[i].Data), containertest.Digest(got[i].Data))
	}
	containertest.TestFile(t, openFile, b, got, requireFilm)
}

func TestFileCutAtEveryLength(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 30_000}
	whole := muxed(t, s.Take(200*time.Millisecond))
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
	containertest.TestFileReadsLittle(t, openFile, muxed(t, s.Take(2*time.Minute)), 4<<20, 3<<20)
}

// What is made to cost much is not read again and again.
func TestFileStorms(t *testing.T) {
	start := demuxStart(t)
	units := maps.Clone(storms)
	units["lengths too high"] = "\x00\x00\x01\xe0\xff\xff\x84\x80\x05\x21\x00\x01\x00\x01"
	for name, unit := range units {
		b := append(bytes.Clone(start), bytes.Repeat([]byte(unit), (1<<20)/len(unit))...)
		in := &containertest.CountingAt{ReaderAt: bytes.NewReader(b)}
		f, err := NewFile(in, int64(len(b)))
		require.NoError(t, err)
		_, err = f.KeyTimes(t.Context())
		require.NoError(t, err)
		require.Less(t, in.N, 32*len(b), name) // samples of it are looked for to its end
	}
}

// FuzzFile opens, reads and searches anything.
func FuzzFile(f *testing.F) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 100 * time.Millisecond, Bitrate: 20_000}
	b := muxed(f, s.Take(300*time.Millisecond))
	f.Add(b, int64(150*time.Millisecond))
	f.Add(slices.Concat(b, b), int64(150*time.Millisecond))
	f.Add(slices.Concat(b, b[1000:]), int64(0))
	f.Add(toMPEG1(b), int64(0))
	f.Add(loosened(s.Take(300*time.Millisecond), 300), int64(100*time.Millisecond))
	f.Add(withoutTimes(b, func(section) bool { return false }), int64(100*time.Millisecond))
	for _, c := range mapCases {
		f.Add(changedMaps(slices.Clone(b), c.change), int64(100*time.Millisecond))
	}
	for _, unit := range storms {
		f.Add(append(slices.Clone(b), unit+unit+unit...), int64(300*time.Millisecond))
	}
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
