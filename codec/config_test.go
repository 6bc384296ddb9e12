package codec_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

var configured = []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.AAC, codec.Opus, codec.AC3}

func TestTrackFromConfig(t *testing.T) {
	for _, c := range configured {
		for _, want := range []*codec.Track{testmedia.Track(4, c), testmedia.Track2(4, c)} {
			config := bytes.Clone(want.Config)
			got, err := codec.TrackFromConfig(4, c, config)
			require.NoError(t, err)
			if c == codec.VP8 || c == codec.VP9 {
				require.Zero(t, got.Width) // vpcC has no size
				got.Width, got.Height = want.Width, want.Height
			}
			if got.FrameRate == 0 {
				got.FrameRate = want.FrameRate
			}
			require.Equal(t, want, got)
			clear(config)
			require.True(t, want.SameConfig(got), "not a copy")

			// Every cut is refused or gives a track; nothing panics.
			for n := range want.Config {
				if tr, err := codec.TrackFromConfig(4, c, want.Config[:n]); err != nil {
					require.ErrorIs(t, err, codec.ErrInvalid)
					require.Nil(t, tr)
				}
			}
		}
	}
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.AAC} {
		_, err := codec.TrackFromConfig(1, c, nil)
		require.ErrorIs(t, err, codec.ErrInvalid, "%v", c)
	}
	for c, clock := range map[codec.Codec]int{
		codec.VP8: 90000, codec.VP9: 90000, codec.MJPEG: 90000, codec.MPEG2Video: 90000,
		codec.Opus: 48000, codec.PCMA: 8000, codec.PCMU: 8000,
	} {
		tr, err := codec.TrackFromConfig(1, c, nil)
		require.NoError(t, err)
		require.Equal(t, clock, tr.ClockRate, "%v", c)
	}
	_, err := codec.TrackFromConfig(1, codec.Opus, make([]byte, 1<<17))
	require.ErrorIs(t, err, codec.ErrInvalid)
}

func TestTrackFromConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		codec  codec.Codec
		config string
	}{
		{"avcC without SPS", codec.H264, "0164001fffe0 00"},
		{"avcC with a PPS for SPS", codec.H264, "0164001fffe1 0003 68ce38 00"},
		{"avcC with damaged SPS", codec.H264, "0164001fffe1 0004 6764001f 00"},
		{"hvcC without SPS", codec.H265, hvcC[:44] + "00"},
		{"av1C version", codec.AV1, "82050c00"},
		{"av1C without sequence header", codec.AV1, "81050c00 3201 10"},
		{"vpcC cut", codec.VP9, "01000000 001f 82 0202"},
		{"dOps version", codec.Opus, "0102 0138 0000bb80 0000 00"},
		{"dOps without channels", codec.Opus, "0000 0138 0000bb80 0000 00"},
		{"dOps mapping cut", codec.Opus, "0006 0138 0000bb80 0000 01 0402 0004010203"},
		{"OpusHead cut", codec.Opus, "4f70757348656164 0102 3801 80bb0000 0000"},
		{"dac3 rate", codec.AC3, "d01140"},
	} {
		_, err := codec.TrackFromConfig(1, c.codec, unhex(c.config))
		require.ErrorIs(t, err, codec.ErrInvalid, c.name)
	}
}

// The lengths of Frame.Data have four bytes, whatever those of the wire have.
func TestTrackFromConfigLengthSize(t *testing.T) {
	for c, at := range map[codec.Codec]int{codec.H264: 4, codec.H265: 21} {
		want := testmedia.Track(1, c)
		for _, size := range []int{1, 2, 4} {
			wire := bytes.Clone(want.Config)
			wire[at] = wire[at]&^3 | byte(size-1)
			require.Equal(t, size, codec.NALULengthSize(c, wire))
			tr, err := codec.TrackFromConfig(1, c, wire)
			require.NoError(t, err)
			require.Equal(t, want, tr)
		}
	}
	require.Equal(t, 4, codec.NALULengthSize(codec.H264, nil))
	require.Equal(t, 4, codec.NALULengthSize(codec.AAC, make([]byte, 30)))
}

