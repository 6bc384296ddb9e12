package codec_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Sizes and rates by ISO/IEC 11172-3 and 13818-3, as ffmpeg reads them.
var mpegAudioCases = []struct {
	name, header   string
	codec          codec.Codec
	rate, channels int // 0, 0: an error
	size, samples  int
	str            string
}{
	{"MPEG-1 layer III", "fffb9044", codec.MP3, 44100, 2, 417, 1152, "mp4a.6B"},
	{"padded", "fffb9244", codec.MP3, 44100, 2, 418, 1152, "mp4a.6B"},
	{"48 kHz mono", "fffb94c4", codec.MP3, 48000, 1, 384, 1152, "mp4a.6B"},
	{"MPEG-2 layer III", "fff38064", codec.MP3, 22050, 2, 208, 576, "mp4a.69"},
	{"MPEG-2.5 layer III", "ffe318c4", codec.MP3, 8000, 1, 72, 576, "mp4a.69"},
	{"MPEG-1 layer II", "fffd8404", codec.MP2, 48000, 2, 384, 1152, "mp4a.6B"},
	{"MPEG-2 layer II", "fff584c4", codec.MP2, 24000, 1, 384, 1152, "mp4a.69"},
	{"free format", "fffb0044", codec.MP3, 44100, 2, 0, 1152, "mp4a.6B"},
	{"layer I", "ffff9044", 0, 0, 0, 0, 0, ""},
	{"layer reserved", "fff99044", 0, 0, 0, 0, 0, ""},
	{"version reserved", "ffeb9044", 0, 0, 0, 0, 0, ""},
	{"bit rate 15", "fffbf044", 0, 0, 0, 0, 0, ""},
	{"rate 3", "fffb9c44", 0, 0, 0, 0, 0, ""},
	{"no syncword", "00fb9044", 0, 0, 0, 0, 0, ""},
	{"cut", "fffb90", 0, 0, 0, 0, 0, ""},
}

