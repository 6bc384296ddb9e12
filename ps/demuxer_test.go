package ps

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// eachDemux runs fn for every stream.
func eachDemux(t *testing.T, fn func(t *testing.T, s testmedia.Stream)) {
	containertest.EachStream(t, containertest.ProgramStreams(), 400_000, fn)
}

// shortDemux is a small stream of video and audio, large is one of pictures that have
// several PES packets.
var (
	shortDemux = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000}
	largeDemux = testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, GOP: 200 * time.Millisecond, Bitrate: 30_000_000}
)

// muxed returns frames as a program stream.
func muxed(t testing.TB, frames []*codec.Frame) []byte {
	t.Helper()
	return mux(t, nil, frames)
}

// demuxed returns what a Demuxer finds in b.
func demuxed(t testing.TB, b []byte) []*codec.Frame {
	t.Helper()
	var d Demuxer
	frames, err := d.Append(nil, b)
	require.NoError(t, err)
	return d.Flush(frames)
}

// demuxedIn returns what a Demuxer finds in b, which comes in pieces of n bytes.
func demuxedIn(t testing.TB, b []byte, n int) (frames []*codec.Frame) {
	t.Helper()
	var d Demuxer
	buf := make([]byte, n)
	for piece := range slices.Chunk(b, n) {
		var err error
		frames, err = d.Append(frames, buf[:copy(buf, piece)])
		if rest := len(d.packets.rest); err != nil || rest > 512 {
			t.Fatalf("%v, %d bytes waiting", err, rest)
		}
	}
	return d.Flush(frames)
}

// requireDemuxed compares what went in with what came out, kind by kind.
func requireDemuxed(t *testing.T, want, got []*codec.Frame, shift time.Duration) {
	t.Helper()
	containertest.ProgramMatch(shift).Frames(t, want, got)
}

// A section is what begins with a start code above those of video, in a program
// stream that is right.
type section []byte

func (s section) id() byte      { return s[3] }
func (s section) isMedia() bool { return pes.IsVideo(s[3]) || pes.IsAudio(s[3]) }

// setLength writes the length of a PES packet.
func (s section) setLength(n int) { binary.BigEndian.PutUint16(s[4:], uint16(n)) }

// sectionsOf takes b apart.
func sectionsOf(b []byte) (list []section) {
	for len(b) > 0 {
		n := 4
		switch b[3] {
		case codePack:
			n = packHeaderSize
			if b[4]>>4 == 2 {
				n = packHeaderSize1
			}
		case codeEnd:
		default:
			n = pes.Prefix + int(binary.BigEndian.Uint16(b[4:]))
		}
		list = append(list, bytes.Clone(b[:n]))
		b = b[n:]
	}
	return list
}

func joined(list []section) (b []byte) {
	for _, s := range list {
		b = append(b, s...)
	}
	return b
}

// changed returns b with fn done to its sections. fn returns what stands instead.
func changed(b []byte, fn func(i int, s section) []byte) (out []byte) {
	for i, s := range sectionsOf(b) {
		out = append(out, fn(i, s)...)
	}
	return out
}

func TestDemuxer(t *testing.T) {
	eachDemux(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(2 * time.Second)
		got := demuxed(t, muxed(t, want))
		requireDemuxed(t, want, got, containertest.ProgramLead)
		for i := range got[1:] {
			require.GreaterOrEqual(t, got[i+1].DTS, got[i].DTS, "in order")
		}
	})
}

func TestDemuxerPieces(t *testing.T) {
	eachDemux(t, func(t *testing.T, s testmedia.Stream) {
		b := muxed(t, s.Take(400*time.Millisecond))
		want := demuxed(t, b)
		for _, n := range []int{1, 2, 7, 64, 188, 1400, 4096} {
			require.Equal(t, want, demuxedIn(t, b, n), n)
		}
	})
}

// Cut anywhere, at either end.
func TestDemuxerCut(t *testing.T) {
	want := shortDemux.Take(120 * time.Millisecond)
	b := muxed(t, want)
	for n := range b {
		got := demuxed(t, b[:n])
		containertest.RequireSome(t, want, got)
		if n < 3000 {
			containertest.RequireSome(t, want, demuxed(t, b[n:]))
		}
	}
}

