// Package filmtest is what the tests of clients and servers have in common: a stream
// that is published on one end, and recognized on the other (film.go), and one that
// can be sought (reel.go).
package filmtest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Film is what is published: a key frame every 200 ms.
var Film = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000, BFrames: 2}

// Require fails unless fs are frames of Film's first minute in a row, with audio
// and video as far apart as there. Times may be off by tick.
func Require(t *testing.T, fs []*codec.Frame, tick time.Duration) {
	t.Helper()
	apart := map[codec.Kind]time.Duration{} // how much later than in Film
	all := map[codec.Kind][]*codec.Frame{}
	for _, f := range Film.Take(time.Minute) {
		all[f.Track.Kind()] = append(all[f.Track.Kind()], f)
	}
	for _, f := range fs {
		k := f.Track.Kind()
		want := all[k]
		_, begun := apart[k]
		if !begun {
			for len(want) > 0 && !bytes.Equal(want[0].Data, f.Data) {
				want = want[1:]
			}
			require.NotEmpty(t, want, "%v %v is not in the film", k, f.DTS)
			apart[k] = f.PTS - want[0].PTS
		}
		require.Equal(t, want[0].Data, f.Data, "%v %v", k, f.DTS)
		require.InDelta(t, want[0].PTS+apart[k], f.PTS, float64(tick))
		require.InDelta(t, want[0].PTS-want[0].DTS, f.PTS-f.DTS, float64(tick))
		all[k] = want[1:]
	}
	require.InDelta(t, apart[codec.KindVideo], apart[codec.KindAudio], float64(20*time.Millisecond))
}

// Soon is a context for what must happen in a test.
func Soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
