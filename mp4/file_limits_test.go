package mp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// aacFile returns a file of five samples, with other tables in the place of those
// of the same names.
func aacFile(tables ...[]byte) []byte {
	all := [][]byte{
		fullTable("stts", 1, 5, 1024), fullTable("stsc", 1, 1, 5, 1), fullTable("stsz", 0, 5, 1, 2, 3, 4, 5), fullTable("stco", 1, dataAt),
	}
	for _, x := range tables {
		i := slices.IndexFunc(all, func(o []byte) bool { return bytes.Equal(o[4:8], x[4:8]) })
		if i < 0 {
			all = append(all, x)
		} else {
			all[i] = x
		}
	}
	return tableFile{track: testmedia.Track(1, codec.AAC), data: []byte("abcdefghijklmno"), tables: join(all...)}.bytes()
}

// nested returns a moov box with n boxes of that name, each in the one before.
func nested(n int, name string) []byte {
	var b []byte
	for range n {
		b = appendBox(nil, name, func(x []byte) []byte { return append(x, b...) })
	}
	return appendBox(nil, "moov", func(x []byte) []byte { return append(x, b...) })
}

// badFiles are files that are refused, and what the error says.
var badFiles = []struct {
	name string
	wire func() []byte
	text string
}{
	{"nothing", func() []byte { return nil }, "no moov box"},
	{"text", func() []byte { return []byte("<!DOCTYPE html><html>") }, "box at byte 0"},
	{"FLV", func() []byte { return []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00") }, "box at byte 0"},
	{"MPEG-TS", func() []byte { return bytes.Repeat([]byte("G\x40\x00\x10"), 100) }, "box at byte 0"},
	{"a header that is cut", func() []byte { return []byte("\x00\x00\x00\x08free\x00\x00\x00") }, "byte 8: mp4: invalid data: box header"},
	{"media alone", func() []byte { return mdat(1, 2, 3) }, "no moov box: unexpected EOF in 11 bytes"},
	{"media to the end", func() []byte { return []byte("\x00\x00\x00\x00mdat....") }, "no moov box"},
	{"size 7", func() []byte { return append(mdat(), "\x00\x00\x00\x07free"...) }, "byte 8: mp4: invalid data: free box of 7 bytes"},
	{"size 2^63", func() []byte { return []byte("\x00\x00\x00\x01moov\x80\x00\x00\x00\x00\x00\x00\x00") }, "moov box of 9223372036854775808 bytes"},
	{"an empty movie", func() []byte { return nested(0, "trak") }, "no track"},
	{"a size 0 within", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte { return append(b, "\x00\x00\x00\x00trak"...) })
	}, "trak box at byte 8: mp4: invalid data: no size"},
	{"a size below the header within", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte { return append(b, "\x00\x00\x00\x05trak"...) })
	}, "byte 8: mp4: invalid data: trak box of 5 bytes"},
	{"a box that exceeds its parent", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte { return append(b, "\x00\x00\x00\x09trak"...) })
	}, "trak box at byte 8"},
	{"too deep", func() []byte { return nested(40, "minf") }, "in 16 others"},
	{"too deep in itself", func() []byte { return nested(5000, "trak") }, "in 16 others"},
	{"too many boxes", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte {
			return append(b, bytes.Repeat([]byte("\x00\x00\x00\x08free"), maxBoxes+1)...)
		})
	}, "more than 100000 boxes"},
	{"too many boxes before the movie", func() []byte {
		return append(bytes.Repeat([]byte("\x00\x00\x00\x08free"), maxBoxes+1), aacFile()...)
	}, "none of 100000 boxes"},
	{"too many tracks", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte {
			return append(b, bytes.Repeat([]byte("\x00\x00\x00\x08trak"), maxTracks+1)...)
		})
	}, "more than 64 tracks"},
	{"more small boxes than fit", func() []byte {
		return appendBox(nil, "moov", func(b []byte) []byte {
			for range 20 {
				b = appendBox(b, "udta", func(b []byte) []byte { return appendZeros(b, 60<<10) })
			}
			return b
		})
	}, "bytes of boxes"},
	{"no track of a known codec", func() []byte { return replaced("mp4a\x00\x00", "xyz!\x00\x00")(aacFile()) }, "no track of a known codec"},
	{"timescale 0", func() []byte { return at32("mdhd", 16, 0)(aacFile()) }, "timescale 0"},
	{"encrypted", func() []byte { return replaced("mp4a\x00\x00", "enca\x00\x00")(aacFile()) }, "encrypted"},
	{"no durations", func() []byte { return replaced("stts", "free")(aacFile()) }, "no stts box"},
	{"no chunks", func() []byte { return replaced("stsc", "free")(aacFile()) }, "no stsc box"},
	{"no positions", func() []byte { return replaced("stco", "free")(aacFile()) }, "no co64 box"},
	{"no samples", func() []byte { return replaced("stsz", "free")(aacFile()) }, "no track of a known codec with samples"},
	{"more durations than bytes", func() []byte { return aacFile(fullTable("stts", 2, 5, 1024)) }, "2 rows in 8 bytes"},
	{"2^32-1 durations", func() []byte { return aacFile(fullTable("stts", 0xffffffff, 5, 1024)) }, "4294967295 rows in 8 bytes"},
	{"2^32-1 sizes", func() []byte { return aacFile(fullTable("stsz", 0, 0xffffffff, 1)) }, "stsz box at byte"},
	{"2^32-1 positions", func() []byte { return aacFile(fullTable("stco", 0xffffffff, dataAt)) }, "stco box at byte"},
	{"2^32-1 chunks", func() []byte { return aacFile(fullTable("stsc", 0xffffffff, 1, 5, 1)) }, "stsc box at byte"},
	{"2^32-1 offsets", func() []byte { return aacFile(fullTable("ctts", 0xffffffff, 1, 1)) }, "ctts box at byte"},
	{"2^32-1 keys", func() []byte { return aacFile(fullTable("stss", 0xffffffff, 1)) }, "stss box at byte"},
	{"a table without a count", func() []byte { return aacFile(fullTable("stts")) }, "stts box at byte"},
	{"sizes without a count", func() []byte { return aacFile(fullTable("stsz", 0)) }, "stsz box at byte"},
	{"sizes of 5 bits", func() []byte { return replaced("stsz", "stz2")(aacFile(fullTable("stsz", 5, 5))) }, "sizes of 5 bits"},
	{"chunks from the second", func() []byte { return aacFile(fullTable("stsc", 1, 2, 5, 1)) }, "stsc begins with chunk 2"},
	{"chunks that step back", func() []byte {
		return aacFile(fullTable("stsc", 3, 1, 1, 1, 3, 1, 1, 2, 1, 1), fullTable("stco", 3, dataAt, dataAt, dataAt))
	}, "stsc: chunk 2 behind chunk 3"},
	{"a sample beyond the file", func() []byte { return aacFile(fullTable("stsz", 0, 5, 0x7fffffff, 2, 3, 4, 5)) }, "sample of 2147483647 bytes at byte 8"},
	{"a chunk beyond the file", func() []byte { return aacFile(fullTable("stco", 1, 0xfffffff0)) }, "at byte 4294967280"},
	{"a chunk at 2^63", func() []byte { return replaced("stco", "free")(aacFile(fullTable("co64", 1, 1<<31, 0))) }, "chunk 1 at byte 9223372036854775808"},
	{"chunks that overlap", func() []byte {
		return aacFile(fullTable("stsz", 15, 100), fullTable("stsc", 1, 1, 1, 1), fullTable("stco", append([]uint32{100}, slices.Repeat([]uint32{dataAt}, 100)...)...))
	}, "bytes in a file of"},
	{"durations that overflow", func() []byte {
		return at32("mdhd", 16, 1)(aacFile(fullTable("stts", 2, 2, 0x7fffffff, 3, 0x7fffffff)))
	}, "ticks"},
	{"presentation long before decoding", func() []byte { return aacFile(fullTable("ctts", 1, 5, 1<<31)) }, "before decoding"},
	{"a fragment of nothing", func() []byte { return join(aacInit(), moof(), mdat()) }, "no track of a known codec with samples"},
}