// Large pictures have several PES packets.
func TestDemuxerParts(t *testing.T) {
	want := largeDemux.Take(time.Second)
	b := muxed(t, want)
	parts := 0
	for _, s := range sectionsOf(b) {
		if pes.IsVideo(s.id()) && s[7]&0x80 == 0 {
			parts++
		}
	}
	require.NotZero(t, parts)
	requireDemuxed(t, want, demuxed(t, b), containertest.ProgramLead)
	requireDemuxed(t, want, demuxedIn(t, b, 1400), containertest.ProgramLead)
	// With the time in each.
	var header []byte
	repeated := changed(b, func(_ int, s section) []byte {
		switch {
		case !pes.IsVideo(s.id()):
		case s[7]&0x80 != 0:
			header = s[6 : 9+s[8]]
		default:
			s = slices.Concat(s[:6], header, s[9:])
			s.setLength(len(s) - 6)
		}
		return s
	})
	requireDemuxed(t, want, demuxed(t, repeated), containertest.ProgramLead)
	// With every NAL unit apart.
	want = shortDemux.Take(time.Second)
	requireDemuxed(t, want, demuxed(t, apart(muxed(t, want))), containertest.ProgramLead)
}

// Lengths that are 0, or lie (limits P1). Those of video that are cut to 16 bits are
// no damage.
func TestDemuxerLengths(t *testing.T) {
	for _, s := range []testmedia.Stream{shortDemux, largeDemux} {
		want := s.Take(time.Second)
		b := muxed(t, want)
		whole := joinPictures(b)
		for _, c := range []struct {
			name   string
			b      []byte
			length func(s section) int
			exact  bool
		}{
			{"0", whole, func(section) int { return 0 }, true},
			{"cut to 16 bits", whole, func(s section) int { return len(s) - 6 }, true},
			{"1", b, func(section) int { return 1 }, false},
			{"65535", b, func(section) int { return 65535 }, false},
			{"without the header", b, func(s section) int { return len(s) - 9 - int(s[8]) }, false},
			{"one too many", b, func(s section) int { return len(s) - 5 }, false},
			{"one too few", b, func(s section) int { return len(s) - 7 }, false},
			{"1000 too many", b, func(s section) int { return len(s) + 994 }, false},
			{"half", b, func(s section) int { return len(s) / 2 }, false},
		} {
			lying := bytes.Clone(c.b)
			for _, s := range split(lying) {
				if pes.IsVideo(s.id()) {
					s.setLength(c.length(s) & 0xffff)
				}
			}
			for _, n := range []int{len(lying), 1400, 100} {
				got := demuxedIn(t, lying, n)
				if c.name == "one too many" { // the piece before may end within what tells
					require.Len(t, got, len(want))
					containertest.RequireSome(t, want, got)
					continue
				}
				if !c.exact {
					for _, f := range got {
						f.Flags &^= codec.FlagCorrupt
					}
				}
				if c.name == "1" { // nothing of it is a PES packet
					got = containertest.OfKind(got, codec.KindAudio)
					requireDemuxed(t, containertest.OfKind(want, codec.KindAudio), got, containertest.ProgramLead)
					continue
				}
				t.Run(fmt.Sprint(c.name, " in ", n), func(t *testing.T) { requireDemuxed(t, want, got, containertest.ProgramLead) })
			}
		}
	}
}

// joinPictures makes each picture of a program stream one PES packet, whose length
// may not fit.
func joinPictures(b []byte) (out []byte) {
	var last section
	for _, s := range sectionsOf(b) {
		if pes.IsVideo(s.id()) && s[7]&0x80 == 0 {
			last = append(last, s[9:]...)
			continue
		}
		out = append(out, last...)
		last = s
	}
	return append(out, last...)
}

// split returns the sections of b in place, whatever their lengths say.
func split(b []byte) (list []section) {
	for len(b) > 0 {
		n := 4
		for n < len(b)-4 && (!bytes.Equal(b[n:n+3], prefix) || b[n+3] < codePack) {
			n++
		}
		if n == len(b)-4 {
			n = len(b)
		}
		list = append(list, b[:n])
		b = b[n:]
	}
	return list
}

// Bytes that are nothing, between packets and in them.
func TestDemuxerGarbage(t *testing.T) {
	want := shortDemux.Take(2 * time.Second)
	b := muxed(t, want)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		injected := 0
		out := changed(b, func(i int, s section) []byte {
			if i < 3 || r.IntN(50) > 0 {
				return s
			}
			injected++
			garbage := make([]byte, 1+r.IntN(1000))
			for k := range garbage {
				garbage[k] = byte(r.Uint32())
				if seed%3 == 0 && r.IntN(3) > 0 {
					garbage[k] = byte(r.IntN(2))
				}
			}
			if seed%2 == 0 {
				return slices.Concat(garbage, s)
			}
			at := r.IntN(len(s))
			return slices.Concat(s[:at], garbage, s[at:])
		})
		for _, n := range []int{len(out), 1400} {
			got := demuxedIn(t, out, n)
			require.GreaterOrEqual(t, len(got), len(want)-3*injected, "seed %d", seed)
			if seed%2 == 0 {
				containertest.RequireSome(t, want, got)
			}
		}
	}
}

