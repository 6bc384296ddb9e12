package rtp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Frames are lost; decoding times stay near the true ones all the same.
func TestDecodingTimesWithLoss(t *testing.T) {
	const frame = 40 * time.Millisecond
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		for b := range 4 {
			stream := testmedia.Stream{Video: c, BFrames: b, GOP: 2 * time.Second}
			rnd := rand.New(rand.NewPCG(1, uint64(b)))
			var d decodingTimes
			last := -time.Second
			for i, f := range stream.Take(time.Minute) {
				if i > 0 && rnd.IntN(10) == 0 {
					d.lose()
					continue
				}
				g := *f
				if !d.stamp(&g) {
					continue
				}
				require.Equal(t, f.PTS, g.PTS)
				require.LessOrEqual(t, g.DTS, g.PTS, "%v %d B frames, at %v", c, b, f.DTS)
				require.GreaterOrEqual(t, g.DTS, last)
				if b == 0 {
					require.Equal(t, g.PTS, g.DTS, "%v at %v", c, f.DTS)
				}
				require.InDelta(t, f.DTS, g.DTS, float64(time.Duration(4*b)*frame), "%v %d B frames, at %v", c, b, f.DTS)
				last = g.DTS
			}
		}
	}
}

// inexact returns an H264 track with B frames like track whose parameter sets do not tell how deep
// pictures are reordered: the SPS without its VUI, which is where the stop bit
// makes one that says the same otherwise.
func inexact(t testing.TB, track *codec.Track) *codec.Track {
	t.Helper()
	sets := track.ParameterSets()
	sps := sets[0]
	for i := 32; i < 8*len(sps); i++ {
		cut := append([]byte(nil), sps[:i/8+1]...)
		cut[i/8] = cut[i/8]&^(0xff>>(i%8)) | 0x80>>(i%8)>>1 // bit i is 0: no VUI; then the stop bit
		if i%8 == 7 {
			cut = append(cut, 0x80)
		}
		x, err := codec.NewH264Track(track.ID, cut, sets[1])
		if err != nil || x.Width != track.Width || x.Height != track.Height || x.FrameRate != 0 {
			continue
		}
		var d codec.DTSExtractor
		stream := testmedia.Stream{Video: codec.H264, BFrames: 2}
		ok := true
		for _, f := range stream.Take(time.Second) {
			g := *f
			g.Track = x
			_, err := d.Extract(&g)
			ok = ok && err == nil && !d.Exact()
		}
		if ok {
			return x
		}
	}
	t.Fatal("no such SPS")
	return nil
}

// Where the extractor has to count pictures, lost ones do not mislead it.
func TestDecodingTimesInexact(t *testing.T) {
	const frame = 40 * time.Millisecond
	for b := 1; b < 4; b++ {
		for _, loss := range []int{0, 10} {
			stream := testmedia.Stream{Video: codec.H264, BFrames: b, GOP: time.Second}
			track := inexact(t, stream.Tracks()[0])
			rnd := rand.New(rand.NewPCG(1, uint64(b)))
			var d decodingTimes
			last := -time.Second
			for i, f := range stream.Take(time.Minute) {
				if i > 0 && loss > 0 && rnd.IntN(loss) == 0 {
					d.lose()
					continue
				}
				g := *f
				g.Track = track
				if !d.stamp(&g) {
					continue
				}
				require.GreaterOrEqual(t, g.DTS, last)
				if f.DTS > 2*time.Second {
					require.LessOrEqual(t, g.DTS, g.PTS, "%d B frames, at %v", b, f.DTS)
					require.InDelta(t, f.DTS, g.DTS, float64(time.Duration(2*b+1)*frame), "%d B frames, at %v", b, f.DTS)
				}
				last = g.DTS
			}
		}
	}
}

// Without parameter sets the depth of reordering is learnt from the times.
func TestDecodingTimesWithoutConfig(t *testing.T) {
	for b := range 4 {
		var d decodingTimes
		bare := &codec.Track{ID: 1, Codec: codec.H264}
		for _, f := range (testmedia.Stream{Video: codec.H264, BFrames: b}).Take(20 * time.Second) {
			g := *f
			g.Track = bare
			require.True(t, d.stamp(&g))
			if f.DTS > 2*time.Second {
				require.LessOrEqual(t, g.DTS, g.PTS)
				require.InDelta(t, f.DTS, g.DTS, float64(time.Duration(b+2)*40*time.Millisecond))
			}
		}
	}
}

// A time that is nonsense is not taken for reordering.
func TestDecodingTimesNonsense(t *testing.T) {
	var d decodingTimes
	bare := &codec.Track{ID: 1, Codec: codec.H264}
	for _, c := range []struct{ pts, dts time.Duration }{
		{10 * time.Second, 10 * time.Second}, {time.Second, 10 * time.Second}, {11 * time.Second, 11 * time.Second},
	} {
		f := &codec.Frame{Track: bare, PTS: c.pts, Flags: codec.FlagKey}
		require.True(t, d.stamp(f))
		require.Equal(t, c.dts, f.DTS)
	}
}

// What passes through keeps its PTS, in any order.
func TestDecodingTimesOpaque(t *testing.T) {
	track := &codec.Track{ID: 1, Wire: wireRTP, Name: "X-ANY"}
	var d decodingTimes
	for _, c := range []struct{ pts, dts time.Duration }{{0, 0}, {3, 3}, {1, 3}, {2, 3}, {5, 5}} {
		f := &codec.Frame{Track: track, PTS: c.pts}
		require.True(t, d.stamp(f))
		require.Equal(t, c.pts, f.PTS)
		require.Equal(t, c.dts, f.DTS)
	}
}

// Audio has no reordering: a time that falls stands still.
func TestDecodingTimesAudio(t *testing.T) {
	track := testmedia.Track(1, codec.Opus)
	var d decodingTimes
	for _, c := range []struct{ pts, want time.Duration }{{0, 0}, {20, 20}, {10, 20}, {40, 40}} {
		f := &codec.Frame{Track: track, PTS: c.pts}
		require.True(t, d.stamp(f))
		require.Equal(t, c.want, f.PTS)
		require.Equal(t, c.want, f.DTS)
	}
}
