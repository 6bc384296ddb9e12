package ts

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// framed returns the frames of an audio stream with their headers, as they stand
// in an elementary stream.
func framed(t *testing.T, frames []*codec.Frame) (units [][]byte) {
	for _, f := range frames {
		b := f.Data
		if f.Track.Codec == codec.AAC {
			var err error
			b, err = codec.AppendADTS(nil, f.Track, b)
			require.NoError(t, err)
		}
		units = append(units, b)
	}
	return units
}

// elementaryStream returns an elementary stream cut into PES packets at the given
// places. timeAt tells the time of what begins at a place; false if nothing does.
func elementaryStream(m *Muxer, es []byte, cuts []int, timeAt func(from, to int) (int64, bool)) []byte {
	file := m.AppendTables(nil)
	from := 0
	for _, to := range append(cuts, len(es)) {
		ticks, ok := timeAt(from, to)
		file = append(file, unitOf(m.streams[0], ticks, true, ok, es[from:to])...)
		from = to
	}
	return file
}

// Frames that are cut by the ends of PES packets have the times of their samples;
// a PES header tells that of the first that begins behind it.
func TestAudioAcrossPES(t *testing.T) {
	for _, c := range []codec.Codec{codec.AAC, codec.MP3, codec.MP2, codec.AC3} {
		s := testmedia.Stream{Audio: c}
		frames := s.Take(time.Second)
		for i, f := range frames { // exact, not in milliseconds
			f.DTS = codec.FromTicks(int64(i)*codec.Ticks(codec.FrameDuration(f), 48000), 48000)
			f.PTS = f.DTS
		}
		units := framed(t, frames)
		es := slices.Concat(units...)
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 0))
			var cuts []int
			for at := 1 + r.IntN(3000); at < len(es); at += 1 + r.IntN(3000) {
				cuts = append(cuts, at)
			}
			file := elementaryStream(NewMuxer(s.Tracks()), es, cuts, func(from, to int) (int64, bool) {
				at := 0
				for i, u := range units {
					if at >= from && at < to {
						return codec.Ticks(frames[i].DTS, 90000), true
					}
					at += len(u)
				}
				return 0, false
			})
			requireSameFrames(t, frames, demux(t, file), 0)
		}
	}
}

// What is damaged within an elementary stream costs the frames it is in.
func TestAudioDamage(t *testing.T) {
	for _, c := range []codec.Codec{codec.AAC, codec.MP3, codec.AC3} {
		s := testmedia.Stream{Audio: c}
		frames := s.Take(time.Second)
		units := framed(t, frames)
		for name, damage := range map[string]func(b []byte) []byte{
			"byte missing":    func(b []byte) []byte { return slices.Delete(b, 50, 51) },
			"bytes inserted":  func(b []byte) []byte { return slices.Insert(b, 50, make([]byte, 100)...) },
			"header damaged":  func(b []byte) []byte { b[0], b[1] = 0, 0; return b },
			"length damaged":  func(b []byte) []byte { b[4] ^= 0x13; return b },
			"false syncwords": func(b []byte) []byte { copy(b[20:], bytes.Repeat(b[:2], 20)); b[1] = 0; return b },
		} {
			var es []byte
			for i, u := range units {
				if i == 10 {
					u = damage(bytes.Clone(u))
				}
				es = append(es, u...)
			}
			// All in few PES packets: the time goes on from frame to frame.
			file := elementaryStream(NewMuxer(s.Tracks()), es, []int{len(es) / 2}, func(from, _ int) (int64, bool) { return 0, from == 0 })
			got := demux(t, file)
			want := map[string]bool{}
			for _, f := range frames {
				want[string(f.Data)] = true
			}
			right := 0
			for _, f := range got {
				if want[string(f.Data)] {
					right++
				}
			}
			require.GreaterOrEqual(t, right, len(frames)-3, "%v: %s", c, name)
			require.LessOrEqual(t, len(got)-right, 3, "%v: %s", c, name)
		}
	}
}

// A frame of AAC with a checksum, and with other parameters than before.
func TestAudioADTS(t *testing.T) {
	a, b := testmedia.Track(1, codec.AAC), testmedia.Track2(1, codec.AAC)
	var es []byte
	raw := []byte{0x21, 1, 2, 3}
	for _, track := range []*codec.Track{a, a, b, a} {
		adts, err := codec.AppendADTS(nil, track, append([]byte{0xcc, 0xcc}, raw...)) // room for the checksum
		require.NoError(t, err)
		adts[1] &^= 1 // there is one
		es = append(es, adts...)
	}
	file := elementaryStream(NewMuxer([]*codec.Track{a}), es, nil, func(int, int) (int64, bool) { return 900, true })
	got := demux(t, file)
	require.Len(t, got, 4)
	for i, track := range []*codec.Track{a, a, b, a} {
		require.Equal(t, raw, got[i].Data)
		require.True(t, track.SameConfig(got[i].Track))
	}
	require.Same(t, got[0].Track, got[1].Track)
	ms := 10 * time.Millisecond
	frame := codec.FromTicks(1024, 48000)
	for i, want := range []time.Duration{ms, ms + frame, ms + 2*frame, ms + 2*frame + codec.FromTicks(1024, 44100)} {
		require.InDelta(t, want, got[i].DTS, float64(tick))
	}
}

// The descriptor of Opus tells the channels.
func TestOpusChannels(t *testing.T) {
	for n := 1; n <= 8; n++ {
		track := codec.NewOpusTrack(1, n)
		var d Demuxer
		_, err := d.Append(nil, bytes.Repeat(NewMuxer([]*codec.Track{track}).AppendTables(nil), 2))
		require.NoError(t, err)
		require.True(t, track.SameConfig(d.Tracks()[0]), n)
	}
}