// Lost packets of RTP, whichever they are: the frames that nothing is missing of
// come, the others do not or are marked. Before the first parameter sets there is
// nothing of video.
func TestDemuxerLose(t *testing.T) {
	for _, s := range []testmedia.Stream{shortDemux, largeDemux} {
		want := s.Take(600 * time.Millisecond)
		var b []byte
		var ends []int // of frames
		m := NewMuxer(nil)
		for _, f := range want {
			var err error
			b, err = m.Append(b, f)
			require.NoError(t, err)
			ends = append(ends, len(b))
		}
		const size = 1400
		count := (len(b) + size - 1) / size
		for lost := range count {
			if count > 1000 && lost%41 > 0 {
				continue
			}
			var d Demuxer
			var got []*codec.Frame
			i := 0
			for piece := range slices.Chunk(b, size) {
				if i == lost {
					d.Lose()
				} else {
					got, _ = d.Append(got, piece)
				}
				i++
			}
			got = d.Flush(got)
			containertest.RequireSome(t, want, got)
			came := map[string]bool{}
			key := func(f *codec.Frame, lead time.Duration) string {
				return fmt.Sprint(f.Track.Kind(), (f.DTS + lead).Round(time.Millisecond))
			}
			for _, f := range got {
				came[key(f, 0)] = true
			}
			for i, f := range want {
				begin := 0
				if i > 0 {
					begin = ends[i-1]
				}
				whole := ends[i] <= lost*size || begin >= (lost+1)*size
				if lost == 0 && f.DTS < 200*time.Millisecond {
					whole = false
				}
				require.True(t, came[key(f, containertest.ProgramLead)] || !whole, "packet %d: %v at %v", lost, f.Track, f.DTS)
			}
		}
	}
}

// The 33 bits of times wrap.
func TestDemuxerWrap(t *testing.T) {
	for _, s := range containertest.ProgramStreams()[:4] {
		s.Bitrate = 100_000
		want := s.Take(2 * time.Second)
		start := codec.FromTicks(1<<33-90000, 90000) // a second before
		b := muxed(t, containertest.Later(want, start))
		requireDemuxed(t, containertest.Later(want, start), demuxed(t, b), containertest.ProgramLead)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(b)))
		require.Equal(t, io.EOF, err)
		requireDemuxed(t, want, got, 0)
	}
}

// Times that jump are a new timeline, for all tracks at once.
func TestDemuxerTimeJumps(t *testing.T) {
	a := shortDemux.Take(time.Second)
	for _, jump := range []time.Duration{time.Hour, 20 * time.Second, -200 * time.Millisecond} {
		second := containertest.Later(shortDemux.Take(time.Second), jump)
		got := demuxed(t, append(muxed(t, a), muxed(t, second)...))
		containertest.RequireJump(t, a, second, got)
	}
}

// After Flush there may be another stream.
func TestDemuxerFlush(t *testing.T) {
	var d Demuxer
	want := shortDemux.Take(time.Second)
	got, err := d.Append(nil, muxed(t, want))
	require.NoError(t, err)
	requireDemuxed(t, want, d.Flush(got), containertest.ProgramLead)
	other := testmedia.Stream{Video: codec.H265, Audio: codec.Opus, Bitrate: 100_000}.Take(time.Second)
	got, err = d.Append(nil, muxed(t, other))
	require.NoError(t, err)
	requireDemuxed(t, other, d.Flush(got), containertest.ProgramLead)
	require.Equal(t, []int{1, 2}, []int{d.Tracks()[0].ID, d.Tracks()[1].ID}, "IDs stay")
	require.Equal(t, codec.H265, d.Tracks()[0].Codec)
}

// What is no program stream is told, but only as long as there was none.
func TestDemuxerInvalid(t *testing.T) {
	for _, piece := range [][]byte{make([]byte, 32<<10), bytes.Repeat([]byte{0x47, 1, 2, 3}, 8<<10)} {
		var d Demuxer
		var err error
		for n := 0; err == nil; n += len(piece) {
			require.LessOrEqual(t, n, noPackMost)
			_, err = d.Append(nil, piece)
		}
		require.ErrorIs(t, err, ErrInvalid)
		_, again := d.Append(nil, muxed(t, shortDemux.Take(time.Second)))
		require.Equal(t, err, again)

		d = Demuxer{}
		_, err = d.Append(nil, muxed(t, shortDemux.Take(time.Second)))
		require.NoError(t, err)
		for range 100 {
			_, err = d.Append(nil, piece)
			require.NoError(t, err)
		}
	}
}
