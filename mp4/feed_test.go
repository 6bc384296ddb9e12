package mp4

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

// feed returns the packets of frames, those of the end included.
func feed(t *testing.T, mux source.Muxer, frames []*codec.Frame) (packets []source.Packet) {
	t.Helper()
	var err error
	for _, f := range frames {
		packets, err = mux.Append(packets, f)
		require.NoError(t, err)
	}
	return mux.(source.Flusher).Flush(packets)
}

func newFeed(t *testing.T, tracks []*codec.Track) source.Muxer {
	t.Helper()
	m, err := FeedFormat().New(tracks)
	require.NoError(t, err)
	return m
}

func TestFeedRoundTrip(t *testing.T) {
	require.Equal(t, "fmp4", FeedFormat().Name)
	require.Equal(t, "fmp4", FeedFormat().Schema)
	eachStream(t, func(t *testing.T, s testmedia.Stream) {
		m := newFeed(t, s.Tracks())
		want := s.Take(2 * time.Second)
		live := bytes.Clone(m.Header())
		for _, p := range feed(t, m, want) {
			containertest.RequireFramed(t, &p)
			live = append(live, p.Wire...)
		}
		got, err := containertest.ReadAll(NewReader(bytes.NewReader(live)))
		require.Equal(t, io.EOF, err)
		requireSameFrames(t, want, got)
	})
}

// Each frame comes with the next one of its track, and the rest at the end.
func TestFeedHoldsOneFrame(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	m := newFeed(t, s.Tracks())
	before := map[int]*codec.Frame{}
	for _, f := range s.Take(time.Second) {
		packets, err := m.Append(nil, f)
		require.NoError(t, err)
		if held := before[f.Track.ID]; held == nil {
			require.Empty(t, packets)
		} else {
			require.Len(t, packets, 1)
			require.Equal(t, held.DTS, packets[0].DTS)
			require.Equal(t, f.Track.ID, packets[0].Track)
			require.True(t, bytes.HasSuffix(packets[0].Wire, held.Data))
		}
		before[f.Track.ID] = f
	}
	require.Len(t, m.(source.Flusher).Flush(nil), 2)
	require.Empty(t, m.(source.Flusher).Flush(nil))
}

// Audio alone: a viewer can start anywhere. With video: only at its key frames,
// with several at those of the first.
func TestFeedKeys(t *testing.T) {
	for _, s := range []testmedia.Stream{{Audio: codec.AAC}, {Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond}} {
		want := map[time.Duration]bool{}
		frames := s.Take(600 * time.Millisecond)
		for _, f := range frames {
			if audio := f.Track.Kind() == codec.KindAudio; audio && s.Video == codec.Opaque || !audio && f.Key() {
				want[f.DTS] = true
			}
		}
		for _, p := range feed(t, newFeed(t, s.Tracks()), frames) {
			require.Equal(t, want[p.DTS] && (p.Track == testmedia.VideoID || s.Video == codec.Opaque), p.Key)
		}
	}
	one, two := testmedia.Track(1, codec.VP8), testmedia.Track(2, codec.VP9)
	for _, p := range feed(t, newFeed(t, []*codec.Track{one, two}), []*codec.Frame{
		{Track: one, Flags: codec.FlagKey, Data: []byte{1}}, {Track: two, Flags: codec.FlagKey, Data: []byte{1}},
	}) {
		require.Equal(t, p.Track == 1, p.Key)
	}
}

