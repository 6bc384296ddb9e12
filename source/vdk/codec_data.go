package vdk

import (
	"bytes"
	"fmt"
	"time"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/codec/aacparser"
	"github.com/deepch/vdk/codec/h264parser"
	"github.com/deepch/vdk/codec/h265parser"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// CodecDataOf returns what describes t to vdk: the types of its parsers for H.264,
// H.265 and AAC, which its muxers insist on; for the others a type that implements
// av.VideoCodecData or av.AudioCodecData, and that [TrackOf] turns back into the
// same track.
//
// The error wraps source.ErrUnsupported for codecs that vdk has no name for and
// for tracks that lack parameters, codec.ErrInvalid for parameters that vdk cannot
// read, and is a [PanicError] where it panics.
func CodecDataOf(t *codec.Track) (d av.CodecData, err error) {
	defer catch(&err)
	typ, ok := typeOf(t.Codec)
	if !ok || t.Wire != "" || !t.Ready() {
		return nil, fmt.Errorf("vdk: %v: %w", t, source.ErrUnsupported)
	}
	switch t.Codec {
	case codec.H264:
		d, err = h264parser.NewCodecDataFromAVCDecoderConfRecord(bytes.Clone(t.Config))
	case codec.H265:
		d, err = h265Data(t)
	case codec.AAC:
		d, err = aacData(t)
	default:
		if t.Kind() == codec.KindVideo {
			return videoData{description{t, typ}}, nil
		}
		return audioData{description{t, typ}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vdk: %v: %w: %w", t, codec.ErrInvalid, err)
	}
	return d, nil
}

// h265Data returns the description of an H.265 track. vdk reads a record only if
// it begins with VPS, SPS and PPS in that order, and takes the size of a picture
// before it is cropped for its size.
func h265Data(t *codec.Track) (d h265parser.CodecData, err error) {
	var c codec.HEVCConfig
	if err := c.Unmarshal(t.Config); err != nil {
		return d, err
	}
	if d, err = h265parser.NewCodecDataFromAVCDecoderConfRecord(c.Append(nil)); err != nil {
		return d, err
	}
	d.SPSInfo.Width, d.SPSInfo.Height = uint(t.Width), uint(t.Height)
	return d, nil
}

// aacData returns the description of an AAC track. vdk knows neither sample rates
// written in full nor SBR; what it needs to know is told by the track.
func aacData(t *codec.Track) (aacparser.CodecData, error) {
	d, err := aacparser.NewCodecDataFromMPEG4AudioConfigBytes(bytes.Clone(t.Config))
	if d.Config.SampleRate == 0 {
		d.Config.SampleRate = t.SampleRate
	}
	if d.Config.ChannelLayout == 0 {
		d.Config.ChannelLayout = layoutOf(t.Channels)
	}
	return d, err
}

// A description is a track in the eyes of vdk.
type description struct {
	t   *codec.Track
	typ av.CodecType
}

func (d description) track() *codec.Track { return d.t }

// Type implements av.CodecData.
func (d description) Type() av.CodecType { return d.typ }

// videoData implements av.VideoCodecData.
type videoData struct{ description }

func (d videoData) Width() int  { return d.t.Width }
func (d videoData) Height() int { return d.t.Height }

// audioData implements av.AudioCodecData.
type audioData struct{ description }

func (d audioData) SampleRate() int                 { return d.t.SampleRate }
func (d audioData) ChannelLayout() av.ChannelLayout { return layoutOf(d.t.Channels) }

// SampleFormat returns what a decoder usually makes of the codec.
func (d audioData) SampleFormat() av.SampleFormat {
	if d.t.Codec == codec.Opus {
		return av.FLT
	}
	return av.S16
}

// PacketDuration returns how long a packet plays.
func (d audioData) PacketDuration(data []byte) (time.Duration, error) {
	if n := codec.FrameDuration(&codec.Frame{Track: d.t, Data: data}); n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("vdk: duration of %d bytes of %v: %w", len(data), d.t, codec.ErrInvalid)
}

// layouts are the usual places of so many speakers (ISO/IEC 14496-3, table 1.19).
var layouts = [...]av.ChannelLayout{
	1: av.CH_MONO,
	2: av.CH_STEREO,
	3: av.CH_SURROUND,
	4: av.CH_SURROUND | av.CH_BACK_CENTER,
	5: av.CH_SURROUND | av.CH_BACK_LEFT | av.CH_BACK_RIGHT,
	6: av.CH_SURROUND | av.CH_BACK_LEFT | av.CH_BACK_RIGHT | av.CH_LOW_FREQ,
	7: av.CH_SURROUND | av.CH_BACK_LEFT | av.CH_BACK_RIGHT | av.CH_LOW_FREQ | av.CH_BACK_CENTER,
	8: av.CH_SURROUND | av.CH_BACK_LEFT | av.CH_BACK_RIGHT | av.CH_LOW_FREQ | av.CH_SIDE_LEFT | av.CH_SIDE_RIGHT,
}

// layoutOf returns a layout of so many channels; 0 if there is none.
func layoutOf(channels int) av.ChannelLayout {
	if channels < 1 || channels >= len(layouts) {
		return 0
	}
	return layouts[channels]
}