// What is refused names box and byte, and costs no more memory than the file has,
// or is read at once.
func TestFileRefuses(t *testing.T) {
	for _, c := range badFiles {
		t.Run(c.name, func(t *testing.T) {
			wire := c.wire()
			before := allocated()
			f, err := openBytes(wire)
			require.Less(t, allocated()-before, uint64(8<<20)+3*uint64(len(wire)))
			require.Nil(t, f)
			require.ErrorContains(t, err, c.text)
			require.True(t, errors.Is(err, ErrInvalid) != errors.Is(err, source.ErrUnsupported), err)
		})
	}
}

// A track that cannot be read does not cost the others (limit M2).
func TestFileRefusesTracks(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	frames := s.Take(time.Second)
	video := containertest.OfKind(frames, codec.KindVideo)
	for name, change := range map[string]func(b []byte) []byte{
		"timescale 0":              at32("mdhd", 16, 0),
		"unknown codec":            replacedLast("mp4a", "xyz!"),
		"damaged":                  at32("esds", 8, 0),
		"more sizes than bytes":    at32("stsz", 12, 1<<31),
		"a size beyond the file":   at32("stsz", 16, 1<<31),
		"a chunk beyond the file":  at32("stco", 12, 1<<31),
		"chunks from the second":   at32("stsc", 12, 2),
		"more durations than fit":  at32("stts", 8, 1<<31),
		"the table of times is no": replacedLast("stts", "free"),
	} {
		t.Run(name, func(t *testing.T) {
			wire := record(t, s.Tracks(), frames, nil)
			moov := bytes.LastIndex(wire, []byte("moov"))
			copy(wire[moov:], change(bytes.Clone(wire[moov:])))
			f, err := openBytes(wire)
			require.NoError(t, err)
			require.Len(t, f.Tracks(), 1)
			if name != "unknown codec" {
				require.ErrorIs(t, f.Damage(), ErrInvalid)
			}
			got, err := containertest.ReadAll(f)
			require.Equal(t, io.EOF, err)
			requireSameFrames(t, video, got)
		})
	}
}

