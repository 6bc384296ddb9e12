package testmedia_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

var (
	videoCodecs = []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.MJPEG}
	audioCodecs = []codec.Codec{codec.AAC, codec.Opus, codec.PCMA, codec.PCMU, codec.MP3, codec.MP2, codec.L16, codec.AC3}
)

func TestTracks(t *testing.T) {
	for _, c := range videoCodecs {
		for _, v := range []struct {
			track         *codec.Track
			width, height int
		}{{testmedia.Track(3, c), 1280, 720}, {testmedia.Track2(3, c), 640, 360}} {
			require.Equal(t, c, v.track.Codec)
			require.Equal(t, 3, v.track.ID)
			require.True(t, v.track.Ready())
			require.Equal(t, [2]int{v.width, v.height}, [2]int{v.track.Width, v.track.Height})
			require.InDelta(t, 25, v.track.FrameRate, 0.001)
			require.Equal(t, 90000, v.track.ClockRate)
		}
	}
	for _, c := range audioCodecs {
		a, b := testmedia.Track(3, c), testmedia.Track2(3, c)
		require.Equal(t, c, a.Codec)
		require.Equal(t, c, b.Codec)
		require.True(t, a.Ready() && b.Ready())
		require.Positive(t, a.SampleRate)
		require.Positive(t, b.Channels)
		require.False(t, a.SameConfig(b), "%v", c)
	}
	require.Panics(t, func() { testmedia.Track(1, codec.G729) })
}

// Every frame is what a reader of this codec makes of it: canonical, key where
// it says so, with the parameters of its track.
func TestFramesAreCanonical(t *testing.T) {
	for _, c := range slices.Concat(videoCodecs, audioCodecs) {
		s := testmedia.Stream{BFrames: 2, GOP: 400 * time.Millisecond, Change: 2}
		if c.Kind() == codec.KindVideo {
			s.Video = c
		} else {
			s.Audio = c
		}
		changed := false
		for i, f := range s.Take(2 * time.Second) {
			tr, out, key, err := codec.ParseFrame(f.Track, f.Data)
			require.NoError(t, err)
			require.Same(t, f.Track, tr, "%v frame %d", c, i)
			require.Same(t, &f.Data[0], &out[0])
			require.Equal(t, f.Key(), key, "%v frame %d", c, i)
			changed = changed || !f.Track.SameConfig(s.Tracks()[0]) || f.Track.Width == 640
			if c.Kind() == codec.KindAudio {
				require.NotZero(t, codec.FrameDuration(f))
				require.True(t, f.Key())
			}
			switch c {
			case codec.H264, codec.H265, codec.AV1:
				require.Equal(t, -1, bytes.Index(f.Data[4:], []byte{0, 0, 1}), "start code in %v frame %d", c, i)
			}
		}
		require.Equal(t, c.Kind() == codec.KindVideo, changed, "%v", c)
	}
}

func TestTimes(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, FPS: 30, GOP: time.Second, BFrames: 2}
	last := time.Duration(0)
	perTrack := map[int]time.Duration{}
	shown := map[time.Duration]bool{}
	keys, disposable := 0, 0
	for _, f := range s.Take(5 * time.Second) {
		require.GreaterOrEqual(t, f.DTS, last)
		last = f.DTS
		require.GreaterOrEqual(t, f.PTS, f.DTS)
		require.Zero(t, f.DTS%time.Millisecond)
		require.Zero(t, f.PTS%time.Millisecond)
		if before, ok := perTrack[f.Track.ID]; ok {
			require.Greater(t, f.DTS, before)
		}
		perTrack[f.Track.ID] = f.DTS
		if f.Track.ID != testmedia.VideoID {
			require.Equal(t, f.DTS, f.PTS)
			continue
		}
		require.False(t, shown[f.PTS], "two pictures at %v", f.PTS)
		shown[f.PTS] = true
		if f.Key() {
			require.Equal(t, time.Duration(keys)*time.Second, f.DTS)
			keys++
		}
		if f.Has(codec.FlagDisposable) {
			disposable++
		}
	}
	require.Equal(t, 5, keys)
	require.Len(t, shown, 150)
	require.Greater(t, disposable, 60)
	require.Len(t, perTrack, 2)
}

func TestBitrate(t *testing.T) {
	for _, c := range videoCodecs {
		for _, bitrate := range []int{0, 500_000, 8_000_000} {
			if c == codec.MJPEG && bitrate < 8_000_000 {
				continue // pictures take more
			}
			sum := 0
			for _, f := range (testmedia.Stream{Video: c, Bitrate: bitrate, BFrames: 1}).Take(10 * time.Second) {
				sum += len(f.Data)
			}
			want := bitrate
			if want == 0 {
				want = 2_000_000
			}
			require.InEpsilon(t, want/8*10, sum, 0.03, "%v at %d", c, bitrate)
		}
	}
}

// Pictures decode, in the size and with the subsampling that JPEG over RTP has.
func TestMJPEGDecodes(t *testing.T) {
	for _, bitrate := range []int{1, 4_000_000, 12_000_000, 100_000_000} {
		s := testmedia.Stream{Video: codec.MJPEG, Bitrate: bitrate, Change: 2}
		for _, f := range s.Take(200 * time.Millisecond) {
			m, err := jpeg.Decode(bytes.NewReader(f.Data))
			require.NoError(t, err)
			require.Equal(t, image.Rect(0, 0, f.Track.Width, f.Track.Height), m.Bounds())
			require.Equal(t, image.YCbCrSubsampleRatio420, m.(*image.YCbCr).SubsampleRatio)
			require.True(t, f.Key())
			require.LessOrEqual(t, len(f.Data), max(bitrate/8/25, 16_000))
		}
	}
}

func TestDeterministic(t *testing.T) {
	s := testmedia.Stream{Video: codec.H265, Audio: codec.Opus, BFrames: 1}
	a, b := s.Take(time.Second), s.Take(time.Second)
	require.Equal(t, a, b)
	require.Equal(t, s.Tracks()[0], a[0].Track)
	require.NotSame(t, &a[0].Data[0], &b[0].Data[0])
	s.Seed = 1
	require.NotEqual(t, a, s.Take(time.Second))
	require.Empty(t, testmedia.Stream{}.Take(time.Second))
}

func BenchmarkFrames(b *testing.B) {
	n := 0
	b.ReportAllocs()
	for range (testmedia.Stream{Video: codec.H264, Audio: codec.AAC}).Frames() {
		if n++; n > b.N {
			break
		}
	}
}
