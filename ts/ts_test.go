package ts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams are the streams that every path is tested with.
var streams = []testmedia.Stream{
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

func streamName(s testmedia.Stream) string {
	name := fmt.Sprintf("%v+%v b%d", s.Video, s.Audio, s.BFrames)
	if s.Change > 0 {
		name += " changing"
	}
	if s.FPS > 0 {
		name += fmt.Sprintf(" %d fps", s.FPS)
	}
	return strings.ReplaceAll(name, "opaque", "none")
}

// eachStream runs fn for every stream.
func eachStream(t *testing.T, fn func(t *testing.T, s testmedia.Stream)) {
	for _, s := range streams {
		s.Bitrate = 400_000
		t.Run(streamName(s), func(t *testing.T) { fn(t, s) })
	}
}

// write returns frames as a transport stream.
func write(t testing.TB, tracks []*codec.Track, frames []*codec.Frame) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, tracks)
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(context.Background(), f))
	}
	require.NoError(t, w.Close())
	require.Zero(t, b.Len()%PacketSize)
	return b.Bytes()
}

// demux returns what a Demuxer finds in b.
func demux(t testing.TB, b []byte) []*codec.Frame {
	t.Helper()
	var d Demuxer
	frames, err := d.Append(nil, b)
	require.NoError(t, err)
	return d.Flush(frames)
}

// readAll returns the frames of r and the error after them.
func readAll(r *Reader) (frames []*codec.Frame, err error) {
	for {
		f, err := r.ReadFrame(context.Background())
		if err != nil {
			return frames, err
		}
		frames = append(frames, f)
	}
}

// ofKind returns the frames of that kind.
func ofKind(frames []*codec.Frame, k codec.Kind) (of []*codec.Frame) {
	for _, f := range frames {
		if f.Track.Kind() == k {
			of = append(of, f)
		}
	}
	return of
}

const tick = time.Second/clockRate + 1

// requireSameFrames compares what went in with what came out, kind by kind. shift
// is what was added to the times.
func requireSameFrames(t *testing.T, want, got []*codec.Frame, shift time.Duration) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio, codec.KindData} {
		w, g := ofKind(want, k), ofKind(got, k)
		require.Len(t, g, len(w), k.String())
		for i := range w {
			requireSameFrame(t, w[i], g[i], shift, fmt.Sprintf("%v frame %d", k, i))
		}
	}
}

func requireSameFrame(t *testing.T, want, got *codec.Frame, shift time.Duration, name string) {
	t.Helper()
	require.Equal(t, digest(want.Data), digest(got.Data), name)
	require.InDelta(t, want.DTS+shift, got.DTS, float64(tick), name)
	require.InDelta(t, want.PTS+shift, got.PTS, float64(tick), name)
	require.Equal(t, want.Key(), got.Key(), name)
	require.Equal(t, want.Flags&(codec.FlagCorrupt|codec.FlagDiscont), got.Flags&(codec.FlagCorrupt|codec.FlagDiscont), name)
	a, b := want.Track, got.Track
	require.True(t, a.SameConfig(b), "%s: %v %x, %v %x", name, a, a.Config, b, b.Config)
	require.Equal(t, [2]int{a.Width, a.Height}, [2]int{b.Width, b.Height}, name)
}

// digest is short where a message would have to show all of b.
func digest(b []byte) string {
	return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
}

func TestRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(2 * time.Second)
		got := demux(t, write(t, s.Tracks(), want))
		requireSameFrames(t, want, got, codec.FromTicks(lead, clockRate))
		for i := range got[1:] {
			require.GreaterOrEqual(t, got[i+1].DTS, got[i].DTS, "in order")
		}
	})
}
