// Package containertest is what the tests of the containers have in common: frames
// that went in are compared with those that came out (frames.go), Readers are fed
// and ended (reader.go), Files are sought (file.go), packets of live feeds are looked
// at (feed.go), and a container's Handler and Client meet (site.go, live.go).
// program.go has what program streams and transport streams have in common.
package containertest

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// EachStream runs fn for every stream, at this bitrate.
func EachStream(t *testing.T, streams []testmedia.Stream, bitrate int, fn func(t *testing.T, s testmedia.Stream)) {
	for _, s := range streams {
		s.Bitrate = bitrate
		t.Run(Name(s), func(t *testing.T) { fn(t, s) })
	}
}

// Name returns a name for a test with s.
func Name(s testmedia.Stream) string {
	name := fmt.Sprintf("%v+%v b%d", s.Video, s.Audio, s.BFrames)
	if s.Change > 0 {
		name += " changing"
	}
	if s.FPS > 0 {
		name += fmt.Sprintf(" %d fps", s.FPS)
	}
	return strings.ReplaceAll(name, "opaque", "none")
}

// OfKind returns the frames of that kind.
func OfKind(frames []*codec.Frame, k codec.Kind) (of []*codec.Frame) {
	for _, f := range frames {
		if f.Track.Kind() == k {
			of = append(of, f)
		}
	}
	return of
}

// Later returns frames as they are when they come later by d.
func Later(frames []*codec.Frame, d time.Duration) (later []*codec.Frame) {
	for _, f := range frames {
		g := *f
		g.DTS += d
		g.PTS += d
		later = append(later, &g)
	}
	return later
}

// Digest is short where a message would have to show all of b.
func Digest(b []byte) string { return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b)) }

// A Match says how true a container is to what goes through it. The zero value
// lets nothing change.
type Match struct {
	Shift time.Duration                    // what is added to the times
	Tick  func(*codec.Track) time.Duration // how far times may be off; nil: not at all
	Lost  codec.Flags                      // what is not carried
}

// Frames compares what went in with what came out, kind by kind.
func (m Match) Frames(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio, codec.KindData} {
		w, g := OfKind(want, k), OfKind(got, k)
		require.Len(t, g, len(w), k.String())
		for i := range w {
			m.Frame(t, w[i], g[i], fmt.Sprintf("%v frame %d", k, i))
		}
	}
}

// Frame compares a frame that went in with the one that came out.
func (m Match) Frame(t testing.TB, want, got *codec.Frame, name string) {
	t.Helper()
	var tick time.Duration
	if m.Tick != nil {
		tick = m.Tick(want.Track)
	}
	require.Equal(t, Digest(want.Data), Digest(got.Data), name)
	require.InDelta(t, want.DTS+m.Shift, got.DTS, float64(tick), "DTS of %s", name)
	require.InDelta(t, want.PTS+m.Shift, got.PTS, float64(tick), "PTS of %s", name)
	require.Equal(t, want.Flags&^m.Lost, got.Flags&^m.Lost, name)
	RequireSameTrack(t, want.Track, got.Track)
}

// RequireSameTrack compares all but the IDs.
func RequireSameTrack(t testing.TB, want, got *codec.Track) {
	t.Helper()
	require.True(t, want.SameConfig(got), "%v %x, %v %x", want, want.Config, got, got.Config)
	require.Equal(t, [2]int{want.Width, want.Height}, [2]int{got.Width, got.Height})
	require.Equal(t, want.ClockRate, got.ClockRate)
}

// RequireOrder fails if the DTS of a track fall.
func RequireOrder(t testing.TB, frames []*codec.Frame) {
	t.Helper()
	last := map[int]time.Duration{}
	for _, f := range frames {
		if at, ok := last[f.Track.ID]; ok {
			require.GreaterOrEqual(t, f.DTS, at)
		}
		last[f.Track.ID] = f.DTS
	}
}
