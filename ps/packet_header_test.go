package ps

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// packCases are pack headers and the like.
var packCases = []struct {
	name  string
	wire  string
	size  int
	clock uint64
	like  likeness
}{
	{"MPEG-2", "\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01\x00\x07\x63\xf8", 14, 0, like},
	{"MPEG-2, clock all ones", "\x00\x00\x01\xba\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xf8", 14, pes.MaxTicks, like},
	{"MPEG-2 with stuffing", "\x00\x00\x01\xba\x44\x00\x04\x00\x04\x01\x00\x07\x63\xfb\xff\xff\xff", 17, 0, like},
	{"MPEG-2 without marker bits", "\x00\x00\x01\xba\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14, 0, unlike},
	{"MPEG-1", "\x00\x00\x01\xba\x21\x00\x01\x00\x01\xa1\xa1\xad", 12, 0, like},
	{"MPEG-1, clock all ones", "\x00\x00\x01\xba\x2f\xff\xff\xff\xff\xff\xff\xff", 12, pes.MaxTicks, like},
	{"MPEG-1 without marker bits", "\x00\x00\x01\xba\x20\x00\x00\x00\x00\x00\x00\x00", 12, 0, unlike},
	{"neither", "\x00\x00\x01\xba\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0, 0, unlike},
}

func TestPackHeader(t *testing.T) {
	for _, c := range packCases {
		for n := 4; n <= len(c.wire); n++ {
			size, clock, more, ok := parsePack([]byte(c.wire[:n]))
			l := packLikeness([]byte(c.wire[:n]))
			if n < len(c.wire) && more {
				require.True(t, ok)
				require.True(t, l == unclear || l == c.like, c.name)
				continue
			}
			require.Equal(t, c.size > 0, ok, c.name)
			require.Equal(t, c.size, size, c.name)
			require.Equal(t, c.clock, clock, c.name)
			if n >= packHeaderSize || c.size == packHeaderSize1 {
				require.Equal(t, c.like, l, c.name)
			}
		}
	}
	for _, clock := range []int64{0, 1, 12345, 1<<33 - 1, 1 << 32, 1 << 30, 1 << 29, 1<<15 - 1} {
		_, got, _, ok := parsePack(appendPackHeader(nil, clock*300, 1000))
		require.True(t, ok)
		require.EqualValues(t, clock, got)
	}
}

// headerCases are headers of PES packets of MPEG-1.
var headerCases = []struct {
	name   string
	wire   string
	header int // 0: it is none
	size   int
	pts    int64 // -1: none
	dts    int64
}{
	{"times", "\x00\x00\x01\xe0\x00\x20\x31\x00\x03\x7b\xb1\x11\x00\x03\x5f\x91", 16, 38, 48600, 45000},
	{"PTS", "\x00\x00\x01\xe0\x00\x20\x21\x00\x03\x7b\xb1", 11, 38, 48600, 48600},
	{"none", "\x00\x00\x01\xe0\x00\x20\x0f", 7, 38, -1, 0},
	{"stuffing and buffer", "\x00\x00\x01\xc0\x00\x20\xff\xff\xff\x40\x20\x21\x00\x03\x7b\xb1", 16, 38, 48600, 48600},
	{"length 0", "\x00\x00\x01\xe0\x00\x00\x0f", 7, 0, -1, 0},
	{"16 bytes of stuffing", "\x00\x00\x01\xe0\x00\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f", 23, 38, -1, 0},
	{"17 bytes of stuffing", "\x00\x00\x01\xe0\x00\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x0f", 0, 0, 0, 0},
	{"beyond its end", "\x00\x00\x01\xe0\x00\x04\x21\x00\x03\x7b\xb1", 0, 0, 0, 0},
	{"without marker bits", "\x00\x00\x01\xe0\x00\x20\x20\x00\x02\x7a\xb0", 0, 0, 0, 0},
	{"neither", "\x00\x00\x01\xe0\x00\x20\x00\x00\x00\x00\x00", 0, 0, 0, 0},
}

func TestPESHeader(t *testing.T) {
	for _, c := range headerCases {
		wire := c.wire + "abc"
		for n := 7; n <= len(wire); n++ {
			h, more, ok := parsePES([]byte(wire[:n]))
			if more {
				require.Less(t, n, len(wire), c.name)
				require.True(t, ok)
				continue
			}
			require.Equal(t, c.header > 0, ok, c.name)
			if !ok {
				break
			}
			require.Equal(t, c.header, h.Header, c.name)
			require.Equal(t, c.size, h.Size, c.name)
			require.Equal(t, c.pts >= 0, h.HasPTS, c.name)
			if h.HasPTS {
				require.Equal(t, [2]int64{c.pts, c.dts}, [2]int64{int64(h.PTS), int64(h.DTS)}, c.name)
			}
		}
	}
}

// What the Muxer writes is like what it is, and only from the bytes on that tell.
func TestLikeness(t *testing.T) {
	var r packetReader
	r.known[0xe0], r.known[0xc0] = true, true
	for _, s := range sectionsOf(muxed(t, largeDemux.Take(1e9))) {
		s = s[:min(len(s), 40)]
		for n := 4; n <= len(s); n++ {
			l := r.likeness(s[:n])
			require.NotEqual(t, unlike, l, "% x", s[:n])
			if n >= 14 {
				require.Equal(t, like, l, "% x", s[:n])
			}
		}
	}
	for _, bad := range []string{
		"\x00\x00\x01\x65\x88\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xb9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbb\x00\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbb\x00\x0d\x80\x00\x01\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbc\x00\x00\xe0\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbc\x00\x12\xe0\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbe\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xbd\x00\x10\x80\x80\x05\x21\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe1\x00\x10\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x10\x80\x40\x05\x21\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x10\x80\x80\x04\x21\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x10\x80\x80\x05\x11\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x10\x80\x80\x05\x21\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x10\xb0\x80\x05\x21\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x01\xe0\x00\x03\x80\x80\x05\x21\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
	} {
		require.Equal(t, unlike, r.likeness([]byte(bad)), "% x", bad)
	}
}

func FuzzParsePES(f *testing.F) {
	for _, c := range headerCases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		h, more, ok := parsePES(b)
		if ok && !more {
			require.LessOrEqual(t, h.Header, len(b))
			require.True(t, h.Size == 0 || h.Header <= h.Size)
			require.LessOrEqual(t, h.PTS|h.DTS, uint64(pes.MaxTicks))
		}
		size, clock, more, ok := parsePack(b)
		if ok && !more {
			require.LessOrEqual(t, size, len(b))
			require.LessOrEqual(t, clock, uint64(pes.MaxTicks))
		}
		var r packetReader
		r.known[b[3]] = true
		_ = r.likeness(b)
	})
}
