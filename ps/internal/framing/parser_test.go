package framing

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rtp returns a packet of size bytes.
func rtp(ssrc uint32, sequence uint16, size int) []byte {
	b := make([]byte, rtpHeader, size)
	b[0], b[1] = 0x80, 96
	binary.BigEndian.PutUint16(b[2:], sequence)
	binary.BigEndian.PutUint32(b[4:], uint32(sequence)*3600)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	r := rand.New(rand.NewPCG(uint64(ssrc), uint64(sequence)))
	for len(b) < size {
		b = append(b, byte(r.Uint32()))
	}
	return b
}

// report returns a sender report.
func report(ssrc uint32) []byte {
	b := make([]byte, 28)
	b[0], b[1], b[3] = 0x80, 200, 6
	binary.BigEndian.PutUint32(b[4:], ssrc)
	return b
}

// many returns n packets of a sender.
func many(ssrc uint32, first uint16, n, size int) (packets [][]byte) {
	for i := range n {
		packets = append(packets, rtp(ssrc, first+uint16(i), size))
	}
	return packets
}

// join returns packets in a form.
func join(f Form, packets ...[]byte) (b []byte) {
	for _, p := range packets {
		channel := uint8(2)
		if IsRTCP(p) {
			channel++
		}
		b = f.Append(b, channel, p)
	}
	return b
}

// vendor returns a header of EHOME.
func vendor(version byte) []byte {
	return append([]byte{1, 0, version, 0}, bytes.Repeat([]byte{0xee}, vendorHeader-4)...)
}

// noise returns bytes that are no packets.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// A parserCase is what comes on a connection and the packets that are found in it.
type parserCase struct {
	name    string
	wire    []byte
	want    [][]byte
	lost    []int // packets before which there was something else
	form    Form
	err     error
	waiting bool
}

const a, b = 0x0f0e0d0c, 0x99887766

func parserCases() []parserCase {
	p := many(a, 65530, 12, 300)
	other := many(b, 1, 3, 200)
	long := rtp(a, 3, MaxPacket)
	odd := func(p []byte) []byte { return cat(p[:rtpHeader], []byte("\r\x00\x00\x01"), p[rtpHeader:]) }
	even := func(p []byte) []byte { return cat(p[:rtpHeader], []byte("\x00\x00\x01"), p[rtpHeader:]) }
	return []parserCase{
		{name: "nothing"},
		{name: "rfc4571", wire: join(Short, p...), want: p, form: Short},
		{name: "interleaved", wire: join(Interleaved, p...), want: p, form: Interleaved},
		{name: "one packet", wire: join(Short, p[0]), want: p[:1], form: Short},
		{name: "no payload", wire: join(Short, p[0], p[1][:rtpHeader], p[2]), want: [][]byte{p[0], p[1][:rtpHeader], p[2]}, form: Short},
		{name: "longest", wire: join(Short, p[0], p[1], long, p[2]), want: [][]byte{p[0], p[1], long, p[2]}, form: Short},
		{name: "longest first", wire: join(Interleaved, long, p[0], p[1]), want: [][]byte{long, p[0], p[1]}, form: Interleaved},
		{name: "reports", wire: join(Interleaved, report(a), p[0], p[1], report(a), p[2]),
			want: [][]byte{report(a), p[0], p[1], report(a), p[2]}, form: Interleaved},
		{name: "reports of others", wire: join(Short, p[0], p[1], report(b), p[2]), want: [][]byte{p[0], p[1], report(b), p[2]}, form: Short},
		{name: "$ as length", wire: join(Short, rtp(a, 0x8000, 0x2402), p[0], p[1]), want: [][]byte{rtp(a, 0x8000, 0x2402), p[0], p[1]}, form: Short},
		{name: "EHOME once", wire: cat(vendor(1), join(Interleaved, p...)), want: p, form: Interleaved},
		{name: "EHOME often", wire: cat(vendor(1), join(Interleaved, p[:2]...), vendor(2), join(Interleaved, p[2:]...)), want: p, form: Interleaved},
		{name: "EHOME without $", wire: cat(vendor(1), []byte{0, 0, 1, 44}, p[0], join(Interleaved, p[1:]...)), want: p, form: Interleaved},
		{name: "EHOME with a byte more", wire: cat(vendor(1), join(Interleaved, odd(p[0]), odd(p[1]))), want: [][]byte{even(p[0]), even(p[1])}, form: Interleaved},
		{name: "as long as EHOME's header", wire: join(Short, many(a, 0, 3, 256)...), want: many(a, 0, 3, 256), form: Short},
		{name: "empty packets", wire: cat([]byte{0, 0, 0, 0}, join(Short, p[0]), []byte{0, 0}, join(Short, p[1], p[2]), []byte{0, 0, 0, 0}),
			want: p[:3], form: Short, lost: []int{0}},
		{name: "two senders", wire: join(Short, p[0], other[0], p[1], other[1], p[2]),
			want: [][]byte{p[0], other[0], p[1], other[1], p[2]}, form: Short},
		{name: "another sender", wire: join(Short, p[0], p[1], other[0], other[1], other[2]),
			want: [][]byte{p[0], p[1], other[0], other[1], other[2]}, form: Short},
		{name: "garbage first", wire: cat(noise(5000), join(Short, p...)), want: p, form: Short, lost: []int{0}},
		{name: "garbage between", wire: cat(join(Short, p[:6]...), noise(3000), join(Short, p[6:]...)), want: p, form: Short, lost: []int{6}},
		{name: "garbage between $", wire: cat(join(Interleaved, p[:6]...), noise(3000), join(Interleaved, p[6:]...)), want: p, form: Interleaved, lost: []int{6}},
		{name: "a part is missing", wire: cat(join(Short, p[:6]...), join(Short, p[6])[:100], join(Short, p[7:]...)),
			want: cat2(p[:6], [][]byte{cat(p[6][:98], join(Short, p[7])[:202])}, p[8:]), form: Short, lost: []int{7}},
		{name: "a lying length", wire: cat(join(Short, p[:6]...), []byte{0, 100}, p[6], join(Short, p[7:]...)),
			want: cat2(p[:6], [][]byte{p[6][:100]}, p[7:]), form: Short, lost: []int{7}},
		{name: "a sender's new number behind garbage", wire: cat(join(Short, p[:3]...), noise(2000), join(Short, other...)),
			want: cat2(p[:3], other), form: Short, lost: []int{3}},
		{name: "length 0 and 65535", wire: []byte{0, 0, 255, 255, 1, 2, 3, 4, 5, 6, 7, 8}, waiting: true},
		{name: "half a packet", wire: join(Short, p[0], p[1], p[2])[:700], want: p[:2], form: Short, waiting: true},
		{name: "no packets", wire: bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 10000), err: ErrGarbage},
		{name: "zeros", wire: make([]byte, 3*maxGarbage), err: ErrGarbage},
		{name: "packets, then none", wire: cat(join(Short, p...), noise(2*maxGarbage)), want: p, form: Short, err: ErrGarbage},
		{name: "packets, then empty ones", wire: cat(join(Short, p...), make([]byte, 4*maxGarbage)), want: p, form: Short, err: ErrGarbage},
	}
}

