package codec

import "bytes"

// IsKey reports whether decoding can start at data, which is frame data of t:
//
//   - H264: an IDR picture, or a picture with a recovery point SEI message, the
//     entry points of open GOPs and of intra refresh. Streams with
//     intra refresh have no other.
//   - H265: an IRAP picture (NAL unit types 16 to 21).
//   - AV1: a sequence header followed by a shown key frame.
//   - VP8, VP9: a key frame.
//   - MPEG2Video: a sequence header.
//   - MJPEG and all audio: always.
//
// It is false for codecs that are only passed through, and for data that is
// not valid.
func IsKey(t *Track, data []byte) bool {
	switch t.Codec {
	case H264, H265:
		u := accessUnit{codec: t.Codec}
		for nalu := range NALUs(data) {
			u.add(nalu)
		}
		return u.key()
	case AV1:
		_, key := scanAV1(data)
		return key
	case VP8:
		return len(data) > 0 && data[0]&1 == 0
	case VP9:
		return isVP9Key(data)
	case MPEG2Video:
		return bytes.Contains(data, []byte{0, 0, 1, 0xb3})
	case MJPEG:
		return true
	}
	return t.Kind() == KindAudio
}

// isVP9Key reads the uncompressed header (VP9, 6.2): frame_marker 2 bits,
// profile 2 bits and for profile 3 one more, show_existing_frame, frame_type.
func isVP9Key(data []byte) bool {
	r := bitReader{b: data}
	marker, profile := r.u(2), r.u(2)
	if profile == 3 {
		r.u(1)
	}
	existing, inter := r.flag(), r.flag()
	return !r.over && marker == 2 && !existing && !inter
}

// scanAV1 returns the sequence header OBU of a temporal unit, if it has one,
// and tells whether decoding can start there.
func scanAV1(tu []byte) (sequence OBU, key bool) {
	for b := tu; len(b) > 0; {
		o, err := CutOBU(b)
		if err != nil {
			return sequence, false
		}
		b = b[o.Size:]
		switch o.Type {
		case OBUSequenceHeader:
			sequence = o
		case OBUFrame, OBUFrameHeader:
			if sequence.Payload == nil {
				return sequence, false
			}
			// uncompressed_header (AV1, 5.9.2): show_existing_frame,
			// frame_type 2 bits, show_frame, unless the sequence is a still.
			p := sequence.Payload
			still := len(p) > 0 && p[0]&8 != 0 // reduced_still_picture_header
			return sequence, still || len(o.Payload) > 0 && o.Payload[0]>>4 == 1
		}
	}
	return sequence, false
}

// ParseFrame turns data, as wires deliver it for the codec of t, into frame
// data and finds the parameters inside, as [ParseSample] does, which it calls
// for H264 and H265 with 4-byte lengths. For AV1 it is [CanonicalAV1] and
// takes over a new sequence header; for VP8, VP9, MJPEG, MP3, MP2 and AC-3 the
// size or the rate in the frame's header; for the rest data stays as it is.
// t needs no more than ID and Codec. t2 differs from t only where the
// parameters do.
func ParseFrame(t *Track, data []byte) (t2 *Track, out []byte, key bool, err error) {
	switch t.Codec {
	case H264, H265:
		return ParseSample(t, data, 4)
	case AV1:
		return parseAV1(t, data)
	}
	t2, key = t, IsKey(t, data)
	if key {
		switch t.Codec {
		case VP8:
			t2, err = t.withVP8(data)
		case VP9:
			t2, err = t.withVP9(data)
		case MJPEG:
			t2, err = t.withMJPEG(data)
		case MP3, MP2:
			t2, err = t.withMPEGAudio(data)
		case AC3:
			t2, err = t.withAC3(data)
		}
	}
	if err != nil {
		return t, nil, false, err
	}
	return t2, data, key, nil
}

func parseAV1(t *Track, tu []byte) (t2 *Track, out []byte, key bool, err error) {
	if out, err = CanonicalAV1(nil, tu); err != nil {
		return t, nil, false, err
	}
	sequence, key := scanAV1(out)
	if sequence.Payload == nil {
		return t, out, key, nil
	}
	if len(t.Config) > 4 {
		if o, err := findSequence(t.Config[4:]); err == nil && bytes.Equal(o.Payload, sequence.Payload) {
			return t, out, key, nil
		}
	}
	if t2, err = t.withSequence(sequence.append(nil)); err != nil {
		return t, nil, false, err
	}
	return t2, out, key, nil
}