// replacedLast replaces the last name of a box.
func replacedLast(old, name string) func(b []byte) []byte {
	return func(b []byte) []byte {
		copy(b[bytes.LastIndex(b, []byte(old)):], name)
		return b
	}
}

// A fragment that is damaged costs that fragment; what comes after it is read.
func TestFileSkipsFragments(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 50_000, GOP: 400 * time.Millisecond}
	want := s.Take(2 * time.Second)
	wire := record(t, s.Tracks(), want, &WriterOptions{Layout: LayoutFragmented, FragmentDuration: 400 * time.Millisecond})
	boxes, ends := topLevel(t, wire)
	second := ends[slices.IndexFunc(boxes, func(x box) bool { return x.kind == typeOf("mdat") })]
	trun := second + bytes.Index(wire[second:], []byte("trun"))
	binary.BigEndian.PutUint32(wire[trun+8:], 1<<31) // samples
	f, err := openBytes(wire)
	require.NoError(t, err)
	require.ErrorIs(t, f.Damage(), ErrInvalid)
	require.ErrorContains(t, f.Damage(), "moof box at byte")
	got, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, append(want[:10:10], want[20:]...), got)
	keys, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 4)
}

// Fragments that all claim the same data end the file there.
func TestFileOverlappingFragments(t *testing.T) {
	traf := trafSpec{id: 1, flags: tfhdBaseOffset | tfhdDuration | tfhdSize, head: []uint32{0, 0, 1024, 30000}, time: []uint32{0, 0}, runFlags: trunOffset, count: 2, run: []uint32{0}}
	wire := aacInit()
	size := len(moof(traf))
	end := uint32(len(wire) + 100*size + boxHeader)
	for i := range 100 {
		traf.head[1], traf.time[1] = end, uint32(2048*i)
		wire = append(wire, moof(traf)...)
	}
	wire = append(wire, mdat(make([]byte, 100_000)...)...)
	f, err := openBytes(wire)
	require.NoError(t, err)
	require.ErrorContains(t, f.Damage(), "bytes in a file of")
	got, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, 2)
}

