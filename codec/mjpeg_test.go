package codec_test

import (
	"bytes"
	"image"
	"image/color/palette"
	"image/jpeg"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

const soi = "ffd8"

var jpegCases = []struct {
	name, frame   string
	width, height int // 0, 0: an error
}{
	{"baseline", soi + "ffc00011080010002003012200021101031101", 32, 16},
	{"extended", soi + "ffc10011080010002003012200021101031101", 32, 16},
	{"frame header only as far as the size", soi + "ffc00008080438078003", 1920, 1080},
	{"after other segments", soi + "ffe000044a46 fffe0002 ffdb0003ff ffc00008080010002003", 32, 16},
	{"fill bytes", soi + "ffffff fffe0002 ffff ffc00008080010002003", 32, 16},
	{"marker without a segment", soi + "ff01 ffc00008080010002003", 32, 16},
	{"empty", "", 0, 0},
	{"start cut", "ff", 0, 0},
	{"no start", "ffc00008080010002003", 0, 0},
	{"only a start", soi, 0, 0},
	{"no marker", soi + "00c00008080010002003", 0, 0},
	{"segment cut", soi + "fffe0004ab", 0, 0},
	{"segment of 1 byte", soi + "fffe0001 ffc00008080010002003", 0, 0},
	{"frame header cut", soi + "ffc0000708001000200301", 0, 0},
	{"frame header beyond the data", soi + "ffc000110800100020", 0, 0},
	{"no height", soi + "ffc00008080000002003", 0, 0},
	{"no width", soi + "ffc00008080010000003", 0, 0},
	{"progressive", soi + "ffc20008080010002003", 0, 0},
	{"lossless, arithmetic", soi + "ffcb0008080010002003", 0, 0},
	{"reserved", soi + "ffc80008080010002003", 0, 0},
	{"scan first", soi + "ffda0008080010002003 ffc00008080010002003", 0, 0},
	{"end of image", soi + "ffd9", 0, 0},
	{"only fill bytes", soi + "ffffffffffffffff", 0, 0},
}

func TestNewMJPEGTrack(t *testing.T) {
	for _, c := range jpegCases {
		t.Run(c.name, func(t *testing.T) {
			frame := unhex(c.frame)
			tr, err := codec.NewMJPEGTrack(3, frame)
			if c.width == 0 {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, &codec.Track{ID: 3, Codec: codec.MJPEG, ClockRate: 90000, Width: c.width, Height: c.height}, tr)
			require.Equal(t, "mp4v.6c", tr.CodecString())
			require.True(t, tr.Ready())

			same, out, key, err := codec.ParseFrame(tr, frame)
			require.NoError(t, err)
			require.True(t, key)
			require.Same(t, tr, same)
			require.Same(t, &frame[0], &out[0])
		})
	}

	// The size comes with the first picture, and with one of another size.
	tr, err := codec.NewMJPEGTrack(testmedia.VideoID, nil)
	require.NoError(t, err)
	from, err := codec.TrackFromConfig(testmedia.VideoID, codec.MJPEG, nil)
	require.NoError(t, err)
	require.Equal(t, tr, from)
	for _, f := range (testmedia.Stream{Video: codec.MJPEG, Change: 1}).Take(100e6) {
		before := tr
		tr, _, _, err = codec.ParseFrame(tr, f.Data)
		require.NoError(t, err)
		require.NotSame(t, before, tr)
		require.Equal(t, [2]int{f.Track.Width, f.Track.Height}, [2]int{tr.Width, tr.Height})
	}
	_, _, _, err = codec.ParseFrame(tr, []byte("no picture"))
	require.ErrorIs(t, err, codec.ErrInvalid)
}

// What image/jpeg writes is read as it is meant, whole or cut anywhere.
func TestMJPEGOfAnotherEncoder(t *testing.T) {
	for _, m := range []image.Image{
		image.NewYCbCr(image.Rect(0, 0, 35, 17), image.YCbCrSubsampleRatio420),
		image.NewGray(image.Rect(0, 0, 1, 2)),
		image.NewPaletted(image.Rect(0, 0, 300, 4), palette.Plan9),
	} {
		var b bytes.Buffer
		require.NoError(t, jpeg.Encode(&b, m, nil))
		tr, err := codec.NewMJPEGTrack(1, b.Bytes())
		require.NoError(t, err)
		require.Equal(t, m.Bounds().Size(), image.Pt(tr.Width, tr.Height))
		for n := range b.Len() {
			if cut, err := codec.NewMJPEGTrack(1, b.Bytes()[:n:n]); err == nil {
				require.Equal(t, tr, cut)
			}
		}
	}
}

func FuzzNewMJPEGTrack(f *testing.F) {
	for _, c := range jpegCases {
		f.Add(unhex(c.frame))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if b == nil {
			b = []byte{}
		}
		tr, err := codec.NewMJPEGTrack(1, b)
		if err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			return
		}
		require.Positive(t, tr.Width)
		require.Positive(t, tr.Height)
		// Other readers agree, where they read the picture at all.
		if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err == nil {
			require.Equal(t, [2]int{tr.Width, tr.Height}, [2]int{c.Width, c.Height})
		}
	})
}