func TestNewMP3Track(t *testing.T) {
	for _, c := range mpegAudioCases {
		t.Run(c.name, func(t *testing.T) {
			header := unhex(c.header)
			tr, err := codec.NewMP3Track(6, header)
			size, sizeErr := codec.MPEGAudioFrameSize(header)
			if c.rate == 0 {
				require.ErrorIs(t, err, codec.ErrInvalid)
				require.ErrorIs(t, sizeErr, codec.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.NoError(t, sizeErr)
			require.Equal(t, &codec.Track{ID: 6, Codec: c.codec, ClockRate: c.rate, SampleRate: c.rate, Channels: c.channels}, tr)
			require.Equal(t, c.size, size)
			require.Equal(t, c.str, tr.CodecString())
			f := &codec.Frame{Track: tr, Data: header}
			require.Equal(t, codec.FromTicks(int64(c.samples), c.rate), codec.FrameDuration(f))
		})
	}
}

var ac3Cases = []struct {
	name, frame    string
	rate, channels int
	config         string // ffmpeg's dac3
}{
	{"stereo", "0b77a5a5144043", 48000, 2, "101140"},
	{"mono", "0b77a5a50c4023", 48000, 1, "1008c0"},
	{"5.1", "0b77a5a51e40e1", 48000, 6, "103de0"},
	{"44.1 kHz", "0b77a5a5544043", 44100, 2, "501140"},
	{"syncword", "0b78a5a5144043", 0, 0, ""},
	{"rate", "0b77a5a5d44043", 0, 0, ""},
	{"enhanced", "0b77a5a5148043", 0, 0, ""},
	{"cut", "0b77a5a51440", 0, 0, ""},
}

func TestNewAC3Track(t *testing.T) {
	for _, c := range ac3Cases {
		t.Run(c.name, func(t *testing.T) {
			tr, err := codec.NewAC3Track(1, unhex(c.frame))
			if c.rate == 0 {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, &codec.Track{
				ID: 1, Codec: codec.AC3, Config: unhex(c.config),
				ClockRate: c.rate, SampleRate: c.rate, Channels: c.channels,
			}, tr)
			from, err := codec.TrackFromConfig(1, codec.AC3, tr.Config)
			require.NoError(t, err)
			require.Equal(t, tr, from)
		})
	}
}

func TestNewOpusTrack(t *testing.T) {
	for channels, config := range map[int]string{
		0: "0002 0138 0000bb80 0000 00",
		1: "0001 0138 0000bb80 0000 00",
		2: "0002 0138 0000bb80 0000 00",
		6: "0006 0138 0000bb80 0000 01 0402 000401020305", // as libopus orders 5.1
		9: "0002 0138 0000bb80 0000 00",
	} {
		tr := codec.NewOpusTrack(1, channels)
		require.Equal(t, unhex(config), tr.Config)
		require.Equal(t, int(tr.Config[1]), tr.Channels)
		require.Equal(t, []int{48000, 48000}, []int{tr.ClockRate, tr.SampleRate})
		require.Equal(t, "opus", tr.CodecString())
		for _, c := range [][]byte{tr.Config, tr.OpusHead()} {
			from, err := codec.TrackFromConfig(1, codec.Opus, c)
			require.NoError(t, err)
			require.Equal(t, tr, from)
		}
	}
	require.Equal(t, append([]byte("OpusHead"), unhex("0102 3801 80bb0000 0000 00")...), codec.NewOpusTrack(1, 2).OpusHead())
	require.Nil(t, codec.NewG711Track(1, codec.PCMA, 0, 0).OpusHead())
}

func TestNewG711Track(t *testing.T) {
	require.Equal(t, &codec.Track{ID: 1, Codec: codec.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1},
		codec.NewG711Track(1, codec.PCMA, 0, 0))
	require.Equal(t, &codec.Track{ID: 1, Codec: codec.PCMU, ClockRate: 16000, SampleRate: 16000, Channels: 2},
		codec.NewG711Track(1, codec.PCMU, 16000, 2))
}

func TestNewL16Track(t *testing.T) {
	require.Equal(t, &codec.Track{ID: 1, Codec: codec.L16, ClockRate: 44100, SampleRate: 44100, Channels: 1},
		codec.NewL16Track(1, 0, 0))
	require.Equal(t, &codec.Track{ID: 1, Codec: codec.L16, ClockRate: 48000, SampleRate: 48000, Channels: 2},
		codec.NewL16Track(1, 48000, 2))
	from, err := codec.TrackFromConfig(1, codec.L16, nil)
	require.NoError(t, err)
	require.Equal(t, codec.NewL16Track(1, 0, 0), from)
}

func TestFrameDuration(t *testing.T) {
	for _, c := range []struct {
		name  string
		track *codec.Track
		data  []byte
		want  time.Duration
	}{
		{"AAC", testmedia.Track(1, codec.AAC), []byte{1}, 21333333},
		{"AAC without configuration", &codec.Track{Codec: codec.AAC, SampleRate: 8000}, []byte{1}, 0},
		{"Opus 20 ms", testmedia.Track(1, codec.Opus), unhex("fc01"), 20 * time.Millisecond},
		{"Opus 2.5 ms", testmedia.Track(1, codec.Opus), unhex("e001"), 2500 * time.Microsecond},
		{"Opus 60 ms", testmedia.Track(1, codec.Opus), unhex("1801"), 60 * time.Millisecond},
		{"Opus two of 20 ms", testmedia.Track(1, codec.Opus), unhex("f90101"), 40 * time.Millisecond},
		{"Opus three of 20 ms", testmedia.Track(1, codec.Opus), unhex("fb03010101"), 60 * time.Millisecond},
		{"Opus empty", testmedia.Track(1, codec.Opus), nil, 0},
		{"Opus cut", testmedia.Track(1, codec.Opus), unhex("fb"), 0},
		{"PCMA", testmedia.Track(1, codec.PCMA), make([]byte, 160), 20 * time.Millisecond},
		{"L16", testmedia.Track(1, codec.L16), make([]byte, 1920), 10 * time.Millisecond},
		{"L16 mono", codec.NewL16Track(1, 8000, 1), make([]byte, 320), 20 * time.Millisecond},
		{"MJPEG", testmedia.Track(1, codec.MJPEG), []byte{1}, 0},
		{"AC-3", testmedia.Track(1, codec.AC3), []byte{1}, 32 * time.Millisecond},
		{"MP3", testmedia.Track(1, codec.MP3), unhex("fffb9444"), 24 * time.Millisecond},
		{"MP3 twice", testmedia.Track(1, codec.MP3), append(append(unhex("fffb9444"), make([]byte, 380)...), unhex("fffb9444")...), 48 * time.Millisecond},
		{"MP3 damaged", testmedia.Track(1, codec.MP3), unhex("0000"), 0},
		{"video", testmedia.Track(1, codec.H264), []byte{1}, 0},
		{"G722", &codec.Track{Codec: codec.G722, SampleRate: 16000}, []byte{1}, 0},
	} {
		require.Equal(t, c.want, codec.FrameDuration(&codec.Frame{Track: c.track, Data: c.data}), c.name)
	}
}

// The rate of MP3 and AC-3 comes with the first frame; a track that has it stays.
func TestParseFrameAudio(t *testing.T) {
	for _, c := range []codec.Codec{codec.MP3, codec.MP2, codec.AC3} {
		f := (testmedia.Stream{Audio: c}).Take(1)[0]
		tr, err := codec.TrackFromConfig(testmedia.AudioID, c, nil)
		require.NoError(t, err)
		tr, out, key, err := codec.ParseFrame(tr, f.Data)
		require.NoError(t, err)
		require.True(t, key)
		require.Equal(t, f.Track, tr)
		require.Equal(t, f.Data, out)
		same, _, _, err := codec.ParseFrame(tr, f.Data)
		require.NoError(t, err)
		require.Same(t, tr, same)
		_, _, _, err = codec.ParseFrame(tr, []byte{1, 2, 3})
		require.ErrorIs(t, err, codec.ErrInvalid)
	}
	for _, c := range []codec.Codec{codec.AAC, codec.Opus, codec.PCMU, codec.G722} {
		tr := &codec.Track{Codec: c}
		same, _, key, err := codec.ParseFrame(tr, []byte{1})
		require.NoError(t, err)
		require.True(t, key)
		require.Same(t, tr, same)
	}
}

func FuzzFrameDuration(f *testing.F) {
	for _, c := range mpegAudioCases {
		f.Add(unhex(c.header))
	}
	for _, c := range ac3Cases {
		f.Add(unhex(c.frame))
	}
	f.Add(unhex("fb03010101"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []codec.Codec{codec.AAC, codec.Opus, codec.MP3, codec.MP2, codec.AC3, codec.PCMA, codec.L16} {
			tr := testmedia.Track(1, c)
			require.GreaterOrEqual(t, codec.FrameDuration(&codec.Frame{Track: tr, Data: b}), time.Duration(0))
			if _, _, _, err := codec.ParseFrame(tr, b); err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
			}
		}
	})
}
