package codec_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// readFrames reads a clip in testdata, whose own comment tells the format.
func readFrames(t testing.TB, c codec.Codec, path string) (frames []*codec.Frame) {
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var tr *codec.Track
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		if config, ok := strings.CutPrefix(line, "config "); ok {
			tr, err = codec.TrackFromConfig(1, c, unhex(config))
			require.NoError(t, err)
			continue
		}
		var pts, dts int64
		var flag, data string
		_, err := fmt.Sscan(line, &pts, &dts, &flag, &data)
		require.NoError(t, err)
		f := &codec.Frame{
			Track: tr, PTS: time.Duration(pts) * time.Millisecond, DTS: time.Duration(dts) * time.Millisecond,
			Data: unhex(data),
		}
		if flag == "K" {
			f.Flags |= codec.FlagKey
		}
		frames = append(frames, f)
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, frames)
	return frames
}

var clips = map[codec.Codec]string{
	codec.H264: "testdata/h264_bframes.txt",
	codec.H265: "testdata/h265_bframes.txt",
}

// The extractor agrees with ffmpeg's muxer on real streams, but for the first
// GOP, in which it learns the depth of reordering from the pictures.
func TestDTSExtractor(t *testing.T) {
	for c, path := range clips {
		frames := readFrames(t, c, path)
		var d codec.DTSExtractor
		var last time.Duration
		for i, f := range frames {
			dts, err := d.Extract(f)
			require.NoError(t, err, "%v frame %d", c, i)
			require.LessOrEqual(t, dts, f.PTS, "%v frame %d", c, i)
			if i > 0 {
				require.GreaterOrEqual(t, dts, last, "%v frame %d", c, i)
			}
			if i > 15 {
				require.InDelta(t, f.DTS, dts, 1e6, "%v frame %d", c, i)
			}
			last = dts
		}
	}
}

// Keys of open GOPs are found where ffmpeg finds them.
func TestIsKeyClips(t *testing.T) {
	for c, path := range clips {
		for i, f := range readFrames(t, c, path) {
			require.Equal(t, f.Key(), codec.IsKey(f.Track, f.Data), "%v frame %d", c, i)
		}
	}
}

func TestDTSExtractorSynthetic(t *testing.T) {
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		for b := range 4 {
			s := testmedia.Stream{Video: c, BFrames: b, GOP: time.Second, Change: 2}
			var d codec.DTSExtractor
			last := time.Duration(-1 << 63)
			for _, f := range s.Take(6 * time.Second) {
				dts, err := d.Extract(f)
				require.NoError(t, err)
				require.LessOrEqual(t, dts, f.PTS)
				require.GreaterOrEqual(t, dts, last)
				if b > 0 && f.DTS%(2*time.Second) > 500*time.Millisecond { // learnt, after each change
					require.InDelta(t, f.DTS, dts, 41e6, "%v, %d B frames, at %v", c, b, f.DTS) // a frame's time
				}
				last = dts
			}
		}
	}
}

func TestDTSExtractorWithoutReordering(t *testing.T) {
	var d codec.DTSExtractor
	for _, f := range (testmedia.Stream{Video: codec.VP9}).Take(time.Second) {
		dts, err := d.Extract(f)
		require.NoError(t, err)
		require.Equal(t, f.PTS, dts)
	}
}

// Errors leave a usable time, jumps are survived, a discontinuity starts anew.
func TestDTSExtractorTrouble(t *testing.T) {
	frames := (testmedia.Stream{Video: codec.H264, BFrames: 1, GOP: time.Second}).Take(3 * time.Second)
	var d codec.DTSExtractor

	dts, err := d.Extract(frames[1]) // no key frame yet
	require.ErrorIs(t, err, codec.ErrInvalid)
	require.Equal(t, frames[1].PTS, dts)

	d = codec.DTSExtractor{}
	dts, err = d.Extract(&codec.Frame{Track: &codec.Track{Codec: codec.H264}, PTS: 5})
	require.ErrorIs(t, err, codec.ErrInvalid)
	require.Equal(t, time.Duration(5), dts)

	d = codec.DTSExtractor{}
	for _, f := range frames[25:] {
		_, err := d.Extract(f)
		require.NoError(t, err)
	}
	before, err := d.Extract(frames[0]) // back by three seconds, silently
	require.NoError(t, err)
	require.Greater(t, before, 2*time.Second, "DTS fell")

	again := *frames[0]
	again.Flags |= codec.FlagDiscont
	dts, err = d.Extract(&again)
	require.NoError(t, err)
	require.Equal(t, again.PTS, dts)
}

func FuzzDTS(f *testing.F) {
	for c, path := range clips {
		for _, frame := range readFrames(f, c, path)[:3] {
			f.Add(frame.Track.Config, frame.Data, int64(frame.PTS), c == codec.H265)
		}
	}
	f.Fuzz(func(t *testing.T, config, data []byte, pts int64, h265 bool) {
		c := codec.H264
		if h265 {
			c = codec.H265
		}
		tr, err := codec.TrackFromConfig(1, c, config)
		if err != nil {
			return
		}
		var d codec.DTSExtractor
		last := time.Duration(-1 << 63)
		for i := range 3 {
			f := &codec.Frame{Track: tr, PTS: time.Duration(pts) + time.Duration(i)*time.Second, Data: data}
			if codec.IsKey(tr, data) {
				f.Flags |= codec.FlagKey
			}
			dts, err := d.Extract(f)
			if err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
			}
			require.GreaterOrEqual(t, dts, last)
			last = dts
		}
	})
}