func cat2(parts ...[][]byte) [][]byte { return slices.Concat(parts...) }

// found is what a Parser makes of b in pieces of n bytes.
type found struct {
	packets [][]byte
	lost    []int
	err     error
	parser  Parser
}

func parse(b []byte, n int) *found {
	f := &found{}
	take := func(p []byte, lost bool) {
		if lost {
			f.lost = append(f.lost, len(f.packets))
		}
		f.packets = append(f.packets, bytes.Clone(p))
	}
	b = bytes.Clone(b) // which the Parser may change
	for piece := range slices.Chunk(b, n) {
		if f.err = f.parser.Push(piece, take); f.err != nil {
			return f
		}
	}
	f.parser.Flush(take)
	return f
}

func TestParser(t *testing.T) {
	for _, c := range parserCases() {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 7, 1460, 64 << 10, 1 << 20} {
				if n < len(c.wire)/20000 {
					continue // takes too long
				}
				got := parse(c.wire, n)
				require.ErrorIs(t, got.err, c.err)
				require.Equal(t, len(c.want), len(got.packets), "pieces of %d", n)
				for i := range c.want {
					require.Equal(t, c.want[i], got.packets[i], "packet %d, pieces of %d", i, n)
				}
				if c.err == nil {
					require.Equal(t, c.lost, got.lost, "pieces of %d", n)
				}
				require.Equal(t, c.form, got.parser.Form())
				if c.form == Interleaved {
					require.EqualValues(t, 2*min(1, len(c.wire)-len(bytes.ReplaceAll(c.wire, []byte{'$', 2}, nil))), got.parser.Channel())
				}
			}
		})
	}
}

// TestParserCut: wherever a connection is cut, the packets before that are found,
// and those that are cut are waited for.
func TestParserCut(t *testing.T) {
	p := many(a, 1, 4, 50)
	for _, f := range []Form{Short, Interleaved} {
		wire := join(f, p...)
		frame := len(wire) / len(p)
		for n := range wire {
			var parser Parser
			count := 0
			take := func(b []byte, lost bool) {
				require.Equal(t, p[count], b)
				require.False(t, lost)
				count++
			}
			require.NoError(t, parser.Push(bytes.Clone(wire[:n]), take))
			require.Equal(t, n%frame > 0 || count < n/frame, parser.Waiting())
			parser.Flush(take)
			require.Equal(t, n/frame, count)
		}
	}
}

