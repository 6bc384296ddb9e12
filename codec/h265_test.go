package codec_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

var hevcSets = []struct {
	name          string
	sets          string
	width, height int
	fps           float64
	chroma, depth uint8
	str, profile  string
}{
	{"main", "0000000140010c01ffff01600000030090000003000003003f9594090000000142010101600000030090000003000003003fa005020171f2e595952930bc05a02000000300200000030321000000014401c073c189", 640, 360, 25, 1, 8, "hvc1.1.6.L63.90", "Main"},
	{"10 bit", "0000000140010c01ffff02200000030090000003000003007b9594090000000142010102200000030090000003000003007ba003c0801107cad965654a4c2f016808000003000800000301e040000000014401c073c189", 1920, 1080, 60, 1, 10, "hvc1.2.4.L123.90", "Main 10"},
	{"4:2:2", "0000000140010c01ffff0408000003009d0800000300005a959409000000014201010408000003009d0800000300005ab006c201e1c45e595952930bc05a020000030002000003003210000000014401c073c189", 850, 478, 25, 2, 8, "hvc1.4.10.L90.9D.8", "Rext"},
	{"4:4:4", "0000000140010c01ffff0408000003009e0800000300003c959409000000014201010408000003009e0800000300003c90015101c396f2caca94985e02d0100000030010000003019080000000014401c07318301890", 332, 222, 25, 3, 8, "hvc1.4.10.L60.9E.8", "Rext"},
}

// The hvcC that ffmpeg's MP4 muxer writes for a 1280x720 stream.
const hvcC = "0101600000009000000000005df000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003005d911009a10001002b42010101600000030090000003000003005da00280802d16591112930bc05a020000030002000003003210a2000100064401c073c189"

var hevcConfigCases = []struct {
	name, wire string
	err        error
}{
	{"ffmpeg", hvcC, nil},
	{"with SEI and AUD", hvcC[:44] + "05" + hvcC[46:] + "a70001 0003 4e0105 a30001 0003 460110", nil},
	{"no arrays", hvcC[:44] + "00", nil},
	{"empty", "", io.ErrUnexpectedEOF},
	{"version", "02" + hvcC[2:], codec.ErrInvalid},
	{"3-byte lengths", hvcC[:42] + "0e00", codec.ErrInvalid},
	{"array cut", hvcC[:48], io.ErrUnexpectedEOF},
	{"unit cut", hvcC[:len(hvcC)-2], io.ErrUnexpectedEOF},
	{"count lies", hvcC[:44] + "01a0ffff0001", io.ErrUnexpectedEOF},
}

func TestNewH265Track(t *testing.T) {
	for _, c := range hevcSets {
		t.Run(c.name, func(t *testing.T) {
			nalus := split(unhex(c.sets))
			tr, err := codec.NewH265Track(7, nalus[0], nalus[1], nalus[2])
			require.NoError(t, err)
			require.Equal(t, codec.H265, tr.Codec)
			require.Equal(t, 90000, tr.ClockRate)
			require.Equal(t, [2]int{c.width, c.height}, [2]int{tr.Width, tr.Height})
			require.InDelta(t, c.fps, tr.FrameRate, 0.001)
			require.Equal(t, nalus, tr.ParameterSets())
			require.Equal(t, c.str, tr.CodecString())
			require.Equal(t, c.profile, tr.Profile())
			require.True(t, tr.Ready())

			var config codec.HEVCConfig
			require.NoError(t, config.Unmarshal(tr.Config))
			require.Equal(t, c.chroma, config.ChromaFormat)
			require.Equal(t, c.depth, config.BitDepthLuma)
		})
	}
	_, err := codec.NewH265Track(1, nil, nil, nil)
	require.ErrorIs(t, err, codec.ErrInvalid)
}

func TestHEVCConfig(t *testing.T) {
	for _, c := range hevcConfigCases {
		t.Run(c.name, func(t *testing.T) {
			var got, again codec.HEVCConfig
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

	// What we write is what ffmpeg writes, byte by byte.
	var c codec.HEVCConfig
	require.NoError(t, c.Unmarshal(unhex(hvcC)))
	require.Equal(t, unhex(hvcC), c.Append(nil))
	tr, err := codec.NewH265Track(1, c.VPS[0], c.SPS[0], c.PPS[0])
	require.NoError(t, err)
	require.Equal(t, unhex(hvcC), tr.Config)
}

func FuzzHEVCConfig(f *testing.F) {
	for _, c := range hevcConfigCases {
		f.Add(unhex(c.wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again codec.HEVCConfig
		if err := c.Unmarshal(b); err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			return
		}
		require.NoError(t, again.Unmarshal(c.Append(nil)))
		require.Equal(t, c, again)
	})
}
