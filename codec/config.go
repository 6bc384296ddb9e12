package codec

import "bytes"

// videoClock is the clock of video on RTP and MPEG-TS, in Hz.
const videoClock = 90000

// TrackFromConfig returns the track with this decoder configuration, in the
// form of [Track.Config], which it copies. Sizes and rates come from the
// configuration as far as it tells them. Deviations of other wires are
// accepted: NAL unit lengths of 1 or 2 bytes (Config then says 4, as Frame.Data
// has; ask [NALULengthSize] about the original), vpcC without version and
// flags, an OpusHead instead of dOps, which all become what ISO BMFF stores.
//
// An empty configuration is an error for H264, H265, AV1 and AAC; for the others
// the track has the codec's usual rates. Codecs without a configuration ignore
// it. Errors wrap [ErrInvalid].
func TrackFromConfig(id int, c Codec, config []byte) (*Track, error) {
	if len(config) > maxConfig {
		return nil, invalid("%v: configuration of %d bytes", c, len(config))
	}
	switch c {
	case H264:
		return trackFromAVC(id, config)
	case H265:
		return trackFromHEVC(id, config)
	case AV1:
		return trackFromAV1(id, config)
	case VP8, VP9:
		return trackFromVPC(id, c, config)
	case AAC:
		return trackFromASC(id, config)
	case Opus:
		return trackFromOpus(id, config)
	case AC3:
		if len(config) > 0 {
			return (&Track{ID: id, Codec: c}).withDAC3(bytes.Clone(config))
		}
	case PCMA, PCMU:
		return NewG711Track(id, c, 0, 0), nil
	case L16:
		return NewL16Track(id, 0, 0), nil
	}
	return &Track{ID: id, Codec: c, ClockRate: videoClock}, nil // the frames tell more
}

func trackFromAVC(id int, config []byte) (*Track, error) {
	var c AVCConfig
	if err := c.Unmarshal(config); err != nil {
		return nil, err
	}
	if len(c.SPS) == 0 {
		return nil, invalid("avcC: no SPS")
	}
	t := &Track{ID: id, Codec: H264, Config: bytes.Clone(config)}
	t.Config[4] |= 3
	return t.checked(t.readSPS())
}

func trackFromHEVC(id int, config []byte) (*Track, error) {
	var c HEVCConfig
	if err := c.Unmarshal(config); err != nil {
		return nil, err
	}
	if len(c.SPS) == 0 {
		return nil, invalid("hvcC: no SPS")
	}
	t := &Track{ID: id, Codec: H265, Config: bytes.Clone(config)}
	t.Config[0] = 1 // some early writers left the version 0
	t.Config[21] |= 3
	return t.checked(t.readSPS())
}

// checked returns t, or nil and the error if there is one.
func (t *Track) checked(err error) (*Track, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// NALULengthSize returns how many bytes a NAL unit's length has (1, 2 or 4)
// according to an avcC or hvcC; 4 if config is empty or of another codec.
func NALULengthSize(c Codec, config []byte) int {
	var at int
	switch c {
	case H264:
		at = 4
	case H265:
		at = 21
	default:
		return 4
	}
	if len(config) <= at {
		return 4
	}
	return int(config[at]&3) + 1
}

// SameConfig reports whether a decoder that was set up for t can decode o
// without being told: codec, configuration and what stands in for one are equal.
func (t *Track) SameConfig(o *Track) bool {
	return t == o || t.Codec == o.Codec && bytes.Equal(t.Config, o.Config) &&
		t.SampleRate == o.SampleRate && t.Channels == o.Channels &&
		t.Wire == o.Wire && t.Name == o.Name && t.Params == o.Params
}
