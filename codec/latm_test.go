package codec_test

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
)

// bitsOf packs fields, each a number and its width.
func bitsOf(fields ...[2]uint32) []byte {
	var b []byte
	free := 0
	for _, f := range fields {
		for i := int(f[1]) - 1; i >= 0; i-- {
			if free == 0 {
				b, free = append(b, 0), 8
			}
			free--
			b[len(b)-1] |= byte(f[0]>>i&1) << free
		}
	}
	return b
}

// aacLC48 is an AudioSpecificConfig of 16 bits: LC, 48 kHz, stereo.
var aacLC48 = [2]uint32{0x1190, 16}

// latmHead is what precedes the first AudioSpecificConfig: version 0, the same
// framing, one frame, one programme, one layer.
var latmHead = [][2]uint32{{0, 1}, {1, 1}, {0, 6}, {0, 4}, {0, 3}}

// latm returns a StreamMuxConfig that begins with latmHead.
func latm(fields ...[2]uint32) []byte {
	return bitsOf(append(latmHead[:len(latmHead):len(latmHead)], fields...)...)
}

var streamMuxCases = []struct {
	name           string
	in             []byte
	config         string // "": an error
	rate, channels int
	subframes      int
}{
	{"LC", unhex("400024203fc0"), "1210", 44100, 2, 1},
	{"LC, 24 kHz mono", unhex("400026103fc0"), "1308", 24000, 1, 1},
	{"cut behind AudioSpecificConfig", unhex("40002420"), "1210", 44100, 2, 1},
	{"SBR", unhex("40005623101fe0"), "2b118800", 24000, 2, 1},
	{"no SBR, said behind", unhex("40002420adca00"), "121056e500", 44100, 2, 1},
	{"SBR, said behind", latm([2]uint32{0x1210, 16}, [2]uint32{0x2b7, 11}, [2]uint32{5, 5}, [2]uint32{1, 1}, [2]uint32{3, 4}, [2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{0, 2}), "121056e598", 44100, 2, 1},
	{"PS", unhex("4001d613101fe0"), "eb098800", 24000, 1, 1},
	{"three frames", bitsOf([2]uint32{1, 2}, [2]uint32{2, 6}, [2]uint32{0, 7}, aacLC48, [2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{0, 2}), "1190", 48000, 2, 3},
	{"fixed length", latm(aacLC48, [2]uint32{1, 3}, [2]uint32{3, 9}, [2]uint32{0, 2}), "1190", 48000, 2, 1},
	{"other data, checksum", latm(aacLC48, [2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{1, 1}, [2]uint32{0x103, 9}, [2]uint32{7, 9}, [2]uint32{1, 1}, [2]uint32{0xab, 8}), "1190", 48000, 2, 1},
	{"depends on a core coder", latm([2]uint32{0x8c9, 15}, [2]uint32{0x1234, 14}, [2]uint32{0, 1}, [2]uint32{0, 3}, [2]uint32{255, 8}), "119291a0", 48000, 2, 1},
	{"layout inside", latm([2]uint32{0x1180, 16}, // a programme with a front pair, a coupling channel and a comment
		[2]uint32{0, 4}, [2]uint32{1, 2}, [2]uint32{3, 4}, [2]uint32{1, 4}, [2]uint32{0, 4}, [2]uint32{0, 4}, [2]uint32{1, 2}, [2]uint32{0, 3}, [2]uint32{1, 4},
		[2]uint32{1, 1}, [2]uint32{5, 4}, [2]uint32{0, 1}, [2]uint32{1, 1}, [2]uint32{3, 3}, [2]uint32{0x10, 5}, [2]uint32{0, 5}, [2]uint32{0, 4},
		[2]uint32{0, 1}, [2]uint32{1, 8}, [2]uint32{'x', 8}, // filled up to a byte
		[2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{0, 2}),
		"1180 04c40103 55c000 0178", 48000, 0, 1},
	{"error resilient", latm([2]uint32{17, 5}, [2]uint32{3, 4}, [2]uint32{2, 4}, [2]uint32{1, 3}, [2]uint32{5, 3}, [2]uint32{0, 1}, [2]uint32{1, 2}, [2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{0, 2}),
		"8991a4", 48000, 2, 1},
	{"ELD", latm([2]uint32{31, 5}, [2]uint32{7, 6}, [2]uint32{3, 4}, [2]uint32{2, 4}, [2]uint32{0, 4}, [2]uint32{0, 1}, [2]uint32{0, 4}, [2]uint32{0, 2}, [2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{0, 2}),
		"f8e64000", 48000, 2, 1},
	{"version 1", bitsOf([2]uint32{2, 2}, [2]uint32{0, 2}, [2]uint32{0xff, 8}, [2]uint32{1, 1}, [2]uint32{0, 6}, [2]uint32{0, 7},
		[2]uint32{1, 2}, [2]uint32{40, 16}, [2]uint32{0x1310, 16}, [2]uint32{0x56e598, 24},
		[2]uint32{0, 3}, [2]uint32{255, 8}, [2]uint32{1, 1}, [2]uint32{0, 2}, [2]uint32{8, 8}, [2]uint32{0, 1}),
		"1310 56e598", 24000, 2, 1},

	{"empty", nil, "", 0, 0, 0},
	{"cut in the head", unhex("40"), "", 0, 0, 0},
	{"cut in AudioSpecificConfig", unhex("400024"), "", 0, 0, 0},
	{"version 1 A", unhex("c00000000000"), "", 0, 0, 0},
	{"version 1, AudioSpecificConfig beyond the end", bitsOf([2]uint32{2, 2}, [2]uint32{0, 10}, [2]uint32{1, 1}, [2]uint32{0, 13}, [2]uint32{3, 2}, [2]uint32{0xffffffff, 32}, [2]uint32{0x1190, 16}), "", 0, 0, 0},
	{"other framing", unhex("000024203fc0"), "", 0, 0, 0},
	{"two programmes", unhex("400824203fc0"), "", 0, 0, 0},
	{"two layers", unhex("400124203fc0"), "", 0, 0, 0},
	{"frame length of CELP", latm(aacLC48, [2]uint32{4, 3}, [2]uint32{0, 6}, [2]uint32{0, 2}), "", 0, 0, 0},
	{"CELP", latm([2]uint32{8, 5}, [2]uint32{3, 4}, [2]uint32{1, 4}, [2]uint32{0, 30}), "", 0, 0, 0},
	{"error protection", latm([2]uint32{17, 5}, [2]uint32{3, 4}, [2]uint32{2, 4}, [2]uint32{0, 3}, [2]uint32{2, 2}, [2]uint32{0, 13}), "", 0, 0, 0},
	{"SBR of ELD", latm([2]uint32{31, 5}, [2]uint32{7, 6}, [2]uint32{3, 4}, [2]uint32{2, 4}, [2]uint32{0, 4}, [2]uint32{1, 1}, [2]uint32{0, 30}), "", 0, 0, 0},
	{"extension of ELD", latm([2]uint32{31, 5}, [2]uint32{7, 6}, [2]uint32{3, 4}, [2]uint32{2, 4}, [2]uint32{0, 5}, [2]uint32{1, 4}, [2]uint32{0, 30}), "", 0, 0, 0},
	{"rate reserved", latm([2]uint32{2, 5}, [2]uint32{13, 4}, [2]uint32{2, 4}, [2]uint32{0, 30}), "", 0, 0, 0},
}

func TestStreamMuxConfig(t *testing.T) {
	for _, c := range streamMuxCases {
		t.Run(c.name, func(t *testing.T) {
			var m codec.StreamMuxConfig
			err := m.Unmarshal(c.in)
			if c.config == "" {
				require.ErrorIs(t, err, codec.ErrInvalid)
				require.Zero(t, m)
				return
			}
			require.NoError(t, err)
			require.Equal(t, unhex(c.config), m.Config)
			require.Equal(t, c.subframes, m.Subframes)
			tr, err := codec.TrackFromConfig(1, codec.AAC, m.Config)
			require.NoError(t, err)
			require.Equal(t, [2]int{c.rate, c.channels}, [2]int{tr.SampleRate, tr.Channels})

			for n := range c.in {
				err := (&codec.StreamMuxConfig{}).Unmarshal(c.in[:n:n])
				if err != nil {
					require.ErrorIs(t, err, codec.ErrInvalid)
				}
			}
		})
	}
}

// Elements of several frames, with their configuration inside and without, at
// whatever bit the frames begin; mediacommon writes them.
func TestAudioMuxElement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subframes := rapid.IntRange(1, 4).Draw(t, "subframes")
		inBand := rapid.Bool().Draw(t, "in band")
		other := mpeg4audio.AudioSpecificConfig{Type: 2, SampleRate: 44100, ChannelConfig: 1}
		if rapid.Bool().Draw(t, "SBR") {
			other.ExtensionType, other.ExtensionSampleRate = 5, 48000
			other.SampleRate = 24000
		}
		w := mpeg4audio.AudioMuxElement{
			MuxConfigPresent: inBand,
			StreamMuxConfig: &mpeg4audio.StreamMuxConfig{
				NumSubFrames: uint(subframes - 1),
				Programs: []*mpeg4audio.StreamMuxConfigProgram{{Layers: []*mpeg4audio.StreamMuxConfigLayer{
					{AudioSpecificConfig: &other, LatmBufferFullness: 255},
				}}},
			},
		}
		enc, err := w.StreamMuxConfig.Marshal()
		require.NoError(t, err)
		var m codec.StreamMuxConfig
		if !inBand {
			require.NoError(t, m.Unmarshal(enc))
		}
		for i := range 3 {
			frames := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 600), subframes, subframes).Draw(t, "frames")
			w.Payloads = nil
			for _, f := range frames {
				w.Payloads = append(w.Payloads, [][][]byte{{f}})
			}
			w.UseSameStreamMux = inBand && i > 0
			element, err := w.Marshal()
			require.NoError(t, err)
			got, err := m.Split(element, inBand)
			require.NoError(t, err)
			require.Equal(t, frames, got)
			require.Equal(t, subframes, m.Subframes)
			tr, err := codec.TrackFromConfig(1, codec.AAC, m.Config)
			require.NoError(t, err)
			require.Equal(t, other.SampleRate, tr.SampleRate)

			for _, n := range []int{0, 1, len(element) / 2, len(element) - 1} {
				again := m
				_, err := again.Split(element[:n:n], inBand)
				require.ErrorIs(t, err, codec.ErrInvalid, "%d of %d bytes", n, len(element))
			}
		}
	})
}

func TestAudioMuxElementOfFixedLength(t *testing.T) {
	var m codec.StreamMuxConfig
	_, err := m.Split([]byte{1, 2, 3}, false)
	require.ErrorIs(t, err, codec.ErrInvalid, "no configuration yet")
	_, err = m.Split([]byte{0x80, 2, 3}, true)
	require.ErrorIs(t, err, codec.ErrInvalid, "the same as none")
	require.NoError(t, m.Unmarshal(latm(aacLC48, [2]uint32{1, 3}, [2]uint32{3, 9}, [2]uint32{0, 2})))
	element := make([]byte, 24)
	for i := range element {
		element[i] = byte(i)
	}
	frames, err := m.Split(element, false)
	require.NoError(t, err)
	require.Equal(t, [][]byte{element[:23]}, frames)
	_, err = m.Split(element[:22], false)
	require.ErrorIs(t, err, codec.ErrInvalid)
	frames, err = m.Split([]byte{0, 0x55}, false)
	require.ErrorIs(t, err, codec.ErrInvalid)
	require.Empty(t, frames)
}

func FuzzStreamMuxConfig(f *testing.F) {
	for _, c := range streamMuxCases {
		f.Add(c.in, []byte{3, 1, 2, 3})
	}
	f.Add(unhex("200013101fe0 0081 80"), []byte{0x81, 0x40})
	f.Fuzz(func(t *testing.T, config, element []byte) {
		var m codec.StreamMuxConfig
		if err := m.Unmarshal(config); err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			require.Zero(t, m)
		}
		for _, inBand := range []bool{false, true, true} {
			frames, err := m.Split(element, inBand)
			if err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
				continue
			}
			size := 0
			for _, f := range frames {
				size += len(f)
			}
			require.LessOrEqual(t, size, len(element))
			require.LessOrEqual(t, len(frames), m.Subframes)
			if _, err := codec.TrackFromConfig(1, codec.AAC, m.Config); err != nil {
				t.Fatal(err)
			}
		}
	})
}