func TestSameConfig(t *testing.T) {
	all := append([]codec.Codec{codec.PCMA, codec.PCMU, codec.MP3, codec.MP2, codec.L16}, configured...)
	for _, c := range all {
		a, b, other := testmedia.Track(1, c), testmedia.Track(2, c), testmedia.Track2(1, c)
		require.True(t, a.SameConfig(b), "%v", c)
		if c != codec.VP8 { // its configuration says nothing of the stream
			require.False(t, a.SameConfig(other), "%v", c)
		}
	}
	require.False(t, testmedia.Track(1, codec.PCMA).SameConfig(testmedia.Track(1, codec.PCMU)))
	a := &codec.Track{Wire: "rtp", Name: "X", Params: "a=1"}
	require.False(t, a.SameConfig(&codec.Track{Wire: "rtp", Name: "X", Params: "a=2"}))
}

func TestIsKeyOtherCodecs(t *testing.T) {
	for _, c := range []struct {
		codec codec.Codec
		data  string
		want  bool
	}{
		{codec.MPEG2Video, "000001b3 50002d 000001b8 000001 00", true},
		{codec.MPEG2Video, "00000100 0010", false},
		{codec.MJPEG, "ffd8", true},
		{codec.H266, "0041", false},
		{codec.Opaque, "00", false},
		{codec.G729, "00", true},
	} {
		require.Equal(t, c.want, codec.IsKey(&codec.Track{Codec: c.codec}, unhex(c.data)), "%v", c.codec)
	}
}

func TestCodecStringUnknown(t *testing.T) {
	for c := codec.Opaque; c <= codec.G729; c++ {
		tr := &codec.Track{Codec: c}
		switch c {
		case codec.MJPEG, codec.MPEG2Video, codec.MP2, codec.MP3, codec.Opus, codec.AC3:
			require.NotEmpty(t, tr.CodecString())
		default:
			require.Empty(t, tr.CodecString(), "%v", c)
		}
		require.Empty(t, tr.Profile())
		require.Empty(t, tr.ParameterSets())
		tr.Config = []byte{1}
		_ = tr.CodecString() + tr.Profile()
		require.Empty(t, tr.ParameterSets())
	}
}

func FuzzTrackFromConfig(f *testing.F) {
	for _, c := range configured {
		f.Add(byte(c), testmedia.Track(1, c).Config)
		f.Add(byte(c), testmedia.Track2(1, c).Config)
	}
	for _, c := range ascCases {
		f.Add(byte(codec.AAC), unhex(c.config))
	}
	for _, c := range avcConfigCases {
		f.Add(byte(codec.H264), unhex(c.wire))
	}
	for _, c := range hevcConfigCases {
		f.Add(byte(codec.H265), unhex(c.wire))
	}
	f.Add(byte(codec.Opus), codec.NewOpusTrack(1, 6).OpusHead())
	f.Fuzz(func(t *testing.T, c byte, config []byte) {
		tr, err := codec.TrackFromConfig(1, codec.Codec(c), config)
		if err != nil {
			require.ErrorIs(t, err, codec.ErrInvalid)
			require.Nil(t, tr)
			return
		}
		again, err := codec.TrackFromConfig(1, codec.Codec(c), tr.Config)
		require.NoError(t, err)
		require.Equal(t, tr, again)
		require.GreaterOrEqual(t, tr.Width, 0)
		require.GreaterOrEqual(t, tr.SampleRate, 0)
		_ = tr.CodecString() + tr.Profile() + tr.String()
		tr.OpusHead()
		tr.Ready()
		tr.ParameterSets()
		codec.AppendADTS(nil, tr, []byte{1})
		codec.FrameDuration(&codec.Frame{Track: tr, Data: config})
	})
}
