package codec_test

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
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

// The extractor gives the times that ffmpeg's muxer was given by the encoder.
func TestDTSExtractor(t *testing.T) {
	for c, path := range clips {
		var d codec.DTSExtractor
		for i, f := range readFrames(t, c, path) {
			dts, err := d.Extract(f)
			require.NoError(t, err, "%v frame %d", c, i)
			require.Equal(t, f.DTS, dts, "%v frame %d", c, i)
			require.True(t, d.Exact())
		}
	}
}

// Frames that are missing cost the others nothing where the depth is known.
func TestDTSExtractorLoss(t *testing.T) {
	for c, path := range clips {
		frames := readFrames(t, c, path)
		for gone := 1; gone < len(frames)-1; gone++ {
			var d codec.DTSExtractor
			last := time.Duration(-1 << 63)
			for i, f := range frames {
				if i == gone {
					continue
				}
				dts, err := d.Extract(f)
				require.NoError(t, err)
				require.GreaterOrEqual(t, dts, last)
				require.LessOrEqual(t, dts, f.PTS)
				if i > gone+8 { // the time of the one that is missing has passed
					require.Equal(t, f.DTS, dts, "%v frame %d without %d", c, i, gone)
				}
				last = dts
			}
		}
	}
}

// An H.264 stream that does not tell the depth of reordering has the right
// times after its first GOP.
func TestDTSExtractorLearns(t *testing.T) {
	frames := readFrames(t, codec.H264, clips[codec.H264])
	var c codec.AVCConfig
	require.NoError(t, c.Unmarshal(frames[0].Track.Config))
	c.SPS[0] = withoutVUI(t, c.SPS[0])
	silent, err := codec.TrackFromConfig(1, codec.H264, c.Append(nil))
	require.NoError(t, err)
	var d codec.DTSExtractor
	var last time.Duration
	for i, f := range frames {
		f.Track = silent
		dts, err := d.Extract(f)
		require.NoError(t, err, "frame %d", i)
		require.LessOrEqual(t, dts, f.PTS, "frame %d", i)
		if i > 0 {
			require.GreaterOrEqual(t, dts, last, "frame %d", i)
		}
		require.False(t, d.Exact())
		if i > 15 {
			require.InDelta(t, f.DTS, dts, 1e6, "frame %d", i)
		}
		last = dts
	}
}

// withoutVUI returns an SPS without its video usability information.
func withoutVUI(t *testing.T, nalu []byte) []byte {
	t.Helper()
	var with h264.SPS
	require.NoError(t, with.Unmarshal(nalu))
	want := with
	want.VUI = nil
	rbsp := h264.EmulationPreventionRemove(nalu)
	for bits := 8; bits < 8*len(rbsp); bits++ { // before vui_parameters_present_flag
		var w testmedia.BitWriter
		for _, b := range rbsp[:bits/8] {
			w.U(8, uint32(b))
		}
		w.U(bits%8, uint32(rbsp[bits/8]>>(8-bits%8)))
		w.U(1, 0)
		out := w.NALU()
		var without h264.SPS
		if without.Unmarshal(out) == nil && reflect.DeepEqual(want, without) {
			return out
		}
	}
	t.Fatal("no VUI found")
	return nil
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
			for _, f := range s.Take(6 * time.Second) {
				dts, err := d.Extract(f)
				require.NoError(t, err)
				require.Equal(t, f.DTS, dts, "%v, %d B frames", c, b)
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

	dts, err := d.Extract(&codec.Frame{Track: &codec.Track{Codec: codec.H264}, PTS: 5})
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
	require.Equal(t, again.DTS, dts)
	for _, f := range frames[1:10] { // and it goes on
		dts, err = d.Extract(f)
		require.NoError(t, err)
		require.Equal(t, f.DTS, dts)
	}
	ahead := *frames[10]
	ahead.PTS += time.Hour // silently
	dts, err = d.Extract(&ahead)
	require.NoError(t, err)
	require.Less(t, ahead.PTS-dts, time.Second)
}

// videoTrack returns a track of H.265 or H.264.
func videoTrack(h265 bool, config []byte) (*codec.Track, error) {
	if h265 {
		return codec.TrackFromConfig(1, codec.H265, config)
	}
	return codec.TrackFromConfig(1, codec.H264, config)
}

func FuzzDTS(f *testing.F) {
	for c, path := range clips {
		for _, frame := range readFrames(f, c, path)[:3] {
			f.Add(frame.Track.Config, frame.Data, int64(frame.PTS), c == codec.H265)
		}
	}
	f.Fuzz(func(t *testing.T, config, data []byte, pts int64, h265 bool) {
		tr, err := videoTrack(h265, config)
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
