package codec_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Headers of frames; those of 1280x720 by libvpx.
var vpxCases = []struct {
	name          string
	codec         codec.Codec
	frame         string
	width, height int // 0, 0: no key frame, or an error where one is needed
	key           bool
	str           string
	config        string
}{
	{"VP8", codec.VP8, "d087019d012a0005d002", 1280, 720, true, "vp08.00.00.08", "01000000 0000 82 020202 0000"},
	{"VP8 version 3, scaled", codec.VP8, "1687019d012a8042e081", 640, 480, true, "vp08.03.00.08", "01000000 0300 82 020202 0000"},
	{"VP8 inter", codec.VP8, "d187019d012a0005d002", 0, 0, false, "", ""},
	{"VP8 start code", codec.VP8, "d087019d012b0005d002", 0, 0, true, "", ""},
	{"VP8 size 0", codec.VP8, "d087019d012a0000d002", 0, 0, true, "", ""},
	{"VP8 cut", codec.VP8, "d087019d012a0005d0", 0, 0, true, "", ""},
	{"empty", codec.VP8, "", 0, 0, false, "", ""},
	{"VP9", codec.VP9, "82498342004ff02cf6", 1280, 720, true, "vp09.00.31.08", "01000000 001f 82 020202 0000"},
	{"VP9 BT.709, full range", codec.VP9, "82498342504ff02cfa", 1280, 720, true, "vp09.00.31.08", "01000000 001f 83 010101 0000"},
	{"VP9 profile 1, 4:4:4", codec.VP9, "a24983420009fe059f40", 1280, 720, true, "vp09.01.31.08", "01000000 011f 86 020202 0000"},
	{"VP9 profile 2, 10 bit", codec.VP9, "924983420027f8167d", 1280, 720, true, "vp09.02.31.10", "01000000 021f a2 020202 0000"},
	{"VP9 inter", codec.VP9, "8600", 0, 0, false, "", ""},
	{"VP9 existing", codec.VP9, "8800", 0, 0, false, "", ""},
	{"VP9 cut", codec.VP9, "82498342004ff02c", 0, 0, true, "", ""},
	{"VP9 sync code", codec.VP9, "82498343004ff02cf6", 0, 0, true, "", ""},
	{"VP9 marker", codec.VP9, "42498342004ff02cf6", 0, 0, false, "", ""},
	{"empty", codec.VP9, "", 0, 0, false, "", ""},
}

func newVPTrack(id int, c codec.Codec, frame []byte) (*codec.Track, error) {
	if c == codec.VP8 {
		return codec.NewVP8Track(id, frame)
	}
	return codec.NewVP9Track(id, frame)
}

func TestVP8VP9(t *testing.T) {
	for _, c := range vpxCases {
		t.Run(c.codec.String()+" "+c.name, func(t *testing.T) {
			frame := unhex(c.frame)
			require.Equal(t, c.key, codec.IsKey(&codec.Track{Codec: c.codec}, frame))
			tr, err := newVPTrack(2, c.codec, frame)
			if c.width == 0 {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, [2]int{c.width, c.height}, [2]int{tr.Width, tr.Height})
			require.Equal(t, c.str, tr.CodecString())
			require.Equal(t, unhex(c.config), tr.Config)

			// The bare record is accepted as well.
			for _, config := range [][]byte{tr.Config, tr.Config[4:]} {
				from, err := codec.TrackFromConfig(2, c.codec, config)
				require.NoError(t, err)
				require.True(t, tr.SameConfig(from))
			}

			t2, out, key, err := codec.ParseFrame(tr, frame)
			require.NoError(t, err)
			require.True(t, key)
			require.Same(t, tr, t2)
			require.Same(t, &frame[0], &out[0])
		})
	}
	for _, c := range []codec.Codec{codec.VP8, codec.VP9} {
		tr, err := newVPTrack(1, c, nil)
		require.NoError(t, err)
		require.Zero(t, tr.Width)
		from, err := codec.TrackFromConfig(1, c, nil)
		require.NoError(t, err)
		require.Equal(t, tr, from)
		require.True(t, tr.Ready())

		// The size comes with the first key frame.
		f := (testmedia.Stream{Video: c}).Take(1)[0]
		t2, _, key, err := codec.ParseFrame(tr, f.Data)
		require.NoError(t, err)
		require.True(t, key)
		require.Equal(t, 1280, t2.Width)
		require.Equal(t, f.Track.Config, t2.Config)
	}
}

func FuzzVP9(f *testing.F) {
	for _, c := range vpxCases {
		f.Add(unhex(c.frame), c.codec == codec.VP8)
	}
	f.Fuzz(func(t *testing.T, b []byte, vp8 bool) {
		c := codec.VP9
		if vp8 {
			c = codec.VP8
		}
		if b == nil {
			b = []byte{}
		}
		tr, err := newVPTrack(1, c, b)
		if err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			return
		}
		require.True(t, codec.IsKey(tr, b))
		require.Positive(t, tr.Width)
		require.Positive(t, tr.Height)
		_ = tr.CodecString() + tr.Profile()
	})
}
