package flv

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/codec/aacparser"
	"github.com/deepch/vdk/codec/h264parser"
	"github.com/deepch/vdk/codec/h265parser"
	vdkflv "github.com/deepch/vdk/format/flv"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// witnessed are the streams that vdk's FLV understands.
var witnessed = []struct {
	stream testmedia.Stream
	form   Form
}{
	{testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, FormStandard},
	{testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}, FormStandard},
	{testmedia.Stream{Video: codec.H265, Audio: codec.AAC}, FormLegacy},
}

// What we write, vdk reads.
func TestWitnessReads(t *testing.T) {
	for _, c := range witnessed {
		t.Run(streamName(c.stream, c.form), func(t *testing.T) {
			want := c.stream.Take(3 * time.Second)
			d := vdkflv.NewDemuxer(bytes.NewReader(write(t, c.form, c.stream.Tracks(), want)))
			infos, err := d.Streams()
			require.NoError(t, err)
			require.Len(t, infos, 2)
			for i, track := range c.stream.Tracks() {
				requireWitnessTrack(t, track, infos[i])
			}
			for _, f := range want {
				p, err := d.ReadPacket()
				require.NoError(t, err)
				require.Equal(t, f.DTS, p.Time)
				require.Equal(t, f.PTS-f.DTS, p.CompositionTime)
				require.Equal(t, f.Key() && f.Track.Kind() == codec.KindVideo, p.IsKeyFrame)
				require.Equal(t, digest(f.Data), digest(p.Data))
			}
			_, err = d.ReadPacket()
			require.Equal(t, io.EOF, err)
		})
	}
}

func requireWitnessTrack(t *testing.T, want *codec.Track, got av.CodecData) {
	t.Helper()
	switch got := got.(type) {
	case h264parser.CodecData:
		require.Equal(t, codec.H264, want.Codec)
		require.Equal(t, want.Config, got.AVCDecoderConfRecordBytes())
		require.Equal(t, want.Width, got.Width())
	case h265parser.CodecData:
		require.Equal(t, codec.H265, want.Codec)
		require.Equal(t, want.Config, got.AVCDecoderConfRecordBytes())
	case aacparser.CodecData:
		require.Equal(t, codec.AAC, want.Codec)
		require.Equal(t, want.Config, got.MPEG4AudioConfigBytes())
		require.Equal(t, want.SampleRate, got.SampleRate())
	default:
		require.Fail(t, "unexpected track", "%T", got)
	}
}

// What vdk writes, we read.
func TestWitnessWrites(t *testing.T) {
	for _, c := range witnessed {
		t.Run(streamName(c.stream, c.form), func(t *testing.T) {
			var b bytes.Buffer
			m := vdkflv.NewMuxer(&b)
			var infos []av.CodecData
			for _, track := range c.stream.Tracks() {
				var info av.CodecData
				var err error
				switch track.Codec {
				case codec.H264:
					info, err = h264parser.NewCodecDataFromAVCDecoderConfRecord(track.Config)
				case codec.H265:
					info, err = h265parser.NewCodecDataFromAVCDecoderConfRecord(track.Config)
				case codec.AAC:
					info, err = aacparser.NewCodecDataFromMPEG4AudioConfigBytes(track.Config)
				}
				require.NoError(t, err)
				infos = append(infos, info)
			}
			require.NoError(t, m.WriteHeader(infos))
			want := c.stream.Take(3 * time.Second)
			for _, f := range want {
				p := av.Packet{Time: f.DTS, CompositionTime: f.PTS - f.DTS, Data: f.Data}
				if f.Track.Kind() == codec.KindAudio {
					p.Idx = 1
				} else {
					p.IsKeyFrame = f.Key()
				}
				require.NoError(t, m.WritePacket(p))
			}
			require.NoError(t, m.WriteTrailer())
			got, err := containertest.ReadAll(NewReader(&b))
			require.Equal(t, io.EOF, err)
			requireSameFrames(t, want, got)
		})
	}
}
