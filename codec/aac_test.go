package codec_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

func TestNewAACTrack(t *testing.T) {
	for _, c := range []struct {
		rate, channels int
		config         string // "": an error
	}{
		{48000, 2, "1190"},
		{44100, 2, "1210"},
		{44100, 1, "1208"},
		{8000, 1, "1588"},
		{96000, 6, "1030"},
		{48000, 8, "11b8"},
		{50000, 2, "17 8061a810"}, // a rate of its own
		{48000, 7, ""},
		{48000, 0, ""},
		{0, 2, ""},
		{1 << 24, 2, ""},
	} {
		tr, err := codec.NewAACTrack(4, c.rate, c.channels)
		if c.config == "" {
			require.ErrorIs(t, err, codec.ErrInvalid)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, unhex(c.config), tr.Config)
		require.Equal(t, &codec.Track{
			ID: 4, Codec: codec.AAC, Config: tr.Config,
			ClockRate: c.rate, SampleRate: c.rate, Channels: c.channels,
		}, tr)
		require.Equal(t, "mp4a.40.2", tr.CodecString())
		require.Equal(t, "LC", tr.Profile())

		var witness mpeg4audio.AudioSpecificConfig
		require.NoError(t, witness.Unmarshal(tr.Config))
		require.Equal(t, c.rate, witness.SampleRate)
	}
}

var ascCases = []struct {
	name, config   string
	rate, channels int // 0, 0: an error
	profile, str   string
	frame          time.Duration
}{
	{"LC", "1190", 48000, 2, "LC", "mp4a.40.2", 1024 * time.Second / 48000},
	{"Main", "0a10", 44100, 2, "Main", "mp4a.40.1", 1024 * time.Second / 44100},
	{"HE-AAC", "2b920800", 22050, 2, "HE-AAC", "mp4a.40.5", 1024 * time.Second / 22050},
	{"HE-AACv2", "eb8a0800", 22050, 1, "HE-AACv2", "mp4a.40.29", 1024 * time.Second / 22050},
	{"HE-AAC, compatible", "131056e598", 24000, 2, "HE-AAC", "mp4a.40.2", 1024 * time.Second / 24000},
	{"960 samples", "1194", 48000, 2, "LC", "mp4a.40.2", 20 * time.Millisecond},
	{"ELD", "f8e64000", 48000, 2, "ELD", "mp4a.40.39", 512 * time.Second / 48000},
	{"layout in the stream", "1180", 48000, 0, "LC", "mp4a.40.2", 1024 * time.Second / 48000},
	{"empty", "", 0, 0, "", "", 0},
	{"cut", "11", 0, 0, "", "", 0},
	{"rate cut", "1780", 0, 0, "", "", 0},
	{"rate reserved", "1690", 0, 0, "", "", 0},
	{"object type 0", "0190", 0, 0, "", "", 0},
}

