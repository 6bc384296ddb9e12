package vdk

import (
	"bytes"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	vdkcodec "github.com/deepch/vdk/codec"
	"github.com/deepch/vdk/codec/aacparser"
	"github.com/deepch/vdk/codec/h264parser"
	"github.com/deepch/vdk/codec/h265parser"
	"github.com/deepch/vdk/codec/mjpeg"
	"github.com/deepch/vdk/codec/opusparser"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// converted are the codecs that both sides know.
var converted = []codec.Codec{
	codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9, codec.MJPEG,
	codec.AAC, codec.Opus, codec.PCMA, codec.PCMU, codec.L16,
}

// What a track becomes describes the same, and becomes the same track again.
func TestCodecData(t *testing.T) {
	for _, c := range converted {
		for _, want := range []*codec.Track{testmedia.Track(3, c), testmedia.Track2(3, c)} {
			t.Run(want.String(), func(t *testing.T) {
				d, err := CodecDataOf(want)
				require.NoError(t, err)
				require.Equal(t, c.Kind() == codec.KindVideo, d.Type().IsVideo())
				switch c.Kind() {
				case codec.KindVideo:
					v := d.(av.VideoCodecData)
					require.Equal(t, [2]int{want.Width, want.Height}, [2]int{v.Width(), v.Height()})
				case codec.KindAudio:
					a := d.(av.AudioCodecData)
					require.Equal(t, want.SampleRate, a.SampleRate())
					require.Equal(t, want.Channels, a.ChannelLayout().Count())
					require.NotZero(t, a.SampleFormat())
				}
				got, err := TrackOf(7, d)
				require.NoError(t, err)
				require.Equal(t, 7, got.ID)
				containertest.RequireSameTrack(t, want, got)
			})
		}
	}
}

func TestPacketDuration(t *testing.T) {
	for _, c := range []codec.Codec{codec.AAC, codec.Opus, codec.PCMA, codec.PCMU, codec.L16} {
		f := testmedia.Stream{Audio: c}.Take(time.Millisecond)[0]
		d, err := CodecDataOf(f.Track)
		require.NoError(t, err)
		got, err := d.(av.AudioCodecData).PacketDuration(f.Data)
		require.NoError(t, err)
		require.InDelta(t, codec.FrameDuration(f), got, 1, "%v", c)
	}
	d, err := CodecDataOf(testmedia.Track(1, codec.Opus))
	require.NoError(t, err)
	_, err = d.(av.AudioCodecData).PacketDuration(nil)
	require.ErrorIs(t, err, codec.ErrInvalid)
}

// What vdk has no name or no parameters for.
func TestCodecDataRefused(t *testing.T) {
	for _, track := range []*codec.Track{
		testmedia.Track(1, codec.MP3), testmedia.Track(1, codec.AC3),
		{Codec: codec.Opaque, Wire: "rtp"}, {Codec: codec.AAC}, {Codec: codec.H264}, {Codec: codec.H265},
	} {
		_, err := CodecDataOf(track)
		require.ErrorIs(t, err, source.ErrUnsupported, "%v", track)
	}
}

func TestLayouts(t *testing.T) {
	for n := range 10 {
		want := n
		if n > 8 {
			want = 0
		}
		require.Equal(t, want, layoutOf(n).Count())
	}
}

// Sample rates that are written in full are 0 to vdk, which would divide by them.
func TestAACOfUnusualRate(t *testing.T) {
	config := []byte{0x17, 0x80, 0x27, 0x10, 0x10} // LC, 20,000 Hz, stereo
	track, err := codec.TrackFromConfig(1, codec.AAC, config)
	require.NoError(t, err)
	require.Equal(t, 20000, track.SampleRate)
	d, err := CodecDataOf(track)
	require.NoError(t, err)
	require.Equal(t, 20000, d.(av.AudioCodecData).SampleRate())
	require.Equal(t, 2, d.(av.AudioCodecData).ChannelLayout().Count())
	_, err = d.(av.AudioCodecData).PacketDuration(nil)
	require.NoError(t, err)
}

// Descriptions of vdk's own making.
func TestTrackOf(t *testing.T) {
	avc, hevc, aac := testmedia.Track(1, codec.H264), testmedia.Track(1, codec.H265), testmedia.Track(1, codec.AAC)
	data := func(d av.CodecData, err error) av.CodecData {
		require.NoError(t, err)
		return d
	}
	h264, err := h264parser.NewCodecDataFromSPSAndPPS(avc.ParameterSets()[0], avc.ParameterSets()[1])
	require.NoError(t, err)
	h265, err := h265parser.NewCodecDataFromVPSAndSPSAndPPS(hevc.ParameterSets()[0], hevc.ParameterSets()[1], hevc.ParameterSets()[2])
	require.NoError(t, err)
	aacData, err := aacparser.NewCodecDataFromMPEG4AudioConfigBytes(aac.Config)
	for _, c := range []struct {
		d    av.CodecData
		want *codec.Track
	}{
		{h264, avc},
		{h265, hevc},
		{data(aacData, err), aac},
		{aacparser.CodecData{ConfigBytes: append(bytes.Clone(aac.Config), 6, 0x80, 0x80, 0x80, 1, 2)}, aac},
		{aacparser.CodecData{ConfigBytes: append(bytes.Clone(aac.Config), 6, 1, 2)}, aac},
		{vdkcodec.NewOpusCodecData(48000, av.CH_MONO), codec.NewOpusTrack(1, 1)},
		{opusparser.NewCodecData(2), codec.NewOpusTrack(1, 2)},
		{vdkcodec.NewPCMAlawCodecData(), codec.NewG711Track(1, codec.PCMA, 8000, 1)},
		{vdkcodec.NewPCMMulawCodecData(), codec.NewG711Track(1, codec.PCMU, 8000, 1)},
		{vdkcodec.NewPCMCodecData(), codec.NewL16Track(1, 8000, 1)},
		{mjpeg.CodecData{}, &codec.Track{ID: 1, Codec: codec.MJPEG, ClockRate: 90000}},
		{h264parser.CodecData{}, &codec.Track{ID: 1, Codec: codec.H264, ClockRate: 90000}},
		{h265parser.CodecData{}, &codec.Track{ID: 1, Codec: codec.H265, ClockRate: 90000}},
	} {
		got, err := TrackOf(1, c.d)
		require.NoError(t, err)
		containertest.RequireSameTrack(t, c.want, got)
	}
}

func TestTrackOfRefused(t *testing.T) {
	broken := h264parser.CodecData{Record: []byte{1, 2, 3}}
	for _, c := range []struct {
		d    av.CodecData
		want error
	}{
		{nil, source.ErrUnsupported},
		{vdkcodec.NewSpeexCodecData(16000, av.CH_MONO), source.ErrUnsupported},
		{unknown{av.AAC}, source.ErrUnsupported},
		{broken, codec.ErrInvalid},
		{aacparser.CodecData{}, codec.ErrInvalid},
	} {
		_, err := TrackOf(1, c.d)
		require.ErrorIs(t, err, c.want, "%T", c.d)
	}
	var p *PanicError
	_, err := TrackOf(1, (*nobody)(nil))
	require.ErrorAs(t, err, &p)
	require.Contains(t, string(p.Stack), "nobody")
}

// unknown is codec data with nothing but a type.
type unknown struct{ typ av.CodecType }

func (u unknown) Type() av.CodecType { return u.typ }

// nobody panics when it is asked.
type nobody struct{ typ av.CodecType }

func (n *nobody) Type() av.CodecType { return n.typ }

// Whatever a record says, it makes a track or an error, and the track a record.
func FuzzTrackOf(f *testing.F) {
	for _, c := range []codec.Codec{codec.H264, codec.H265, codec.AAC} {
		f.Add(testmedia.Track(1, c).Config)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, d := range []av.CodecData{h264parser.CodecData{Record: b}, h265parser.CodecData{Record: b}, aacparser.CodecData{ConfigBytes: b}} {
			track, err := TrackOf(1, d)
			require.NotErrorAs(t, err, new(*PanicError))
			if err != nil || !track.Ready() {
				continue
			}
			d, err := CodecDataOf(track)
			if err != nil { // vdk's parsers know less, or panic
				continue
			}
			again, err := TrackOf(1, d)
			require.NoError(t, err)
			require.Equal(t, track.Codec, again.Codec)
		}
	})
}
