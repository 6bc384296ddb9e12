package mp4

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams are the streams that every path is tested with.
var streams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC},
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2},
	{Video: codec.H265, Audio: codec.Opus, BFrames: 2},
	{Video: codec.H265, Audio: codec.L16},
	{Video: codec.AV1, Audio: codec.Opus},
	{Video: codec.VP8, Audio: codec.MP3},
	{Video: codec.VP9, Audio: codec.PCMA},
	{Video: codec.MJPEG, Audio: codec.MP2},
	{Video: codec.H264},
	{Audio: codec.PCMU},
	{Audio: codec.AC3},
	{Video: codec.H264, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.H265, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.AV1, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.VP8, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.VP9, GOP: 400 * time.Millisecond, Change: 1},
	{Video: codec.MJPEG, Change: 5},
}

// eachStream runs fn for every stream.
func eachStream(t *testing.T, fn func(t *testing.T, s testmedia.Stream)) {
	containertest.EachStream(t, streams, 200_000, fn)
}

// mux returns frames as a stream of fragments that have at least so many frames,
// with a new initialization segment where one is needed.
func mux(t testing.TB, tracks []*codec.Track, frames []*codec.Frame, least int) []byte {
	t.Helper()
	m, err := NewMuxer(tracks)
	require.NoError(t, err)
	out := append([]byte(nil), m.Init()...)
	for _, f := range frames {
		if m.Changes(f) {
			m.Flush()
			out = m.AppendFragment(out)
			next := m.Tracks()
			for i := range next {
				if next[i].ID == f.Track.ID {
					next[i] = f.Track
				}
			}
			m, err = NewMuxer(next)
			require.NoError(t, err)
			out = append(out, m.Init()...)
		}
		require.NoError(t, m.Add(f))
		if m.Ready() >= least {
			out = m.AppendFragment(out)
			require.Zero(t, m.Ready())
		}
	}
	m.Flush()
	return m.AppendFragment(out)
}

// pieces cuts b into pieces of random sizes.
func pieces(b []byte, r *rand.Rand) (out [][]byte) {
	for len(b) > 0 {
		n := min(1+r.IntN(3000), len(b))
		out, b = append(out, b[:n]), b[n:]
	}
	return out
}

// requireSameFrames compares what went in with what came out, kind by kind: times
// to a tick of the wire.
func requireSameFrames(t *testing.T, want, got []*codec.Frame) {
	t.Helper()
	containertest.Match{Tick: func(track *codec.Track) time.Duration {
		return time.Second/time.Duration(scaleOf(track)) + 1
	}}.Frames(t, want, got)
}

// mpeg2Stream returns a track of MPEG-2 video and some of its pictures.
func mpeg2Stream() (*codec.Track, []*codec.Frame) {
	sequence := []byte{0, 0, 1, 0xb3, 0x50, 0x02, 0xd0, 0x35, 0xff, 0xff, 0xe0, 0x18}
	t := &codec.Track{ID: 1, Codec: codec.MPEG2Video, ClockRate: 90000, Width: 1280, Height: 720, Config: sequence}
	var frames []*codec.Frame
	for i := range 25 {
		f := &codec.Frame{Track: t, DTS: time.Duration(i) * 40 * time.Millisecond, PTS: time.Duration(i+1) * 40 * time.Millisecond}
		if i%12 == 0 {
			f.Flags, f.Data = codec.FlagKey, append(f.Data, sequence...)
		}
		f.Data = append(f.Data, 0, 0, 1, 0, byte(i), 1, 2, 3, 4)
		frames = append(frames, f)
	}
	return t, frames
}
