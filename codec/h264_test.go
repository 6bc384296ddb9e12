package codec_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Parameter sets by x264 and x265 as ffmpeg drives them, in Annex B.
var avcSets = []struct {
	name          string
	sets          string
	width, height int
	fps           float64
	chroma, depth uint8
	str, profile  string
}{
	{"baseline", "000000016742c00bd902c4ec0440000003004000000c83c50a920000000168cb83cb20", 176, 144, 25, 1, 8, "avc1.42c00b", "Constrained Baseline"},
	{"main", "00000001674d4028eca03c0113f2e022000007d20001d4c01e30632c0000000168ebe3cb20", 1920, 1080, 30000. / 1001, 1, 8, "avc1.4d4028", "Main"},
	{"interlaced", "0000000167640028acd94078044fde0220000003002000000643e2c5b2c00000000168fba3cb22c0", 1920, 1080, 25, 1, 8, "avc1.640028", "High"},
	{"10 bit", "00000001676e001fa6cd940d83de6f0110000003001000000640f18319600000000168ebe3cb22c0", 854, 480, 50, 1, 10, "avc1.6e001f", "High 10"},
	{"4:2:2", "00000001677a001ebcd940d83de22f011000000300100000030320f162d9600000000168ebe3cb22c0", 850, 478, 25, 2, 8, "avc1.7a001e", "High 4:2:2"},
	{"4:4:4", "0000000167f4000d919b282a3bcb2e0220000003002000000641e28532c00000000168ebe3c44844", 332, 220, 25, 3, 8, "avc1.f4000d", "High 4:4:4 Predictive"},
	{"monochrome", "000000016764000df3650507ec05b2000003000200000300641e28532c0000000168ebe3cb22c0", 320, 240, 25, 0, 8, "avc1.64000d", "High"},
}

// The avcC that ffmpeg's MP4 muxer writes for a 1280x720 stream.
const avcC = "0164001fffe1001a6764001facd9405005bb011000000300100000030320f183196001000668ebe3cb22c0fdf8f800"

var avcConfigCases = []struct {
	name, wire string
	err        error
}{
	{"ffmpeg", avcC, nil},
	{"no chroma fields", avcC[:len(avcC)-8], nil},
	{"2-byte lengths", "0164001f fd e1001a6764001facd9405005bb011000000300100000030320f183196001000668ebe3cb22c0fdf8f800", nil},
	{"baseline", "0142c00bffe10016 6742c00bd902c4ec0440000003004000000c83c50a92 01000568cb83cb20", nil},
	{"no PPS", "0142c00bffe10016 6742c00bd902c4ec0440000003004000000c83c50a92 00", nil},
	{"empty", "", io.ErrUnexpectedEOF},
	{"version", "0064001fffe0 00", codec.ErrInvalid},
	{"3-byte lengths", "0164001ffee0 00", codec.ErrInvalid},
	{"SPS cut", "0164001fffe1001a6764", io.ErrUnexpectedEOF},
	{"PPS count missing", "0164001fffe0", io.ErrUnexpectedEOF},
	{"extension cut", "0164001fffe0 00 fdf8f801 0004 6d00", io.ErrUnexpectedEOF},
}

func TestNewH264Track(t *testing.T) {
	for _, c := range avcSets {
		t.Run(c.name, func(t *testing.T) {
			nalus := split(unhex(c.sets))
			tr, err := codec.NewH264Track(7, nalus[0], nalus[1])
			require.NoError(t, err)
			require.Equal(t, 7, tr.ID)
			require.Equal(t, codec.H264, tr.Codec)
			require.Equal(t, 90000, tr.ClockRate)
			require.Equal(t, [2]int{c.width, c.height}, [2]int{tr.Width, tr.Height})
			require.InDelta(t, c.fps, tr.FrameRate, 0.001)
			require.Equal(t, nalus, tr.ParameterSets())
			require.Equal(t, c.str, tr.CodecString())
			require.Equal(t, c.profile, tr.Profile())
			require.True(t, tr.Ready())

			var config codec.AVCConfig
			require.NoError(t, config.Unmarshal(tr.Config))
			require.Equal(t, c.chroma, config.ChromaFormat)
			require.Equal(t, c.depth, config.BitDepthLuma)
			require.Equal(t, c.depth, config.BitDepthChroma)
		})
	}
}

func TestNewH264TrackErrors(t *testing.T) {
	nalus := split(unhex(avcSets[0].sets))
	for name, sets := range map[string][2][]byte{
		"none":    {nil, nil},
		"no PPS":  {nalus[0], nil},
		"swapped": {nalus[1], nalus[0]},
		"cut SPS": {nalus[0][:6], nalus[1]},
		"cut PPS": {nalus[0], nalus[1][:1]},
	} {
		_, err := codec.NewH264Track(1, sets[0], sets[1])
		require.ErrorIs(t, err, codec.ErrInvalid, name)
	}
}

// A VUI that breaks off costs the frame rate only.
func TestH264CutVUI(t *testing.T) {
	nalus := split(unhex(avcSets[0].sets))
	tr, err := codec.NewH264Track(1, nalus[0][:12], nalus[1])
	require.NoError(t, err)
	require.Equal(t, "video H264 176x144", tr.String())
	require.Zero(t, tr.FrameRate)
}

// An SPS whose order count has 2^32 bits crashes decoders that believe it.
func TestH264SPSRange(t *testing.T) {
	sps := func(frameNum, orderCount uint32) []byte {
		var w testmedia.BitWriter
		w.U(32, 0x6742000a)
		w.UE(0) // seq_parameter_set_id
		w.UE(frameNum)
		w.UE(0) // pic_order_cnt_type
		w.UE(orderCount)
		w.UE(1)
		w.U(1, 0)
		w.UE(10) // 176x144
		w.UE(8)
		w.U(6, 0b110001)
		return w.NALU()
	}
	_, err := codec.NewH264Track(1, sps(12, 12), h264Sets1[1])
	require.NoError(t, err)
	for _, bad := range [][]byte{sps(13, 0), sps(0, 13), sps(0, 1<<32-4), sps(1<<32-4, 0)} {
		_, err := codec.NewH264Track(1, bad, h264Sets1[1])
		require.ErrorIs(t, err, codec.ErrInvalid)
	}
}

func TestAVCConfig(t *testing.T) {
	for _, c := range avcConfigCases {
		t.Run(c.name, func(t *testing.T) {
			var got, again codec.AVCConfig
			err := got.Unmarshal(unhex(c.wire))
			require.ErrorIs(t, err, c.err)
			if c.err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.NoError(t, again.Unmarshal(got.Append(nil)))
			require.Equal(t, got, again)
		})
	}
	var c codec.AVCConfig
	require.NoError(t, c.Unmarshal(unhex(avcC)))
	require.Equal(t, unhex(avcC), c.Append(nil))

	c.SPSExt = [][]byte{{0x6d, 1}}
	require.NoError(t, c.Unmarshal(c.Append(nil)))
	require.Equal(t, [][]byte{{0x6d, 1}}, c.SPSExt)

	c.LengthSize = 0 // means 4
	require.NoError(t, c.Unmarshal(c.Append(nil)))
	require.Equal(t, 4, c.LengthSize)
}

func FuzzAVCConfig(f *testing.F) {
	for _, c := range avcConfigCases {
		f.Add(unhex(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again codec.AVCConfig
		if err := c.Unmarshal(b); err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			return
		}
		require.NoError(t, again.Unmarshal(c.Append(nil)))
		require.Equal(t, c, again)
	})
}