// Samples that are no frames are left out, until there were a hundred in a row.
func TestFileBadSamples(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Bitrate: 20_000, FPS: 50, GOP: 2500 * time.Millisecond}
	frames := s.Take(4 * time.Second)
	for _, bad := range []int{99, 100} {
		sent := make([]*codec.Frame, len(frames))
		for i, f := range frames {
			g := *f
			if i > 0 && i <= bad {
				g.Data = bytes.Clone(f.Data)
				g.Data[0] = 0x7f // length of a NAL unit
			}
			sent[i] = &g
		}
		f, err := openBytes(record(t, s.Tracks(), sent, nil))
		require.NoError(t, err)
		got, err := containertest.ReadAll(f)
		if bad < maxBad {
			require.Equal(t, io.EOF, err)
			require.Len(t, got, len(frames)-bad)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid)
		_, again := f.ReadFrame(t.Context())
		require.Equal(t, err, again)
		at, err := f.Seek(t.Context(), 3*time.Second) // leads past it
		require.NoError(t, err)
		require.Equal(t, 2500*time.Millisecond, at)
	}
}

// Opening looks at a bounded number of boxes; the rest of a file of very many
// fragments is indexed when it is asked for.
func TestFileManyFragments(t *testing.T) {
	const n = 60_000
	traf := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration | tfhdSize, head: []uint32{1024, 1}, time: []uint32{0, 0}, runFlags: trunOffset, count: 1, run: []uint32{0}}
	traf.run[0] = uint32(len(moof(traf))) + boxHeader
	wire := aacInit()
	for i := range n {
		traf.time[1] = uint32(1024 * i)
		wire = append(append(wire, moof(traf)...), mdat(0x21)...)
	}
	f, err := openBytes(wire)
	require.NoError(t, err)
	require.LessOrEqual(t, f.frags.boxes.boxes, maxBoxes+2)
	require.Zero(t, f.Duration())
	first, err := f.ReadFrame(t.Context())
	require.NoError(t, err)
	require.Zero(t, first.DTS)
	end := codec.FromTicks(n*1024, 48000)
	at, err := f.Seek(t.Context(), end-time.Second)
	require.NoError(t, err)
	require.InDelta(t, end-time.Second, at, float64(time.Second))
	got, err := f.ReadFrame(t.Context())
	require.NoError(t, err)
	require.Equal(t, at, got.DTS)
	keys, err := f.KeyTimes(t.Context())
	require.NoError(t, err)
	require.InDelta(t, end.Seconds()/0.9, len(keys), 40)
	require.Equal(t, end, f.Duration())
	_, err = f.Seek(t.Context(), 0)
	require.NoError(t, err)
	all, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Len(t, all, n)
}

// A hundred thousand boxes without a fragment are the end.
func TestFileBoxesWithoutFragments(t *testing.T) {
	wire := shortStream(t)
	whole := readFile(t, wire)
	wire = append(wire, bytes.Repeat([]byte("\x00\x00\x00\x08free"), maxBoxes+10)...)
	f, err := openBytes(append(wire, shortStream(t)[len(appendInit(nil, testmedia.Stream{Video: codec.H264, Audio: codec.AAC}.Tracks())):]...))
	require.NoError(t, err)
	require.ErrorContains(t, f.Damage(), "boxes behind a fragment")
	require.LessOrEqual(t, f.frags.boxes.boxes, maxBoxes+10)
	got, err := containertest.ReadAll(f)
	require.Equal(t, io.EOF, err)
	require.Len(t, got, len(whole))
}

