package ps

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/containertest"
)

// A rawUnit is an access unit: a PES packet with times, and those without behind it.
type rawUnit struct {
	id       byte
	pts, dts int64
	aligned  bool
	packets  int
	data     []byte
	pack     int // index
	arrived  int64
	from     int64 // when its first byte came
	bound    int   // of its buffer
}

// A rawPack is a pack taken apart by the test, by the standard and not by the code
// under test. Clocks are those of 27 MHz.
type rawPack struct {
	clock  int64
	rate   int64 // bytes a second
	size   int
	tables bool
}

// A psInspection is what is known of a program stream that was inspected.
type psInspection struct {
	packs  []rawPack
	units  []rawUnit
	maps   [][]byte // each that differs from the one before
	types  map[byte]byte
	bounds map[byte]int // bytes
	ended  bool
}

// inspectPS takes a program stream apart and checks what must hold for every one
// that is written: packs that arrive one after the other, PES packets with their
// lengths, streams that system header and map announced, frames that arrive before
// their time and buffers that are never too full. jumps says that the clock may.
func inspectPS(t testing.TB, b []byte, jumps bool) *psInspection {
	t.Helper()
	in := &psInspection{types: map[byte]byte{}, bounds: map[byte]int{}}
	arrives := func(p *rawPack, n int) int64 { return p.clock + (int64(n)*27_000_000+p.rate-1)/p.rate }
	var open *rawUnit
	for len(b) > 0 {
		if bytes.Equal(b, []byte{0, 0, 1, 0xb9}) {
			in.ended = true
			break
		}
		p, head := packHeaderOf(t, b)
		if n := len(in.packs); n > 0 && !jumps {
			last := &in.packs[n-1]
			require.GreaterOrEqual(t, p.clock, arrives(last, last.size), "pack %d comes before the last one is there", n)
		}
		b, p.size = b[head:], head
		for len(b) > 0 && b[3] != 0xba && b[3] != 0xb9 {
			require.GreaterOrEqual(t, len(b), 6)
			require.Equal(t, []byte{0, 0, 1}, b[:3])
			n := 6 + int(b[4])<<8 + int(b[5])
			require.LessOrEqual(t, n, len(b), "start code %#x", b[3])
			switch id := b[3]; id {
			case 0xbb:
				require.Equal(t, head, p.size, "system header behind the pack header")
				in.systemHeader(t, b[:n], p.rate)
				p.tables = true
			case 0xbc:
				require.True(t, p.tables, "a map without system header")
				in.programMap(t, b[:n])
			default:
				require.Contains(t, in.types, id, "a stream without announcement")
				open = in.packet(t, b[:n], open, len(in.packs), arrives(&p, p.size))
				open.arrived = arrives(&p, p.size+n)
			}
			b, p.size = b[n:], p.size+n
		}
		open = nil
		in.packs = append(in.packs, p)
	}
	if !jumps {
		in.requireBuffers(t)
	}
	return in
}

// bitsOf reads n bits of b from at on.
func bitsOf(b []byte, at, n int) (v int64) {
	for i := at; i < at+n; i++ {
		v = v<<1 | int64(b[i/8]>>(7-i%8)&1)
	}
	return v
}

// requireBits checks that bits are as given.
func requireBits(t testing.TB, b []byte, want int64, at, n int, what string) {
	t.Helper()
	require.Equal(t, want, bitsOf(b, at, n), what)
}

// packHeaderOf reads a pack header (2.5.3.3), and returns its length.
func packHeaderOf(t testing.TB, b []byte) (p rawPack, n int) {
	t.Helper()
	require.GreaterOrEqual(t, len(b), 14)
	require.Equal(t, []byte{0, 0, 1, 0xba}, b[:4])
	requireBits(t, b, 1, 32, 2, "MPEG-2")
	for _, at := range []int{37, 53, 69, 79, 102, 103} {
		requireBits(t, b, 1, at, 1, "marker bit")
	}
	base := bitsOf(b, 34, 3)<<30 | bitsOf(b, 38, 15)<<15 | bitsOf(b, 54, 15)
	extension := bitsOf(b, 70, 9)
	require.Less(t, extension, int64(300))
	requireBits(t, b, 0x1f, 104, 5, "reserved")
	p = rawPack{clock: base*300 + extension, rate: bitsOf(b, 80, 22) * 50}
	require.NotZero(t, p.rate)
	return p, 14 + int(bitsOf(b, 109, 3))
}

