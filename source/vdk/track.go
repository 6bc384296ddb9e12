package vdk

import (
	"bytes"
	"fmt"

	"github.com/deepch/vdk/av"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// codecs are those that both sides know.
var codecs = [...]struct {
	ours   codec.Codec
	theirs av.CodecType
}{
	{codec.H264, av.H264},
	{codec.H265, av.H265},
	{codec.AV1, av.AV1},
	{codec.VP8, av.VP8},
	{codec.VP9, av.VP9},
	{codec.MJPEG, av.MJPEG},
	{codec.MJPEG, av.JPEG}, // the same, from its RTSP client
	{codec.AAC, av.AAC},
	{codec.Opus, av.OPUS},
	{codec.PCMA, av.PCM_ALAW},
	{codec.PCMU, av.PCM_MULAW},
	{codec.L16, av.PCM}, // what its RTSP client has for L16
}

// codecOf returns the codec of a type; Opaque if it is not converted.
func codecOf(t av.CodecType) codec.Codec {
	for _, c := range codecs {
		if c.theirs == t {
			return c.ours
		}
	}
	return codec.Opaque
}

// typeOf returns the type of a codec.
func typeOf(c codec.Codec) (av.CodecType, bool) {
	for _, x := range codecs {
		if x.ours == c {
			return x.theirs, true
		}
	}
	return 0, false
}

// TrackOf returns the track that d describes. H.264 and H.265 that are described
// without parameter sets make a track that is not ready yet: its frames may bring
// them. Where d has one set of each kind the configuration is made of them anew,
// because that of vdk's parsers lacks most of what it should tell.
//
// The error wraps source.ErrUnsupported for codecs that are not converted (Speex
// and Nellymoser), codec.ErrInvalid for a description that is wrong, and is a
// [PanicError] where vdk panics.
func TrackOf(id int, d av.CodecData) (t *codec.Track, err error) {
	defer catch(&err)
	if d == nil {
		return nil, fmt.Errorf("vdk: no codec data: %w", source.ErrUnsupported)
	}
	if own, ok := d.(interface{ track() *codec.Track }); ok {
		t := *own.track()
		t.ID = id
		return &t, nil
	}
	c := codecOf(d.Type())
	switch c {
	case codec.H264, codec.H265:
		r, ok := d.(interface{ AVCDecoderConfRecordBytes() []byte })
		if !ok || len(r.AVCDecoderConfRecordBytes()) == 0 {
			return bare(id, c, d), nil
		}
		return trackOfRecord(id, c, r.AVCDecoderConfRecordBytes())
	case codec.AAC:
		a, ok := d.(interface{ MPEG4AudioConfigBytes() []byte })
		if !ok {
			return nil, fmt.Errorf("vdk: AAC without configuration in %T: %w", d, source.ErrUnsupported)
		}
		return wrap(codec.TrackFromConfig(id, c, trimASC(a.MPEG4AudioConfigBytes())))
	case codec.Opus, codec.PCMA, codec.PCMU, codec.L16:
		rate, channels := 0, 0
		if a, ok := d.(av.AudioCodecData); ok {
			rate, channels = a.SampleRate(), a.ChannelLayout().Count()
		}
		switch c {
		case codec.Opus:
			return codec.NewOpusTrack(id, channels), nil
		case codec.L16:
			return codec.NewL16Track(id, rate, channels), nil
		}
		return codec.NewG711Track(id, c, rate, channels), nil
	case codec.AV1, codec.VP8, codec.VP9, codec.MJPEG:
		return bare(id, c, d), nil
	}
	return nil, fmt.Errorf("vdk: codec %v (%#x): %w", d.Type(), uint32(d.Type()), source.ErrUnsupported)
}

// trimASC removes the descriptor that follows an AudioSpecificConfig in an esds:
// vdk's MP4 demuxer takes all to the end of the box (ISO/IEC 14496-1, 7.2.6.8;
// lengths have one byte or four).
func trimASC(b []byte) []byte {
	for _, next := range []string{"\x06\x01\x02", "\x06\x80\x80\x80\x01\x02"} {
		if rest, ok := bytes.CutSuffix(b, []byte(next)); ok && len(rest) >= 2 {
			return rest
		}
	}
	return b
}

// bare returns a track of a video codec without configuration. Frames tell more.
func bare(id int, c codec.Codec, d av.CodecData) *codec.Track {
	t := &codec.Track{ID: id, Codec: c, ClockRate: videoClock}
	if v, ok := d.(av.VideoCodecData); ok {
		t.Width, t.Height = v.Width(), v.Height()
	}
	return t
}

// videoClock is the clock of video on the wires that have one, in Hz.
const videoClock = 90000

// trackOfRecord returns the track with this avcC or hvcC.
func trackOfRecord(id int, c codec.Codec, record []byte) (*codec.Track, error) {
	t, err := codec.TrackFromConfig(id, c, record)
	if err != nil {
		return wrap(t, err)
	}
	switch sets := t.ParameterSets(); {
	case !t.Ready():
	case c == codec.H264 && len(sets) == 2:
		return wrap(codec.NewH264Track(id, sets[0], sets[1]))
	case c == codec.H265 && len(sets) == 3:
		return wrap(codec.NewH265Track(id, sets[0], sets[1], sets[2]))
	}
	return t, nil
}

// wrap adds the package to an error.
func wrap(t *codec.Track, err error) (*codec.Track, error) {
	if err != nil {
		return nil, fmt.Errorf("vdk: %w", err)
	}
	return t, nil
}
