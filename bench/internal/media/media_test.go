package media

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

func TestStreamRate(t *testing.T) {
	for _, gop := range []time.Duration{0, time.Second, 2 * time.Second} {
		s := &Stream{GOP: gop}
		var bytes, keys, videos int
		last := time.Duration(-1)
		for {
			p := s.Next()
			require.GreaterOrEqual(t, p.DTS, last)
			last = p.DTS
			if p.DTS >= 20*time.Second {
				break
			}
			require.LessOrEqual(t, len(p.Body), MaxFrame)
			bytes += len(p.Body)
			if p.Key {
				keys++
			}
			if p.Type == TagVideo {
				videos++
			}
		}
		require.InEpsilon(t, 20*ByteRate, bytes, 0.001)
		require.InEpsilon(t, 2e6/8, ByteRate, 0.001)
		require.Equal(t, 20*FrameRate, videos)
		require.Equal(t, int(20*time.Second/max(gop, time.Second)), keys)
	}
}

func TestStamp(t *testing.T) {
	s := &Stream{}
	for i := range 30 {
		p := s.Next()
		for p.Type != TagVideo {
			p = s.Next()
		}
		n, at, ok := ReadStamp(p.Body[:128])
		require.True(t, ok)
		require.Equal(t, uint32(i), n)
		require.Zero(t, at)
		Stamp(p.Body, n, -5)
		n, at, ok = ReadStamp(p.Body)
		require.True(t, ok)
		require.Equal(t, uint32(i), n)
		require.Equal(t, int64(-5), at)
	}
}

func TestReadStampCut(t *testing.T) {
	s := &Stream{}
	p := s.Next()
	for n := range 5 + 4 + 2 + stampSize {
		_, _, ok := ReadStamp(p.Body[:n])
		require.False(t, ok, n)
	}
	Stamp(nil, 1, 2)
	Stamp([]byte{1, 2, 3}, 1, 2)
}

// TestTracks compares the descriptions for both kinds of protocols, and looks
// for whole NAL units in the frames.
func TestTracks(t *testing.T) {
	tracks, err := Tracks()
	require.NoError(t, err)
	s := &Stream{}
	config := s.Config()
	require.Equal(t, tracks[0].Config, config[1].Sample())
	require.Equal(t, tracks[1].Config, config[2].Sample())
	require.Equal(t, 1280, tracks[0].Width)
	for _, p := range config {
		require.True(t, p.Config)
	}
	for range 100 {
		p := s.Next()
		require.False(t, p.Config)
		if p.Type == TagAudio {
			require.Len(t, p.Sample(), AudioSample)
			continue
		}
		var nalus, size int
		for nalu := range codec.NALUs(p.Sample()) {
			nalus, size = nalus+1, size+4+len(nalu)
		}
		require.Equal(t, 1, nalus)
		require.Len(t, p.Sample(), size)
		require.Equal(t, p.Key, p.Sample()[4]&31 == 5)
	}
}
