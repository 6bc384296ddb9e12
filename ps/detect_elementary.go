package ps

import (
	"encoding/binary"
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// videoClock is the clock of the packets of video (RFC 6184 and RFC 7798), in Hz.
const videoClock = 90000

// inspectElementary tells which elementary stream a packet is of: by its type; by
// what it carries if that is a sequence parameter set or whole ADTS frames.
func inspectElementary(p *rtp.Packet, types PayloadTypes) finding {
	if p.PayloadType >= 96 {
		if f, ok := findSPS(p); ok {
			return f
		}
	}
	found := func(form rtp.Payload) finding { return foundES(p, form, false) }
	switch pt := p.PayloadType; {
	case pt < 96:
		if form, ok := staticForm(pt); ok {
			return found(form)
		}
		return finding{}
	case pt == types.H264:
		if isH264(p.Payload) {
			return found(videoForm("H264"))
		}
	case pt == types.H265:
		if isH265(p.Payload) {
			return found(videoForm("H265"))
		}
	case pt == types.Opus:
		return found(rtp.Payload{Kind: codec.KindAudio, Encoding: "opus", ClockRate: 48000, Channels: 2})
	default:
		if rate, channels, ok := wholeADTS(p.Payload); ok {
			return found(rtp.Payload{Kind: codec.KindAudio, Encoding: "mpeg4-generic", ClockRate: rate, Channels: channels})
		}
	}
	return finding{}
}

// foundES returns the finding that p is of an elementary stream.
func foundES(p *rtp.Packet, form rtp.Payload, certain bool) finding {
	form.Type = p.PayloadType
	return finding{payload: PayloadES, certain: certain, form: form}
}

// findSPS tells whether p has a sequence parameter set, and so which video it is of.
func findSPS(p *rtp.Packet) (finding, bool) {
	switch {
	case hasSPS(codec.H265, p.Payload):
		return foundES(p, videoForm("H265"), true), true
	case hasSPS(codec.H264, p.Payload):
		return foundES(p, videoForm("H264"), true), true
	}
	return finding{}, false
}

func videoForm(encoding string) rtp.Payload {
	return rtp.Payload{Kind: codec.KindVideo, Encoding: encoding, ClockRate: videoClock}
}

// staticForm returns what RFC 3551 assigns a payload type to. It is false for
// those that are free, for comfort noise, and for transport streams.
func staticForm(payloadType uint8) (rtp.Payload, bool) {
	const comfortNoise = 13
	form := rtp.Payload{Type: payloadType, Kind: codec.KindVideo}
	if isStaticAudio(payloadType) {
		form.Kind = codec.KindAudio
	}
	_, err := form.Track(1)
	return form, err == nil && form.Encoding != "" && payloadType != comfortNoise && payloadType != typeMP2T
}

// NAL unit types, and those that RTP adds (H.264, table 7-1; RFC 6184, table 1;
// H.265, table 7-1; RFC 7798, 4.4).
const (
	h264Slice = 1
	h264SPS   = 7
	h264Last  = 12
	h264STAPA = 24
	h264FUA   = 28

	h265LastSlice = 9
	h265FirstIRAP = 16
	h265LastIRAP  = 21
	h265FirstSet  = 32
	h265SPS       = 33
	h265LastSEI   = 40
	h265AP        = 48
	h265FU        = 49
)

// longestSPS is how long a sequence parameter set is at most, in bytes.
const longestSPS = 512

// hasSPS reports whether a payload of H.264 or H.265 has a sequence parameter set,
// by itself or among others, that makes sense in every respect: bytes at random
// often can be read as one.
func hasSPS(c codec.Codec, payload []byte) bool {
	for nalu := range aggregated(c, payload) {
		switch {
		case len(nalu) < 4 || len(nalu) > longestSPS:
			continue
		case c == codec.H264 && (naluType(c, nalu) != h264SPS || nalu[0]&0x60 == 0 || !isH264Profile(nalu[1]) || nalu[2]&3 != 0 || !isH264Level(nalu[3])):
			continue
		case c == codec.H265 && (naluType(c, nalu) != h265SPS || nalu[1] != 1):
			continue
		}
		t, _, _, err := codec.ParseNALUs(&codec.Track{ID: 1, Codec: c}, slices.Values([][]byte{nalu}))
		if err == nil && t.Width > 0 && t.Height > 0 {
			return true
		}
	}
	return false
}

// isH264Profile reports whether there is such a profile_idc (H.264, annex A and G to
// J).
func isH264Profile(b byte) bool {
	return slices.Contains([]byte{44, 66, 77, 83, 86, 88, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244}, b)
}

// isH264Level reports whether there is such a level_idc (H.264, A.3).
func isH264Level(b byte) bool { return b >= 9 && b <= 62 && b%10 <= 3 }

// naluType returns the type of a NAL unit; 0xff if its header is not right.
func naluType(c codec.Codec, nalu []byte) byte {
	switch {
	case len(nalu) < 2 || nalu[0]&0x80 != 0:
	case c == codec.H264:
		return nalu[0] & 31
	case nalu[0]&1 == 0 && nalu[1]>>3 == 0 && nalu[1]&7 != 0: // layer 0
		return nalu[0] >> 1
	}
	return 0xff
}

// aggregated yields the NAL units of a payload that are whole.
func aggregated(c codec.Codec, payload []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		header, aggregate := 1, byte(h264STAPA)
		if c == codec.H265 {
			header, aggregate = 2, h265AP
		}
		if naluType(c, payload) != aggregate {
			yield(payload)
			return
		}
		for b := payload[header:]; len(b) > 2; {
			n := int(binary.BigEndian.Uint16(b))
			if b = b[2:]; n > len(b) || !yield(b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// isH264 reports whether b may be a payload of RFC 6184. One of ten that are not
// passes.
func isH264(b []byte) bool {
	switch t := naluType(codec.H264, b); {
	case t >= h264Slice && t <= h264Last:
		return true
	case t == h264STAPA:
		return wholeAggregate(b[1:])
	case t == h264FUA: // start and end, and the type of what it is a part of
		of := b[1] & 31
		return b[1]&0xe0 != 0xc0 && b[1]&0x20 == 0 && of >= h264Slice && of <= h264Last
	}
	return false
}

// isH265 reports whether b may be a payload of RFC 7798.
func isH265(b []byte) bool {
	slice := func(t byte) bool {
		return t <= h265LastSlice || t >= h265FirstIRAP && t <= h265LastIRAP || t >= h265FirstSet && t <= h265LastSEI
	}
	switch t := naluType(codec.H265, b); {
	case t == h265AP:
		return wholeAggregate(b[2:])
	case t == h265FU:
		return len(b) > 3 && b[2]&0xc0 != 0xc0 && slice(b[2]&63)
	default:
		return slice(t)
	}
}

// wholeAggregate reports whether b consists of NAL units after their lengths.
func wholeAggregate(b []byte) bool {
	units := 0
	for len(b) > 2 {
		n := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; n == 0 || n > len(b) {
			return false
		}
		b = b[n:]
		units++
	}
	return units > 0 && len(b) == 0
}

// wholeADTS returns the rate and the channels of the AAC in b if that is ADTS
// frames from its first byte to its last.
func wholeADTS(b []byte) (rate, channels int, ok bool) {
	config, raws, err := codec.SplitADTS(b)
	if err != nil || len(raws) == 0 {
		return 0, 0, false
	}
	t, err := codec.TrackFromConfig(1, codec.AAC, config)
	if err != nil {
		return 0, 0, false
	}
	return t.SampleRate, t.Channels, true
}