// What waits for a track that does not come is bounded.
func TestFileWaiting(t *testing.T) {
	tracks := []*codec.Track{testmedia.Track(1, codec.AAC), testmedia.Track(2, codec.AAC)}
	const n, each = 35, 10_000
	traf := trafSpec{id: 1, flags: tfhdBaseIsMoof | tfhdDuration | tfhdSize, head: []uint32{0, 1}, time: []uint32{0, 0}, runFlags: trunOffset, count: each, run: []uint32{0}}
	wire := appendInit(nil, tracks)
	for i := range n {
		if i == n-1 {
			traf.id = 2
		}
		traf.run[0] = uint32(len(moof(traf))) + boxHeader
		wire = append(append(wire, moof(traf)...), mdat(make([]byte, each)...)...)
	}
	f, err := openBytes(wire)
	require.NoError(t, err)
	_, err = f.ReadFrame(t.Context())
	require.NoError(t, err)
	require.LessOrEqual(t, f.frags.queued, maxFileSamples+each)
}

// The memory that a file takes does not grow with it.
func TestFileMemory(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 20_000, BFrames: 2}
	for name, layout := range layouts {
		wire := record(t, s.Tracks(), s.Take(10*time.Minute), &WriterOptions{Layout: layout})
		before := allocated()
		f, err := openBytes(wire)
		require.NoError(t, err)
		require.Less(t, allocated()-before, uint64(700<<10), name)
		before = allocated()
		for to := range 100 {
			_, err := f.Seek(t.Context(), time.Duration(to)*6*time.Second)
			require.NoError(t, err)
		}
		require.Less(t, (allocated()-before)/100, uint64(maxSpan+64<<10), name)
	}
}

// The errors of bad files are one line.
func TestFileErrors(t *testing.T) {
	for _, c := range badFiles {
		_, err := openBytes(c.wire())
		require.NotContains(t, err.Error(), "\n", c.name)
		require.True(t, strings.HasPrefix(err.Error(), "mp4: "), err)
	}
}

// Anything is read without a panic, in order, and the same after a Seek.
func FuzzFile(f *testing.F) {
	for i, s := range streams[:11] {
		s.Bitrate = 20_000
		frames := s.Take(100 * time.Millisecond)
		f.Add(record(f, s.Tracks(), frames, &WriterOptions{Layout: Layout(i % 3), FragmentDuration: 40 * time.Millisecond}), uint16(50))
	}
	for _, c := range badFiles {
		if wire := c.wire(); len(wire) < 10_000 {
			f.Add(wire, uint16(0))
		}
	}
	f.Add(aacFile(), uint16(10))
	f.Fuzz(func(t *testing.T, b []byte, ms uint16) {
		file, err := openBytes(b)
		if err != nil {
			require.True(t, errors.Is(err, ErrInvalid) || errors.Is(err, source.ErrUnsupported), err)
			return
		}
		_ = FastStart(io.Discard, bytes.NewReader(b), int64(len(b)))
		frames, err := containertest.ReadAll(file)
		if err != io.EOF {
			require.ErrorIs(t, err, ErrInvalid)
		}
		containertest.RequireOrder(t, frames)
		keys, err := file.KeyTimes(t.Context())
		require.NoError(t, err)
		require.True(t, slices.IsSorted(keys))
		at, err := file.Seek(t.Context(), time.Duration(ms)*time.Millisecond)
		if err != nil { // no frame behind it
			require.True(t, err == io.EOF || errors.Is(err, ErrInvalid), err)
			return
		}
		again, _ := containertest.ReadAll(file)
		require.NotEmpty(t, again)
		require.Equal(t, at, again[0].DTS)
		require.True(t, again[0].Has(codec.FlagDiscont))
		containertest.RequireOrder(t, again)
		if w, err := NewWriter(&memFile{}, file.Tracks(), nil); err == nil { // what was read can be written
			for _, g := range frames {
				if w.WriteFrame(t.Context(), g) != nil {
					break
				}
			}
			require.NoError(t, w.Close())
			got, err := openBytes(w.w.(*memFile).b)
			if err == nil {
				_, err = containertest.ReadAll(got)
				require.True(t, err == io.EOF || errors.Is(err, ErrInvalid), err)
			}
		}
	})
}