// TestParserAnywhere puts garbage at every place of a packet: at most that one
// and the next are lost or broken.
func TestParserAnywhere(t *testing.T) {
	p := many(a, 1, 12, 60)
	for _, f := range []Form{Short, Interleaved} {
		wire := join(f, p...)
		frame := len(wire) / len(p)
		for at := 4 * frame; at < 5*frame; at++ {
			for _, n := range []int{1, 2, 3, 17, 500, 10 * at} {
				got := parse(cat(wire[:at], noise(n), wire[at:]), 1460)
				require.NoError(t, got.err)
				require.Equal(t, p[:4], got.packets[:4], "%d at %d", n, at)
				require.GreaterOrEqual(t, len(got.packets), 10, "%s: %d at %d", f, n, at)
				require.Equal(t, p[6:], got.packets[len(got.packets)-6:], "%s: %d at %d", f, n, at)
				require.LessOrEqual(t, len(got.packets), len(p)+1)
				require.LessOrEqual(t, got.parser.Resyncs(), uint64(2))
				if at == 4*frame {
					require.NotZero(t, got.parser.Resyncs())
				}
			}
		}
	}
}

// TestParserMemory: what is kept is in proportion to what came, and given back.
func TestParserMemory(t *testing.T) {
	var p Parser
	take := func([]byte, bool) {}
	require.NoError(t, p.Push([]byte{0xff, 0xff, 0x80, 0x60}, take))
	require.Less(t, cap(p.buf), 100, "announced, not received")
	p = Parser{}
	packets := many(a, 1, 3, MaxPacket)
	wire := join(Short, packets...)
	for i := range wire {
		require.NoError(t, p.Push(wire[i:i+1], take))
	}
	require.False(t, p.Waiting())
	require.NoError(t, p.Push(nil, take))
	require.LessOrEqual(t, cap(p.buf), keptMemory)
}

// TestParserSearchMemory: what is searched for a packet is kept in about as much.
func TestParserSearchMemory(t *testing.T) {
	var p Parser
	err := error(nil)
	for most := 0; err == nil; {
		err = p.Push(noise(16<<10), func([]byte, bool) {})
		most = max(most, cap(p.buf))
		require.LessOrEqual(t, most, maxGarbage+17<<10)
	}
	require.ErrorIs(t, err, ErrGarbage)
}

// TestParserAllocations: packets that are whole are handed over where they are.
func TestParserAllocations(t *testing.T) {
	var p Parser
	wire := join(Short, many(a, 1, 100, 1400)...)
	take := func([]byte, bool) {}
	require.NoError(t, p.Push(wire, take))
	require.Zero(t, testing.AllocsPerRun(10, func() { _ = p.Push(wire, take) }))
}

// BenchmarkParser shows what it costs to find packets, in pieces as they come
// from a connection, and that a search is linear.
func BenchmarkParser(b *testing.B) {
	var storm []byte // of what might be packets
	for len(storm) < 60<<10 {
		storm = append(storm, 0, 40, 0x80, 96)
	}
	for name, wire := range map[string][]byte{
		"packets": join(Short, many(a, 0, 200, 1400)...),
		"garbage": cat(noise(60<<10), join(Short, many(a, 0, 3, 1400)...)),
		"storm":   cat(storm, join(Short, many(a, 0, 3, 1400)...)),
	} {
		b.Run(name, func(b *testing.B) {
			var p Parser
			_ = p.Push(join(Short, many(a, 0, 3, 1400)...), func([]byte, bool) {})
			b.SetBytes(int64(len(wire)))
			for b.Loop() {
				for piece := range slices.Chunk(wire, 16<<10) {
					if err := p.Push(piece, func([]byte, bool) {}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// FuzzParser: nothing panics, a packet is found however the bytes are cut, and
// memory is bounded.
func FuzzParser(f *testing.F) {
	for _, c := range parserCases() {
		if len(c.wire) < 10000 {
			f.Add(c.wire, uint16(100))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		got := parse(b, int(n)+1)
		size := 0
		for _, p := range got.packets {
			require.GreaterOrEqual(t, len(p), rtcpHeader)
			require.EqualValues(t, 2, p[0]>>6)
			size += len(p) + 2
		}
		require.LessOrEqual(t, size+int(got.parser.Skipped()), len(b)+2*len(got.packets))
		wire := join(Short, many(a, 1, 4, 100)...)
		clean := parse(cat(wire, b), int(n)+1)
		require.GreaterOrEqual(t, len(clean.packets), 3)
	})
}
