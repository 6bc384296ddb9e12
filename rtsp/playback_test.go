package rtsp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// TestPlayback: the times of packets where a film goes.
func TestPlayback(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	type step struct {
		scale    float64 // 0: as before
		dts, pts time.Duration
		flags    codec.Flags
		when     time.Duration // of dts
		later    time.Duration // of pts, after that
	}
	const jump = codec.FlagDiscont
	for name, steps := range map[string][]step{
		"as it is":           {{0, 0, 80 * ms, 0, 0, 80 * ms}, {0, 40 * ms, 40 * ms, 0, 40 * ms, 0}},
		"begins later":       {{0, 9 * s, 9 * s, jump, 9 * s, 0}, {0, 10 * s, 10 * s, 0, 10 * s, 0}},
		"forward":            {{0, 0, 40 * ms, 0, 0, 40 * ms}, {0, 9 * s, 9*s + 40*ms, jump, 80 * ms, 40 * ms}, {0, 10 * s, 10 * s, 0, 1080 * ms, 0}},
		"back":               {{0, 9 * s, 9 * s, 0, 9 * s, 0}, {0, 1 * s, 1 * s, jump, 9040 * ms, 0}, {0, 2 * s, 2 * s, 0, 10040 * ms, 0}},
		"a little back":      {{0, 9 * s, 9 * s, 0, 9 * s, 0}, {0, 9*s - 200*ms, 9*s - 200*ms, jump | codec.FlagKey, 9040 * ms, 0}},
		"another track's":    {{0, 9 * s, 9 * s, 0, 9 * s, 0}, {0, 1 * s, 1 * s, jump | codec.FlagKey, 9040 * ms, 0}, {0, s - 10*ms, s - 10*ms, jump, 9030 * ms, 0}},
		"a seam":             {{0, 9 * s, 9 * s, 0, 9 * s, 0}, {0, 9*s + 40*ms, 9*s + 40*ms, jump | codec.FlagKey, 9040 * ms, 0}},
		"twice":              {{0, 0, 0, 0, 0, 0}, {2, 1 * s, 1*s + 40*ms, 0, 500 * ms, 20 * ms}, {0, 2 * s, 2 * s, 0, s, 0}},
		"half, after a jump": {{0, 0, 0, 0, 0, 0}, {0.5, 9 * s, 9 * s, jump, 40 * ms, 0}, {0, 10 * s, 10 * s, 0, 2040 * ms, 0}, {1, 11 * s, 11 * s, 0, 3040 * ms, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var p playback
			for i, x := range steps {
				if x.scale > 0 {
					p.setScale(x.scale)
				}
				in := &codec.Frame{DTS: x.dts, PTS: x.pts, Flags: x.flags}
				out := p.take(in, x.flags&codec.FlagKey != 0)
				require.Equal(t, x.when, out.DTS, i)
				require.Equal(t, x.when+x.later, out.PTS, i)
				require.Equal(t, x.dts, in.DTS, "a frame is nobody's to change")
				require.Equal(t, out.DTS, p.when(x.dts))
			}
		})
	}
}
