package pes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Pictures of which every third time is told, or fewer, are shown when they were meant
// to be, once two told ones have shown how far apart counts are.
func TestShownByOrder(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		for b := range 4 {
			for every := 2; every < 8; every++ {
				var x shown
				s := testmedia.Stream{Video: c, BFrames: b, GOP: 2 * time.Second}
				told := 0
				for i, f := range s.Take(8 * time.Second) {
					g := *f
					if g.PTS = 0; i%every == 0 {
						g.PTS = f.PTS
						told++
					}
					x.place(&g, i%every == 0, 40*time.Millisecond)
					if told > 1 {
						require.InDelta(t, f.PTS, g.PTS, 2e6, "%v with %d B-frames, every %d told: %d", c, b, every, i)
					}
				}
			}
		}
	}
}

// Where slice headers cannot be read no two pictures are shown at once, and none
// before it is decoded.
func TestShownGuessed(t *testing.T) {
	var x shown
	seen := map[time.Duration]bool{}
	for i, f := range (testmedia.Stream{Video: codec.H264, BFrames: 2, GOP: time.Second}).Take(4 * time.Second) {
		g := *f
		g.Track = &codec.Track{Codec: codec.H264} // no parameter sets
		if i%4 != 0 {
			g.PTS = 0
		}
		x.place(&g, i%4 == 0, 40*time.Millisecond)
		require.GreaterOrEqual(t, g.PTS, g.DTS)
		if i%4 != 0 {
			require.False(t, seen[g.PTS], "picture %d at %v", i, g.PTS)
		}
		seen[g.PTS] = true
	}
}