// systemHeader reads a system header (2.5.3.5).
func (in *psInspection) systemHeader(t testing.TB, b []byte, rate int64) {
	t.Helper()
	require.GreaterOrEqual(t, len(b), 12)
	for _, at := range []int{48, 71, 82} {
		requireBits(t, b, 1, at, 1, "marker bit")
	}
	require.GreaterOrEqual(t, bitsOf(b, 49, 22)*50, rate, "rate_bound")
	requireBits(t, b, 0x7f, 89, 7, "reserved")
	audio, video := bitsOf(b, 72, 6), bitsOf(b, 83, 5)
	require.LessOrEqual(t, audio, int64(32))
	require.LessOrEqual(t, video, int64(16))
	clear(in.bounds)
	for list := b[12:]; len(list) > 0; list = list[3:] {
		require.GreaterOrEqual(t, len(list), 3)
		id := list[0]
		require.NotContains(t, in.bounds, id)
		requireBits(t, list, 3, 8, 2, "marker bits")
		unit := 128
		if list[1]&0x20 != 0 {
			unit = 1024
		}
		switch {
		case id >= 0xc0 && id <= 0xdf:
			audio--
			require.Equal(t, 128, unit, "unit of audio")
		case id >= 0xe0 && id <= 0xef:
			video--
			require.Equal(t, 1024, unit, "unit of video")
		default:
			require.True(t, id >= 0xbc)
		}
		in.bounds[id] = int(bitsOf(list, 11, 13)) * unit
	}
	require.Zero(t, audio, "audio_bound")
	require.Zero(t, video, "video_bound")
}

// programMap reads a program stream map (2.5.4).
func (in *psInspection) programMap(t testing.TB, b []byte) {
	t.Helper()
	require.LessOrEqual(t, len(b), 6+1018)
	requireBits(t, b, 1, 48, 1, "current_next_indicator")
	requireBits(t, b, 3, 49, 2, "reserved")
	requireBits(t, b, 0xff, 56, 8, "reserved and marker bit")
	crc := ^uint32(0) // of the whole is 0
	for at := range 8 * len(b) {
		top := crc>>31 != uint32(bitsOf(b, at, 1))
		if crc <<= 1; top {
			crc ^= 0x04c11db7
		}
	}
	require.Zero(t, crc, "checksum")
	if n := len(in.maps); n == 0 || !bytes.Equal(in.maps[n-1], b) {
		in.maps = append(in.maps, bytes.Clone(b))
	}
	clear(in.types)
	n := int(bitsOf(b, 64, 16))
	list := b[10+n:]
	require.Equal(t, len(list)-2-4, int(bitsOf(list, 0, 16)), "elementary_stream_map_length")
	for list = list[2 : len(list)-4]; len(list) > 0; {
		require.NotContains(t, in.types, list[1])
		require.Contains(t, in.bounds, list[1], "in the map, and not in the system header")
		in.types[list[1]] = list[0]
		n := 4 + int(bitsOf(list, 16, 16))
		require.LessOrEqual(t, n, len(list))
		list = list[n:]
	}
	require.Len(t, in.types, len(in.bounds))
}

// packet reads a PES packet (2.4.3.6), which goes on with open if it has no time.
func (in *psInspection) packet(t testing.TB, b []byte, open *rawUnit, pack int, at int64) *rawUnit {
	t.Helper()
	require.GreaterOrEqual(t, len(b), 9)
	require.Greater(t, len(b), 9+int(b[8]), "an empty packet")
	requireBits(t, b, 2, 48, 2, "MPEG-2")
	requireBits(t, b, 0, 50, 2, "scrambled")
	data := b[9+int(b[8]):]
	if b[7] == 0 {
		require.Zero(t, b[8])
		require.NotNil(t, open, "the rest of nothing")
		require.Equal(t, open.id, b[3])
		requireBits(t, b, 0, 53, 1, "data_alignment_indicator")
		open.packets++
		open.data = append(open.data, data...)
		return open
	}
	require.Nil(t, open, "two frames in a pack")
	u := rawUnit{id: b[3], aligned: b[6]&4 != 0, packets: 1, data: bytes.Clone(data), pack: pack, from: at, bound: in.bounds[b[3]]}
	u.pts, u.dts = containertest.PESTimes(t, b)
	in.units = append(in.units, u)
	return &in.units[len(in.units)-1]
}

// requireBuffers checks the model of a decoder (2.5.2): a frame is there when it is
// due, not for longer than a second, and its stream's buffer holds what waits.
func (in *psInspection) requireBuffers(t testing.TB) {
	t.Helper()
	waiting := map[byte][]*rawUnit{}
	for i := range in.units {
		u := &in.units[i]
		require.LessOrEqual(t, u.arrived, u.dts*300, "a frame that comes too late")
		require.LessOrEqual(t, u.dts*300-u.from, int64(27_000_000), "a frame that waits too long")
		var left []*rawUnit
		size := len(u.data)
		for _, w := range waiting[u.id] {
			if w.dts*300 > u.from {
				left = append(left, w)
				size += len(w.data)
			}
		}
		require.LessOrEqual(t, size, u.bound, "P-STD_buffer_size_bound")
		waiting[u.id] = append(left, u)
	}
}