func TestAudioSpecificConfig(t *testing.T) {
	for _, c := range ascCases {
		t.Run(c.name, func(t *testing.T) {
			tr, err := codec.TrackFromConfig(1, codec.AAC, unhex(c.config))
			if c.rate == 0 {
				require.ErrorIs(t, err, codec.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int{c.rate, c.channels, c.rate}, []int{tr.SampleRate, tr.Channels, tr.ClockRate})
			require.Equal(t, c.profile, tr.Profile())
			require.Equal(t, c.str, tr.CodecString())
			require.InDelta(t, c.frame, codec.FrameDuration(&codec.Frame{Track: tr}), 1)
		})
	}
}

var adtsCases = []struct {
	name, in string
	config   string
	raws     []string
	err      error
}{
	{"empty", "", "", nil, nil},
	{"one", "fff14c800 13ffc aabb", "1190", []string{"aabb"}, nil},
	{"two", "fff14c80013ffcaabb fff14c80011ffccc", "1190", []string{"aabb", "cc"}, nil},
	{"checksum", "fff04c80017ffc 1234 aabb", "1190", []string{"aabb"}, nil},
	{"nothing inside", "fff14c8000fffc", "1190", nil, nil},
	{"header cut", "fff14c", "", nil, io.ErrUnexpectedEOF},
	{"second cut", "fff14c80013ffcaabb fff14c80013ffccc", "1190", []string{"aabb"}, io.ErrUnexpectedEOF},
	{"no syncword", "00f14c80013ffcaabb", "", nil, codec.ErrInvalid},
	{"layer", "fff34c80013ffcaabb", "", nil, codec.ErrInvalid},
	{"size 0", "fff14c80001ffcaabb", "", nil, codec.ErrInvalid},
	{"rate 13", "fff17480013ffcaabb", "", nil, codec.ErrInvalid},
	{"two blocks", "fff14c80013ffdaabb", "", nil, codec.ErrInvalid},
	{"other rate", "fff14c80013ffcaabb fff15080011ffccc", "1190", []string{"aabb"}, codec.ErrInvalid},
}

func TestSplitADTS(t *testing.T) {
	for _, c := range adtsCases {
		t.Run(c.name, func(t *testing.T) {
			config, raws, err := codec.SplitADTS(unhex(c.in))
			require.ErrorIs(t, err, c.err)
			if err != nil {
				require.ErrorIs(t, err, codec.ErrInvalid)
			}
			require.Equal(t, unhex(c.config), append([]byte{}, config...))
			require.Len(t, raws, len(c.raws))
			for i, raw := range c.raws {
				require.Equal(t, unhex(raw), raws[i])
			}
		})
	}
}

func TestAppendADTS(t *testing.T) {
	for _, c := range ascCases[:5] {
		tr, err := codec.TrackFromConfig(1, codec.AAC, unhex(c.config))
		require.NoError(t, err)
		b, err := codec.AppendADTS([]byte{1}, tr, []byte{7, 8, 9})
		require.NoError(t, err)
		config, raws, err := codec.SplitADTS(b[1:])
		require.NoError(t, err)
		require.Equal(t, [][]byte{{7, 8, 9}}, raws)
		core, err := codec.TrackFromConfig(1, codec.AAC, config)
		require.NoError(t, err)
		require.Equal(t, tr.SampleRate, core.SampleRate)
		require.Equal(t, tr.Channels, core.Channels)

		var witness mpeg4audio.ADTSPackets
		if core.Profile() == "LC" {
			require.NoError(t, witness.Unmarshal(b[1:]))
			require.Equal(t, tr.SampleRate, witness[0].SampleRate)
			require.Equal(t, []byte{7, 8, 9}, witness[0].AU)
		}
	}
	stereo, _ := codec.NewAACTrack(1, 48000, 2)
	odd, _ := codec.NewAACTrack(1, 50000, 2)
	eld, _ := codec.TrackFromConfig(1, codec.AAC, unhex("f8e64000"))
	for _, c := range []struct {
		track *codec.Track
		raw   []byte
		ok    bool
	}{
		{stereo, make([]byte, 8184), true},
		{stereo, make([]byte, 8185), false},
		{odd, []byte{1}, false},
		{eld, []byte{1}, false},
		{&codec.Track{Codec: codec.AAC}, []byte{1}, false},
	} {
		b, err := codec.AppendADTS(nil, c.track, c.raw)
		if !c.ok {
			require.ErrorIs(t, err, codec.ErrInvalid)
			require.Empty(t, b)
			continue
		}
		require.NoError(t, err)
		n, err := codec.ADTSFrameSize(b)
		require.NoError(t, err)
		require.Equal(t, len(b), n)
	}
	buf := make([]byte, 0, 64)
	require.Zero(t, testing.AllocsPerRun(10, func() { codec.AppendADTS(buf, stereo, []byte{1, 2}) }))
}

func TestSilentAAC(t *testing.T) {
	tr := codec.NewSilentAACTrack(9)
	parsed, err := codec.TrackFromConfig(9, codec.AAC, unhex("1588"))
	require.NoError(t, err)
	parsed.Synthetic = true
	require.Equal(t, parsed, tr)
	f := &codec.Frame{Track: tr, Data: codec.SilentAACFrame()}
	require.Equal(t, 128*time.Millisecond, codec.FrameDuration(f))
	f.Data[0] = 1
	require.NotEqual(t, f.Data, codec.SilentAACFrame(), "shared")

	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("no ffmpeg to decode it with")
	}
	var stream []byte
	for range 10 {
		stream, err = codec.AppendADTS(stream, tr, codec.SilentAACFrame())
		require.NoError(t, err)
	}
	pcm, log := decode(t, path, stream)
	require.Empty(t, log)
	require.Equal(t, make([]byte, 10*1024*2), pcm)
}

// decode turns ADTS into PCM of 16 bits with ffmpeg and returns its errors.
func decode(t *testing.T, ffmpeg string, adts []byte) (pcm []byte, log string) {
	cmd := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "aac", "-i", "pipe:", "-f", "s16le", "pipe:")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(adts), &out, &errs
	require.NoError(t, cmd.Run(), errs.String())
	return out.Bytes(), errs.String()
}

func FuzzADTS(f *testing.F) {
	for _, c := range adtsCases {
		f.Add(unhex(c.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		config, raws, err := codec.SplitADTS(b)
		if err != nil && !errors.Is(err, codec.ErrInvalid) {
			t.Fatal(err)
		}
		if len(raws) == 0 {
			return
		}
		tr, err := codec.TrackFromConfig(1, codec.AAC, config)
		require.NoError(t, err)
		var again []byte
		for _, raw := range raws {
			again, err = codec.AppendADTS(again, tr, raw)
			require.NoError(t, err)
		}
		config2, raws2, err := codec.SplitADTS(again)
		require.NoError(t, err)
		require.Equal(t, config, config2)
		require.Equal(t, raws, raws2)
	})
}
