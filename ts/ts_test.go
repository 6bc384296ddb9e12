package ts

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/pes"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// streams are the streams that every path is tested with.
var streams = containertest.ProgramStreams()

// eachStream runs fn for every stream.
func eachStream(t *testing.T, fn func(t *testing.T, s testmedia.Stream)) {
	containertest.EachStream(t, streams, 400_000, fn)
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

const tick = time.Second/pes.ClockRate + 1

// requireSameFrames compares what went in with what came out, kind by kind.
func requireSameFrames(t *testing.T, want, got []*codec.Frame, shift time.Duration) {
	t.Helper()
	containertest.ProgramMatch(shift).Frames(t, want, got)
}

func TestRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		want := s.Take(2 * time.Second)
		got := demux(t, write(t, s.Tracks(), want))
		requireSameFrames(t, want, got, codec.FromTicks(lead, pes.ClockRate))
		for i := range got[1:] {
			require.GreaterOrEqual(t, got[i+1].DTS, got[i].DTS, "in order")
		}
	})
}
