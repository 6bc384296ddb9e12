package rtp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// mjpegCases are pictures of 16x8 pixels unless they say something else.
func mjpegCases() []videoCase {
	picture := func(kind byte, restart, width, height int, dqt []byte, scan string) string {
		j := jpegHeader{kind: kind, width: width, height: height, restart: uint16(restart), dqt: dqt}
		return hex.EncodeToString(append(j.append(nil), unhex(scan+"ffd9")...))
	}
	byQ := func(q int) []byte {
		tables := appendQuantisers(nil, q)
		return appendDQT(nil, 0, tables[:64], tables[64:])
	}
	table := func(b byte) []byte { return bytes.Repeat([]byte{b}, 64) }
	own := appendDQT(nil, 0, table(3), table(4))
	tables := hex.EncodeToString(append(table(3), table(4)...))
	wide := appendDQT(nil, 1, bytes.Repeat([]byte{0, 3}, 64), table(4))
	return []videoCase{
		{name: "one packet", packets: []string{"1M 00000000 00 3c 0201 aabb"}, units: []string{"1KT " + picture(0, 0, 16, 8, byQ(60), "aabb")}},
		{name: "4:2:0", packets: []string{"1M 00000000 01 01 0201 aabb"}, units: []string{"1KT " + picture(1, 0, 16, 8, byQ(1), "aabb")}},
		{name: "fragments", packets: []string{"1 00000000 01 63 0201 aabb", "1M 00000002 01 63 0201 cc"}, units: []string{"1KT " + picture(1, 0, 16, 8, byQ(99), "aabbcc")}},
		{name: "with end of image", packets: []string{"1M 00000000 01 32 0201 aaffd9"}, units: []string{"1KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "restart markers", packets: []string{"1 00000000 41 32 0201 0003 ffff aa", "1M 00000001 41 32 0201 0003 ffff bb"}, units: []string{"1KT " + picture(1, 3, 16, 8, byQ(50), "aabb")}},
		{name: "another size", packets: []string{"1M 00000000 01 32 0201 aa", "2M 00000000 01 32 0402 aa", "3M 00000000 01 32 0402 bb"}, units: []string{"1KT " + picture(1, 0, 16, 8, byQ(50), "aa"), "2KT " + picture(1, 0, 32, 16, byQ(50), "aa"), "3K " + picture(1, 0, 32, 16, byQ(50), "bb")}},
		{name: "size of 0", packets: []string{"1M 00000000 01 32 0000 aa"}, units: []string{"1KT " + picture(1, 0, 2048, 2048, byQ(50), "aa")}},
		{name: "tables in band", packets: []string{"1 00000000 01 ff 0201 0000 0080" + tables + "aa", "1M 00000001 01 ff 0201 bb"}, units: []string{"1KT " + picture(1, 0, 16, 8, own, "aabb")}},
		{name: "tables that come once", packets: []string{"1M 00000000 01 80 0201 0000 0080" + tables + "aa", "2M 00000000 01 80 0201 0000 0000 bb", "!3M 00000000 01 81 0201 0000 0000 bb"}, units: []string{"1KT " + picture(1, 0, 16, 8, own, "aa"), "2K " + picture(1, 0, 16, 8, own, "bb")}},
		{name: "tables that must come again", packets: []string{"1M 00000000 01 ff 0201 0000 0080" + tables + "aa", "!2M 00000000 01 ff 0201 0000 0000 bb"}, units: []string{"1KT " + picture(1, 0, 16, 8, own, "aa")}},
		{name: "one table", packets: []string{"1M 00000000 01 ff 0201 0000 0040" + strings.Repeat("05", 64) + "aa"}, units: []string{"1KT " + picture(1, 0, 16, 8, appendDQT(nil, 0, table(5), table(5)), "aa")}},
		{name: "table of 16 bits", packets: []string{"1M 00000000 01 ff 0201 0001 00c0" + strings.Repeat("0003", 64) + strings.Repeat("04", 64) + "aa"}, units: []string{"1KT " + picture(1, 0, 16, 8, wide, "aa")}},
		{name: "tables cut", packets: []string{"!1M 00000000 01 ff 0201 0000 0081" + tables, "!2M 00000000 01 ff 0201 0000 0041" + tables, "!3M 00000000 01 ff 0201 0000", "!4M 00000000 01 ff 0201 0000 0001 05"}},
		{name: "cut", packets: []string{"!1M 00000000 01 32 02", "!2M 00000000 41 32 0201 0003 ff", "3M 00000000 01 32 0201 aa"}, units: []string{"3KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "Q and types that are none", packets: []string{"!1M 00000000 01 00 0201 aa", "!2M 00000000 01 64 0201 aa", "!3M 00000000 02 32 0201 aa", "!4M 00000000 81 32 0201 aa"}},
		{name: "no scan", packets: []string{"1M 00000000 01 32 0201", "2M 00000000 01 32 0201 aa"}, units: []string{"2KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "wrong offset", packets: []string{"1 00000000 01 32 0201 aabb", "1 00000001 01 32 0201 cc", "1M 00000003 01 32 0201 cc", "2M 00000000 01 32 0201 aa"}, units: []string{"2KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "begins twice", packets: []string{"1 00000000 01 32 0201 aabb", "1M 00000000 01 32 0201 cc", "2M 00000000 01 32 0201 aa"}, units: []string{"2KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "no marker", packets: []string{"1 00000000 01 32 0201 aa", "2 00000000 01 32 0201 bb"}, units: []string{"1KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
		{name: "loss", packets: []string{"1 00000000 01 32 0201 aabb", "1LM 00000002 01 32 0201 cc", "2LM 00000002 01 32 0201 cc", "3M 00000000 01 32 0201 aa"}, units: []string{"3KT " + picture(1, 0, 16, 8, byQ(50), "aa")}},
	}
}

func TestMJPEGUnpack(t *testing.T) { testUnpack(t, codec.MJPEG, mjpegCases()) }

func FuzzMJPEGUnpack(f *testing.F) { fuzzUnpack(f, codec.MJPEG, mjpegCases()) }

// Pictures of another encoder come out as the same pixels.
func TestMJPEGPictures(t *testing.T) {
	for quality := 1; quality <= 100; quality += 9 {
		b := realJPEG(image.Point{208, 104}, quality)
		track, err := codec.NewMJPEGTrack(1, b)
		require.NoError(t, err)
		s := newVideoStream(t, []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: b}}, 500)
		units := s.receive(t, s.all(), nil)
		require.Len(t, units, 1)
		want, err := jpeg.Decode(bytes.NewReader(b))
		require.NoError(t, err)
		got, err := jpeg.Decode(bytes.NewReader(units[0].Data))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// Sizes that are no multiples of 8 grow by pixels that were coded already.
func TestMJPEGOddSize(t *testing.T) {
	b := realJPEG(image.Point{101, 83}, 80)
	track, err := codec.NewMJPEGTrack(1, b)
	require.NoError(t, err)
	s := newVideoStream(t, []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: b}}, 500)
	units := s.receive(t, s.all(), nil)
	want, err := jpeg.Decode(bytes.NewReader(b))
	require.NoError(t, err)
	got, err := jpeg.Decode(bytes.NewReader(units[0].Data))
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 104, 88), got.Bounds())
	for y := range 83 {
		for x := range 101 {
			require.Equal(t, want.At(x, y), got.At(x, y))
		}
	}
	require.Equal(t, 104, units[0].Track.Width)
}

// The tables of Q are those of the encoders that it is named after.
func TestQuantisers(t *testing.T) {
	for q := 1; q < 100; q++ {
		j, err := parseJPEG(realJPEG(image.Point{16, 16}, q))
		require.NoError(t, err)
		got := appendQuantisers(nil, q)
		require.Equal(t, append(bytes.Clone(j.tables[0]), j.tables[1]...), got, "Q %d", q)
	}
}

// jpegCases are pictures that differ from one that can be sent.
var jpegCases = []struct {
	name   string
	change func(b []byte) []byte
	ok     bool
}{
	{"as it is", func(b []byte) []byte { return b }, true},
	{"4:2:2", func(b []byte) []byte { return swap(b, "\x03\x01\x22\x00", "\x03\x01\x21\x00") }, true},
	{"components with other names", func(b []byte) []byte {
		b = swap(b, "\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", "\x03\x00\x22\x00\x01\x11\x01\x02\x11\x01")
		return swap(b, "\x03\x01\x00\x02\x11\x03\x11\x00\x3f", "\x03\x00\x00\x01\x11\x02\x11\x00\x3f")
	}, true},
	{"fill bytes", func(b []byte) []byte { return swap(b, "\xff\xdb", "\xff\xff\xff\xdb") }, true},
	{"application data", func(b []byte) []byte { return swap(b, "\xff\xdb", "\xff\xe0\x00\x04JF\xff\xfe\x00\x02\xff\xdb") }, true},
	{"without Huffman tables", func(b []byte) []byte { return swap(b, "\xff\xc4\x01\xa2"+huffmanTables, "") }, true},
	{"Huffman tables one by one", func(b []byte) []byte {
		return swap(b, "\xff\xc4\x01\xa2"+huffmanTables, "\xff\xc4\x00\xb5"+chromaAC+"\xff\xc4\x00\x1f"+lumaDC+"\xff\xc4\x00\xb5"+lumaAC+"\xff\xc4\x00\x1f"+chromaDC)
	}, true},
	{"no end of image", func(b []byte) []byte { return b[:len(b)-2] }, true},
	{"bytes after the end", func(b []byte) []byte { return append(b, "\xff\xd8junk"...) }, true},
	{"stuffing and restarts in the scan", func(b []byte) []byte { return swap(b, "\x01\x02\xff\xd9", "\xff\x00\x01\xff\xd0\x02\xff\xff\xd9") }, true},
	{"one table for all", func(b []byte) []byte { return swap(b, "\x02\x11\x01\x03\x11\x01", "\x02\x11\x00\x03\x11\x00") }, true},

	{"nothing", func([]byte) []byte { return nil }, false},
	{"no start of image", func(b []byte) []byte { return b[2:] }, false},
	{"4:4:4", func(b []byte) []byte { return swap(b, "\x01\x22\x00", "\x01\x11\x00") }, false},
	{"4:1:1", func(b []byte) []byte { return swap(b, "\x01\x22\x00", "\x01\x41\x00") }, false},
	{"chroma of another size", func(b []byte) []byte { return swap(b, "\x03\x11\x01", "\x03\x21\x01") }, false},
	{"chroma of two tables", func(b []byte) []byte { return swap(b, "\x03\x11\x01", "\x03\x11\x00") }, false},
	{"table that cannot be", func(b []byte) []byte { return swap(b, "\x01\x22\x00", "\x01\x22\x04") }, false},
	{"table that is not there", func(b []byte) []byte { return swap(b, "\x01\x22\x00", "\x01\x22\x02") }, false},
	{"grey", func(b []byte) []byte {
		return swap(b, "\xff\xc0\x00\x11\x08\x00\x40\x00\x50\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01", "\xff\xc0\x00\x0b\x08\x00\x40\x00\x50\x01\x01\x11\x00")
	}, false},
	{"12 bits", func(b []byte) []byte { return swap(b, "\xff\xc0\x00\x11\x08", "\xff\xc0\x00\x11\x0c") }, false},
	{"progressive", func(b []byte) []byte { return swap(b, "\xff\xc0", "\xff\xc2") }, false},
	{"two frame headers", func(b []byte) []byte { return swap(b, "\xff\xc4", "\xff\xc0\x00\x02\xff\xc4") }, false},
	{"no frame header", func(b []byte) []byte { return b[:2+134] }, false},
	{"scan before the frame header", func(b []byte) []byte { return swap(b, "\xff\xdb", "\xff\xda\x00\x02\xff\xdb") }, false},
	{"too wide", func(b []byte) []byte { return swap(b, "\x08\x00\x40\x00\x50", "\x08\x00\x40\x07\xf9") }, false},
	{"too high", func(b []byte) []byte { return swap(b, "\x08\x00\x40\x00\x50", "\x08\x07\xf9\x00\x50") }, false},
	{"no height", func(b []byte) []byte { return swap(b, "\x08\x00\x40\x00\x50", "\x08\x00\x00\x00\x50") }, false},
	{"Huffman tables of its own", func(b []byte) []byte { return swap(b, "\x00\x01\x05\x01\x01", "\x00\x01\x05\x01\x02") }, false},
	{"Huffman table of another number", func(b []byte) []byte { return swap(b, "\xff\xc4\x01\xa2\x00", "\xff\xc4\x01\xa2\x02") }, false},
	{"Huffman tables cut", func(b []byte) []byte {
		return swap(b, "\xff\xc4\x01\xa2"+huffmanTables, "\xff\xc4\x00\x0c"+huffmanTables[:10])
	}, false},
	{"16-bit tables", func(b []byte) []byte { return swap(b, "\x00\x84\x00", "\x00\x84\x10") }, false},
	{"tables cut", func(b []byte) []byte {
		return swap(b, "\xff\xc0", "\xff\xdb\x00\x12\x00"+strings.Repeat("x", 15)+"\xff\xc0")
	}, false},
	{"restart interval cut", func(b []byte) []byte { return swap(b, "\xff\xc0", "\xff\xdd\x00\x03\x00\xff\xc0") }, false},
	{"segment of 1 byte", func(b []byte) []byte { return swap(b, "\xff\xdb\x00\x84", "\xff\xdb\x00\x01") }, false},
	{"segment beyond the end", func(b []byte) []byte { return swap(b, "\xff\xdb\x00\x84", "\xff\xdb\xff\x84") }, false},
	{"scan of one component", func(b []byte) []byte {
		return swap(b, "\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00", "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00")
	}, false},
	{"scan with tables swapped", func(b []byte) []byte {
		return swap(b, "\x03\x01\x00\x02\x11\x03\x11\x00\x3f", "\x03\x01\x11\x02\x11\x03\x11\x00\x3f")
	}, false},
	{"second scan", func(b []byte) []byte { return swap(b, "\x01\x02\xff\xd9", "\x01\xff\xda\x00\x02\x02\xff\xd9") }, false},
	{"empty scan", func(b []byte) []byte { return swap(b, "\x01\x02\xff\xd9", "\xff\xd9") }, false},
}

// swap replaces what must be there once.
func swap(b []byte, old, new string) []byte {
	if bytes.Count(b, []byte(old)) < 1 {
		panic(fmt.Sprintf("no %x", old))
	}
	return bytes.Replace(b, []byte(old), []byte(new), 1)
}

func plainJPEG() []byte { return canonicalJPEG(image.Point{80, 64}, 0, []byte{1, 2}) }

func TestParseJPEG(t *testing.T) {
	for _, c := range jpegCases {
		t.Run(c.name, func(t *testing.T) {
			b := c.change(plainJPEG())
			j, err := parseJPEG(b)
			if !c.ok {
				require.ErrorIs(t, err, ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, [2]int{80, 64}, [2]int{j.width, j.height})
			require.NotEmpty(t, j.scan)
			track := &codec.Track{ID: 1, Codec: codec.MJPEG, Width: 80, Height: 64}
			s := newVideoStream(t, []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: b}}, 300)
			units := s.receive(t, s.all(), nil)
			require.Len(t, units, 1)
			again, err := parseJPEG(units[0].Data)
			require.NoError(t, err)
			require.Equal(t, [3]int{j.width, j.height, int(j.kind)}, [3]int{again.width, again.height, int(again.kind)})
			require.Equal(t, j.tables[j.luma], again.tables[again.luma])
			require.Equal(t, j.tables[j.chroma], again.tables[again.chroma])
			require.Equal(t, j.scan, again.scan)
		})
	}
}

// A picture cut anywhere is refused, or one without its end.
func TestParseJPEGCut(t *testing.T) {
	b := plainJPEG()
	for n := range len(b) - 4 {
		_, err := parseJPEG(b[:n:n])
		require.ErrorIs(t, err, ErrInvalid, "%d bytes", n)
	}
}

func FuzzParseJPEG(f *testing.F) {
	for _, c := range jpegCases {
		f.Add(c.change(plainJPEG()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := parseJPEG(b)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		h := jpegHeader{kind: j.kind, width: j.width, height: j.height, restart: j.restart}
		h.dqt = appendDQT(nil, 0, j.tables[j.luma], j.tables[j.chroma])
		again, err := parseJPEG(append(append(h.append(nil), j.scan...), 0xff, jpegEOI))
		require.NoError(t, err)
		require.Equal(t, j.scan, again.scan)
		require.Equal(t, j.restart, again.restart)
	})
}

func TestMJPEGDescribe(t *testing.T) {
	track, err := codec.NewMJPEGTrack(1, plainJPEG())
	require.NoError(t, err)
	p, ok := Describe(track, 96)
	require.True(t, ok)
	require.Equal(t, Payload{Type: 26, Kind: codec.KindVideo, Encoding: "JPEG", ClockRate: 90000}, p)
	p = Payload{Type: 26, Kind: codec.KindVideo}
	again, err := p.Track(1)
	require.NoError(t, err)
	require.Equal(t, codec.MJPEG, again.Codec)
	require.Equal(t, 90000, again.ClockRate)

	for _, size := range []image.Point{{2048, 8}, {8, 2048}} {
		track.Width, track.Height = size.X, size.Y
		_, ok = Describe(track, 96)
		require.False(t, ok)
	}
}

// Restart intervals go along with every packet.
func TestMJPEGRestart(t *testing.T) {
	b := canonicalJPEG(image.Point{80, 64}, 5, bytes.Repeat([]byte{1}, 1000))
	track, err := codec.NewMJPEGTrack(1, b)
	require.NoError(t, err)
	s := newVideoStream(t, []*codec.Frame{{Track: track, Flags: codec.FlagKey, Data: b}}, 300)
	offset := 0
	for i, p := range s.packets[0] {
		require.EqualValues(t, jpeg420+jpegRestart, p.Payload[4])
		require.EqualValues(t, offset, binary.BigEndian.Uint32(p.Payload))
		require.Equal(t, []byte{0, 5, 0xff, 0xff}, p.Payload[8:12])
		offset += len(p.Payload) - 12
		if i == 0 {
			offset -= 4 + 128
		}
	}
	require.Equal(t, 1000, offset)
	s.requireFrames(t, s.receive(t, s.all(), nil))
}
