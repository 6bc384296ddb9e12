package containertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// ProgramLead is how far PTS and DTS are ahead of the clock in the program streams
// and transport streams that are written.
const ProgramLead = time.Second / 5

// ProgramStreams returns the streams that every path of program streams and transport
// streams is tested with.
func ProgramStreams() []testmedia.Stream {
	return []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC},
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
		{Video: codec.H265, Audio: codec.Opus},
		{Video: codec.H265, Audio: codec.AAC, BFrames: 2},
		{Video: codec.H264, Audio: codec.MP3},
		{Video: codec.H264, Audio: codec.MP2},
		{Video: codec.H264, Audio: codec.AC3},
		{Video: codec.H264, Audio: codec.PCMA},
		{Audio: codec.PCMU},
		{Audio: codec.AAC},
		{Audio: codec.Opus},
		{Video: codec.H264},
		{Video: codec.H264, Audio: codec.AAC, FPS: 5},
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond, Change: 1},
		{Video: codec.H265, GOP: 400 * time.Millisecond, Change: 1},
	}
}

// ProgramMatch says what may become of frames in such a stream. shift is added to
// their times.
func ProgramMatch(shift time.Duration) Match {
	return Match{
		Shift: shift, Tick: func(*codec.Track) time.Duration { return time.Second/90000 + 1 },
		Lost: codec.FlagDisposable | codec.FlagMarker,
	}
}

// RequireSome requires that each frame of got is one of want, whose times are
// ProgramLead less, or has FlagCorrupt and the time of one.
func RequireSome(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	byTime := map[string]*codec.Frame{}
	key := func(k codec.Kind, d time.Duration) string { return fmt.Sprint(k, d.Round(time.Millisecond)) }
	for _, f := range want {
		byTime[key(f.Track.Kind(), f.DTS+ProgramLead)] = f
	}
	RequireOrder(t, got)
	for _, f := range got {
		w := byTime[key(f.Track.Kind(), f.DTS)]
		require.NotNil(t, w, "a frame of %v at %v", f.Track, f.DTS)
		if !f.Has(codec.FlagCorrupt) {
			require.Equal(t, Digest(w.Data), Digest(f.Data), "%v at %v", f.Track, f.DTS)
		}
	}
}

// RequireJump requires that got is first and then second, where a new timeline
// begins: the first frame of each track tells.
func RequireJump(t *testing.T, first, second, got []*codec.Frame) {
	t.Helper()
	require.Len(t, got, len(first)+len(second))
	m := ProgramMatch(ProgramLead)
	m.Frames(t, first, got[:len(first)])
	seen := map[int]bool{}
	for _, f := range got[len(first):] {
		require.Equal(t, !seen[f.Track.ID], f.Has(codec.FlagDiscont))
		seen[f.Track.ID] = true
		f.Flags &^= codec.FlagDiscont
	}
	m.Frames(t, second, got[len(first):])
}

// RequirePromises requires of frames, whatever they were found in, that they can be
// announced and written: IDs of tracks up to most, times that do not fall.
func RequirePromises(t *testing.T, frames []*codec.Frame, most int) {
	t.Helper()
	last := map[int]time.Duration{}
	for _, f := range frames {
		require.NotEmpty(t, f.Data)
		require.True(t, f.Track.Ready())
		require.True(t, f.Track.ID >= 1 && f.Track.ID <= most)
		require.GreaterOrEqual(t, f.PTS, f.DTS)
		if at, ok := last[f.Track.ID]; ok && !f.Has(codec.FlagDiscont) {
			require.GreaterOrEqual(t, f.DTS, at)
		}
		last[f.Track.ID] = f.DTS
	}
}

// TestReaderErrors reads what is no such container, for which there is an error that
// wraps invalid, and b, behind which reading fails.
func TestReaderErrors[R source.Reader](t *testing.T, open func(io.Reader) R, b []byte, invalid error) {
	for name, in := range map[string]io.Reader{
		"nothing": bytes.NewReader(nil),
		"a page":  bytes.NewReader([]byte("<html>this is something else</html>")),
		"zeros":   endless{},
	} {
		_, err := ReadAll(open(in))
		require.ErrorIs(t, err, invalid, name)
	}
	broken := errors.New("broken")
	got, err := ReadAll(open(io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken))))
	require.ErrorIs(t, err, broken)
	require.NotEmpty(t, got)
}

// An endless reads zeros.
type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }
