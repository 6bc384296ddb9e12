package ts

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

func TestFeedRoundTrip(t *testing.T) {
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		format := FeedFormat()
		require.Equal(t, "ts", format.Schema)
		mux, err := format.New(s.Tracks())
		require.NoError(t, err)
		want := s.Take(2 * time.Second)
		live := bytes.Clone(mux.Header())
		for _, f := range want {
			packets, err := mux.Append(nil, f)
			require.NoError(t, err)
			require.Len(t, packets, 1, "one write for a frame")
			p := packets[0]
			require.Equal(t, f.Track.ID, p.Track)
			require.Equal(t, f.DTS, p.DTS)
			require.False(t, p.Header)
			containertest.RequireFramed(t, &p)
			live = append(live, p.Wire...)
		}
		inspect(t, live, 100*time.Millisecond)
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(live)))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got, 0)
	})
}

// Whoever joins at a key packet with the header of that moment gets a stream whose
// counters go on, and all frames from there.
func TestFeedJoin(t *testing.T) {
	for _, s := range []testmedia.Stream{shortStream, {Audio: codec.AAC}, {Audio: codec.PCMA}} {
		mux, err := FeedFormat().New(s.Tracks())
		require.NoError(t, err)
		type viewer struct {
			wire []byte
			want []*codec.Frame
		}
		var viewers []*viewer
		for _, f := range s.Take(2 * time.Second) {
			packets, err := mux.Append(nil, f)
			require.NoError(t, err)
			p := packets[0]
			require.Equal(t, f.Key() && f.Track.ID == s.Tracks()[0].ID, p.Key)
			if p.Key {
				viewers = append(viewers, &viewer{wire: bytes.Clone(mux.Header())})
			}
			for _, v := range viewers {
				v.wire = append(v.wire, p.Wire...)
				v.want = append(v.want, f)
			}
		}
		require.Greater(t, len(viewers), 5)
		for _, v := range viewers {
			inspect(t, v.wire, 100*time.Millisecond)
			got, err := containertest.ReadAll(NewReader(bytes.NewReader(v.wire)))
			require.Equal(t, io.EOF, err)
			requireSameFrames(t, v.want, got, -v.want[0].DTS)
		}
	}
}

// A header is made when it is new only.
func TestFeedHeader(t *testing.T) {
	s := testmedia.Stream{Audio: codec.AAC}
	mux, err := FeedFormat().New(s.Tracks())
	require.NoError(t, err)
	headers := map[*byte]bool{}
	for _, f := range s.Take(4 * time.Second) {
		_, err := mux.Append(nil, f)
		require.NoError(t, err)
		headers[&mux.Header()[0]] = true
	}
	require.LessOrEqual(t, len(headers), 22)
}

// A stream of which nothing can be carried is refused; one that begins without
// tracks is not.
func TestFeedUnsupported(t *testing.T) {
	_, err := FeedFormat().New([]*codec.Track{testmedia.Track(1, codec.VP8), testmedia.Track(2, codec.L16)})
	require.ErrorIs(t, err, source.ErrUnsupported)
	mux, err := FeedFormat().New(nil)
	require.NoError(t, err)
	require.Len(t, mux.Header(), 2*PacketSize)
	for _, f := range shortStream.Take(100 * time.Millisecond) {
		packets, err := mux.Append(nil, f)
		require.NoError(t, err)
		require.Len(t, packets, 1)
	}
	packets, err := mux.Append(nil, &codec.Frame{Track: testmedia.Track(9, codec.VP8), Data: []byte{1}})
	require.NoError(t, err)
	require.Empty(t, packets)
	packets, err = mux.Append(nil, &codec.Frame{Track: testmedia.Track(testmedia.AudioID, codec.AAC), Data: make([]byte, 9000)})
	require.ErrorIs(t, err, ErrInvalid)
	require.Empty(t, packets)
}

// A frame costs its bytes.
func TestFeedAllocations(t *testing.T) {
	mux, err := FeedFormat().New(shortStream.Tracks())
	require.NoError(t, err)
	frames := shortStream.Take(2 * time.Second)
	var packets []source.Packet
	require.EqualValues(t, len(frames), testing.AllocsPerRun(5, func() {
		for _, f := range frames {
			packets, _ = mux.Append(packets[:0], f)
			f.DTS, f.PTS = f.DTS+2*time.Second, f.PTS+2*time.Second
		}
	}))
}

func BenchmarkFeedMuxer(b *testing.B) { containertest.BenchmarkFeed(b, FeedFormat()) }

func BenchmarkDemuxer(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	file := write(b, s.Tracks(), s.Take(2*time.Second))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	var frames []*codec.Frame
	for b.Loop() {
		var d Demuxer
		frames, _ = d.Append(frames[:0], file)
		frames = d.Flush(frames)
	}
}
