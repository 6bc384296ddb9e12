package codec_test

import (
	"bytes"
	"io"
	"testing"

	mcav1 "github.com/bluenviron/mediacommon/v2/pkg/codecs/av1"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// The av1C boxes that ffmpeg's MP4 muxer writes for streams of libaom, SVT-AV1
// and rav1e.
var av1Configs = []struct {
	name, config  string
	width, height int
	str, profile  string
}{
	{"libaom", "81050c000a0b0000002d4cffb3cdaf9004", 1280, 720, "av01.0.05M.08", "Main"},
	{"10 bit", "81004c000a0b000000043ea7bcdaf94040", 426, 240, "av01.0.00M.10", "Main"},
	{"4:4:4", "812000000a0a200000043cfeccdaf902", 320, 180, "av01.1.00M.08", "High"},
	{"4:2:2 12 bit", "814168000a0b4000000cc4ff6736be5888", 640, 360, "av01.2.01M.12", "Professional"},
	{"monochrome BT.709", "81001c000a0d000000043cffbcdaf93010101a", 320, 240, "av01.0.00M.08", "Main"},
	{"SVT-AV1", "81010c000a0b0000000cc4ff6700be0010", 640, 360, "av01.0.01M.08", "Main"},
	{"rav1e", "811f0c000a0e000000fa627fb38842a204040428", 640, 360, "av01.0.31M.08", "Main"},
}

func TestNewAV1Track(t *testing.T) {
	for _, c := range av1Configs {
		t.Run(c.name, func(t *testing.T) {
			config := unhex(c.config)
			tr, err := codec.NewAV1Track(3, config[4:])
			require.NoError(t, err)
			require.Equal(t, config, tr.Config)
			require.Equal(t, [2]int{c.width, c.height}, [2]int{tr.Width, tr.Height})
			require.Equal(t, 90000, tr.ClockRate)
			require.Equal(t, c.str, tr.CodecString())
			require.Equal(t, c.profile, tr.Profile())

			same, err := codec.TrackFromConfig(3, codec.AV1, config)
			require.NoError(t, err)
			require.Equal(t, tr, same)

			unsized := append([]byte{config[4] &^ 2}, config[6:]...)
			same, err = codec.NewAV1Track(3, unsized)
			require.NoError(t, err)
			require.Equal(t, tr, same)

			var witness mcav1.SequenceHeader
			require.NoError(t, witness.Unmarshal(config[4:]))
			require.Equal(t, [2]int{witness.Width(), witness.Height()}, [2]int{tr.Width, tr.Height})

			for n := range len(config) - 4 {
				_, err := codec.NewAV1Track(1, config[4:4+n])
				require.ErrorIs(t, err, codec.ErrInvalid)
			}
		})
	}
}

// A sequence header with everything optional in it.
func TestAV1SequenceOptions(t *testing.T) {
	var w testmedia.BitWriter
	w.U(3, 0)      // profile
	w.U(2, 0)      // not still, not reduced
	w.U(1, 1)      // timing_info
	w.U(32, 1001)  // units in a tick
	w.U(32, 30000) // ticks in a second
	w.U(1, 1)      // equal pictures
	w.U(1, 1)      // ue(0): one tick a picture
	w.U(1, 1)      // decoder model
	w.U(5, 9)      // delays of 10 bits
	w.U(32, 1)
	w.U(10, 0)
	w.U(1, 1) // display delay present
	w.U(5, 1) // two operating points
	for _, level := range []uint32{8, 2} {
		w.U(12, 0)
		w.U(5, level)
		if level > 7 {
			w.U(1, 1) // high tier
		}
		w.U(1, 1) // decoder model of this point
		w.U(21, 0)
		w.U(1, 1) // display delay of this point
		w.U(4, 3)
	}
	w.U(8, 0x99) // sizes of 10 bits
	w.U(10, 799)
	w.U(10, 599)
	w.U(1, 1) // frame ids
	w.U(7, 0)
	w.U(3, 0)
	w.U(4, 0)
	w.U(1, 0) // no order hints
	w.U(1, 0) // screen content tools not chosen per frame
	w.U(1, 0) // nor ever
	w.U(3, 0)
	w.U(3, 0) // 8 bit, colour, no description
	w.U(1, 1) // full range
	w.U(2, 1) // chroma position
	w.U(2, 0)
	tr, err := codec.NewAV1Track(1, append([]byte{1 << 3}, w.Bytes()...))
	require.NoError(t, err)
	require.Equal(t, [2]int{800, 600}, [2]int{tr.Width, tr.Height})
	require.InDelta(t, 29.97, tr.FrameRate, 0.001)
	require.Equal(t, unhex("81088d00"), tr.Config[:4])
	require.Equal(t, "av01.0.08H.08", tr.CodecString())
}

const av1Seq = "0a0b0000002d4cffb3cdaf9004"

var av1Cases = []struct {
	name, in, want string
	key            bool
	err            error
}{
	{"empty", "", "", false, nil},
	{"key", av1Seq + "3203 10aabb", av1Seq + "3203 10aabb", true, nil},
	{"frame header and tiles", av1Seq + "1a01 10 2202 aabb", av1Seq + "1a01 10 2202 aabb", true, nil},
	{"inter", "3203 30aabb", "3203 30aabb", false, nil},
	{"key without sequence", "3203 10aabb", "3203 10aabb", false, nil},
	{"sequence with an inter frame", av1Seq + "3203 30aabb", av1Seq + "3203 30aabb", false, nil},
	{"key not shown", av1Seq + "3203 00aabb", av1Seq + "3203 00aabb", false, nil},
	{"existing frame shown", av1Seq + "3201 90", av1Seq + "3201 90", false, nil},
	{"delimiter", "1200" + av1Seq + "3203 10aabb", av1Seq + "3203 10aabb", true, nil},
	{"delimiter and padding and tile list", "1200 3203 30aabb 7a02 ffff 4200", "3203 30aabb", false, nil},
	{"no size", "1200 30 30aabb", "3203 30aabb", false, nil},
	{"extension", "3608 03 30aabb", "3608 03 30aabb", false, nil},
	{"extension, no size", "3408 30aabb", "3608 03 30aabb", false, nil},
	{"long size", "32 8380 00 30aabb", "32 8380 00 30aabb", false, nil},
	{"forbidden bit", "b203 30aabb", "", false, codec.ErrInvalid},
	{"cut", "3204 30aabb", "", false, io.ErrUnexpectedEOF},
	{"size cut", "3280", "", false, io.ErrUnexpectedEOF},
	{"extension cut", "36", "", false, io.ErrUnexpectedEOF},
	{"size of 9 bytes", "32 808080808080808001", "", false, codec.ErrInvalid},
	{"size above 32 bits", "32 ffffffffff7f 00", "", false, codec.ErrInvalid},
}

func TestCanonicalAV1(t *testing.T) {
	tr := testmedia.Track(1, codec.AV1)
	for _, c := range av1Cases {
		t.Run(c.name, func(t *testing.T) {
			in := unhex(c.in)
			out, err := codec.CanonicalAV1(nil, in)
			require.ErrorIs(t, err, c.err)
			t2, parsed, key, perr := codec.ParseFrame(tr, in)
			require.ErrorIs(t, perr, c.err)
			require.Same(t, tr, t2)
			if c.err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.Equal(t, unhex(c.want), append([]byte{}, out...))
			require.Equal(t, out, parsed)
			require.Equal(t, c.key, key)
			require.Equal(t, c.key, codec.IsKey(tr, out))
			if c.in == c.want && len(in) > 0 {
				require.Same(t, &in[0], &out[0], "copied")
			}
		})
	}
	// The buffer is used if a copy is needed.
	buf := make([]byte, 3, 100)
	out, err := codec.CanonicalAV1(buf, unhex("12003203 30aabb"))
	require.NoError(t, err)
	require.Same(t, &buf[0], &out[0])
}

func TestParseFrameAV1NewSequence(t *testing.T) {
	first, second := testmedia.Track(8, codec.AV1), testmedia.Track2(8, codec.AV1)
	key := func(tr *codec.Track) []byte { return append(bytes.Clone(tr.Config[4:]), unhex("3203 10aabb")...) }

	tr, _, _, err := codec.ParseFrame(&codec.Track{ID: 8, Codec: codec.AV1}, key(first))
	require.NoError(t, err)
	tr.FrameRate = first.FrameRate
	require.Equal(t, first, tr)
	same, _, isKey, err := codec.ParseFrame(tr, key(first))
	require.NoError(t, err)
	require.True(t, isKey)
	require.Same(t, tr, same)
	tr, _, _, err = codec.ParseFrame(tr, key(second))
	require.NoError(t, err)
	require.Equal(t, second, tr)

	data := key(first)
	require.Zero(t, testing.AllocsPerRun(100, func() { codec.ParseFrame(first, data) }))
}

func FuzzAV1(f *testing.F) {
	for _, c := range av1Cases {
		f.Add(unhex(c.in))
	}
	for _, c := range av1Configs {
		f.Add(unhex(c.config)[4:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tr, err := codec.NewAV1Track(1, b); err == nil {
			again, err := codec.TrackFromConfig(1, codec.AV1, tr.Config)
			require.NoError(t, err)
			require.Equal(t, tr, again)
			_ = tr.CodecString() + tr.Profile()
		}
		out, err := codec.CanonicalAV1(nil, b)
		if err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			return
		}
		again, err := codec.CanonicalAV1(nil, out)
		require.NoError(t, err)
		require.True(t, bytes.Equal(out, again))
		tr := testmedia.Track(1, codec.AV1)
		t2, data, key, err := codec.ParseFrame(tr, b)
		if err == nil {
			require.True(t, bytes.Equal(out, data))
			require.Equal(t, key, codec.IsKey(t2, data))
		}
	})
}

func TestCutOBU(t *testing.T) {
	for s, size := range map[string]int{"": 0, "30": 1, "34": 0, "3400": 2, "3200": 2, "3201": 0, "320155 55": 3, "3600015555": 4, "b0": 0, "32ff": 0} {
		b := unhex(s)
		o, err := codec.CutOBU(b)
		require.Equal(t, size > 0, err == nil, s)
		if err == nil {
			require.Equal(t, size, o.Size, s)
			require.True(t, bytes.HasPrefix(b, o.Header))
		}
	}
}