// New parameters make a new initialization segment before the frame that needs
// them. Who starts at any key packet with the header in force there sees whole
// frames only.
func TestFeedNewParameters(t *testing.T) {
	for _, s := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Change: 1, Bitrate: 100_000},
		{Video: codec.MJPEG, Change: 3, Bitrate: 100_000},
	} {
		m := newFeed(t, s.Tracks())
		frames := s.Take(time.Second)
		type join struct {
			header []byte
			from   int
		}
		var packets []source.Packet
		var joins []join
		var err error
		headers := 0
		for _, f := range frames {
			n := len(packets)
			packets, err = m.Append(packets, f)
			require.NoError(t, err)
			for i, p := range packets[n:] {
				if p.Header {
					headers++
					require.False(t, p.Key)
					require.Equal(t, m.Header(), p.Wire)
					require.Equal(t, testmedia.VideoID, p.Track)
				}
				if p.Key {
					joins = append(joins, join{m.Header(), n + i})
				}
			}
		}
		packets = m.(source.Flusher).Flush(packets)
		require.GreaterOrEqual(t, headers, 4)
		require.GreaterOrEqual(t, len(joins), 4)
		for _, j := range joins {
			live := bytes.Clone(j.header)
			rest := map[int]int{}
			for _, p := range packets[j.from:] {
				live = append(live, p.Wire...)
				if !p.Header {
					rest[p.Track]++
				}
			}
			got, err := demux(live)
			require.NoError(t, err)
			require.Len(t, got, rest[1]+rest[2])
			var want []*codec.Frame
			left := map[int]int{}
			for i := len(frames) - 1; i >= 0; i-- {
				if id := frames[i].Track.ID; left[id] < rest[id] {
					left[id]++
					want = append([]*codec.Frame{frames[i]}, want...)
				}
			}
			requireSameFrames(t, want, got)
		}
	}
}

// A track that comes late, and another codec, need a new connection.
func TestFeedNewFormat(t *testing.T) {
	video := testmedia.Track(1, codec.H264)
	for name, track := range map[string]*codec.Track{
		"late track": testmedia.Track(2, codec.AAC), "another codec": testmedia.Track(1, codec.H265), "no parameters": {ID: 1, Codec: codec.H264},
	} {
		packets, err := newFeed(t, []*codec.Track{video}).Append(nil, &codec.Frame{Track: track, Data: []byte{1}})
		require.ErrorIs(t, err, source.ErrNewFormat, name)
		require.Empty(t, packets)
	}
	packets, err := newFeed(t, []*codec.Track{video}).Append(nil, &codec.Frame{Track: &codec.Track{ID: 2, Codec: codec.G722}, Data: []byte{1}})
	require.NoError(t, err, "a track that is not carried")
	require.Empty(t, packets)
	_, err = FeedFormat().New(nil)
	require.ErrorIs(t, err, source.ErrUnsupported)
}

// A track that is announced without the size of its pictures has no header until
// its first key frame.
func TestFeedUnknownSize(t *testing.T) {
	s := testmedia.Stream{Video: codec.VP8, Audio: codec.Opus, Bitrate: 50_000}
	tracks := s.Tracks()
	unknown, err := codec.NewVP8Track(tracks[0].ID, nil)
	require.NoError(t, err)
	m := newFeed(t, []*codec.Track{unknown, tracks[1]})
	require.Nil(t, m.Header())
	frames := s.Take(400 * time.Millisecond)
	packets := feed(t, m, frames)
	require.True(t, packets[0].Header)
	require.Equal(t, m.Header(), packets[0].Wire)
	var live []byte
	for _, p := range packets {
		live = append(live, p.Wire...)
	}
	got, err := demux(live)
	require.NoError(t, err)
	requireSameFrames(t, frames, got)

	mpeg2, _ := mpeg2Stream()
	size := *mpeg2
	size.Width, size.Height = 0, 0
	require.NotNil(t, newFeed(t, []*codec.Track{&size}).Header(), "nobody will tell")
}

// The header stays the same slice while the tracks do.
func TestFeedHeader(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	m := newFeed(t, s.Tracks())
	first := m.Header()
	feed(t, m, s.Take(200*time.Millisecond))
	require.Same(t, &first[0], &m.Header()[0])
}

// One allocation per frame: the packet.
func TestFeedAllocations(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 50_000}
	frames := s.Take(20 * time.Second)
	m := newFeed(t, s.Tracks())
	packets := make([]source.Packet, 0, 4)
	half := len(frames) / 2
	allocs := testing.AllocsPerRun(1, func() { // which runs it twice, and counts the second time
		for _, f := range frames[:half] {
			packets, _ = m.Append(packets[:0], f)
		}
		frames = frames[half:]
	})
	require.InDelta(t, half, allocs, 4)
}

func BenchmarkFeedMuxer(b *testing.B) { containertest.BenchmarkFeed(b, FeedFormat()) }

func BenchmarkFragment(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(2 * time.Second)
	m, err := NewMuxer(s.Tracks())
	require.NoError(b, err)
	var out []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if n := i % len(frames); n == 0 {
			out = m.AppendFragment(out[:0])
		}
		_ = m.Add(frames[i%len(frames)])
	}
}
