package flv

import (
	"bytes"
	"io"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// allocated returns the bytes allocated since the program began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestFeedRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream, form Form) {
		format := FeedFormat(form)
		require.Equal(t, "rtmp", format.Schema)
		mux, err := format.New(s.Tracks())
		require.NoError(t, err)
		want := s.Take(2 * time.Second)
		live := append([]byte(nil), mux.Header()...)
		var packets []source.Packet
		for _, f := range want {
			n := len(packets)
			packets, err = mux.Append(packets, f)
			require.NoError(t, err)
			p := packets[len(packets)-1]
			require.Equal(t, f.Track.ID, p.Track)
			require.Equal(t, f.DTS, p.DTS)
			for _, p := range packets[n : len(packets)-1] {
				require.True(t, p.Header)
				require.False(t, p.Key)
			}
		}
		for _, p := range packets {
			containertest.RequireFramed(t, &p)
			live = append(live, p.Wire...)
		}
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(live)))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got)
	})
}

// A header is that of the tracks in force, and stays the same slice while they do.
func TestFeedHeader(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, GOP: 200 * time.Millisecond, Change: 1, Bitrate: 100_000}
	mux, err := FeedFormat(FormStandard).New(s.Tracks())
	require.NoError(t, err)
	first := mux.Header()
	require.Same(t, &first[0], &mux.Header()[0])
	for _, f := range s.Take(250 * time.Millisecond) {
		_, err := mux.Append(nil, f)
		require.NoError(t, err)
	}
	require.NotEqual(t, first, mux.Header())
	bodies := NewBodyMuxer([]*codec.Track{testmedia.Track2(testmedia.VideoID, codec.H264)}, FormStandard).Config()
	want := appendFileHeader(nil, true, false)
	for i := range bodies {
		want = appendTag(want, &bodies[i])
	}
	require.Equal(t, want, mux.Header())
}

// Audio alone: a viewer can start anywhere. With video: only at its key frames.
func TestFeedKeys(t *testing.T) {
	for _, s := range []testmedia.Stream{{Audio: codec.AAC}, {Video: codec.H264, Audio: codec.AAC}} {
		mux, err := FeedFormat(FormStandard).New(s.Tracks())
		require.NoError(t, err)
		for _, f := range s.Take(300 * time.Millisecond) {
			packets, err := mux.Append(nil, f)
			require.NoError(t, err)
			audio := f.Track.Kind() == codec.KindAudio
			require.Equal(t, audio && s.Video == codec.Opaque || !audio && f.Key(), packets[0].Key)
		}
	}
}

func TestFeedFrameTooLarge(t *testing.T) {
	mux, err := FeedFormat(FormStandard).New(nil)
	require.NoError(t, err)
	packets, err := mux.Append(nil, &codec.Frame{Track: testmedia.Track(1, codec.VP8), Data: make([]byte, maxTag)})
	require.ErrorIs(t, err, ErrInvalid)
	for _, p := range packets {
		require.True(t, p.Header)
	}
}

func BenchmarkFeedMuxer(b *testing.B) { containertest.BenchmarkFeed(b, FeedFormat(FormStandard)) }

func BenchmarkBodyDemuxer(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	m := NewBodyMuxer(s.Tracks(), FormStandard)
	bodies := m.Config()
	for _, f := range s.Take(2 * time.Second) {
		bodies, _ = m.Append(bodies, f)
	}
	var wire [][]byte
	for _, body := range bodies {
		wire = append(wire, join(body))
	}
	var d BodyDemuxer
	var frames []*codec.Frame
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % len(bodies)
		frames, _ = d.Append(frames[:0], bodies[n].Type, bodies[n].DTS, wire[n])
	}
}
