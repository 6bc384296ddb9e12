package rtp

import (
	"strings"
	"unicode"

	"github.com/mediakit-go/mediakit/codec"
)

// maxParams is how many parameters of an fmtp attribute are read.
const maxParams = 64

// A Payload is what an SDP says of an RTP payload: its type, and its rtpmap and
// fmtp attributes (RFC 8866, 6.6 and 6.15).
type Payload struct {
	Type      uint8       // 0 to 127; below 96 as RFC 3551 assigns them
	Kind      codec.Kind  // of the m= line: video, audio, or data for application and others
	Encoding  string      // rtpmap name as the SDP spells it, such as "H264"; filled in by static types
	ClockRate int         // Hz
	Channels  int         // of audio; 0 if the rtpmap has none, which means 1
	Params    []Parameter // fmtp, in order
}

// A Parameter is one name=value of an fmtp attribute. Names are compared
// without regard to case.
type Parameter struct{ Name, Value string }

// ParseParams returns the parameters of an fmtp attribute without its payload
// type, such as "packetization-mode=1; sprop-parameter-sets=Z0IAKeNQ,aM48gA==".
// What is no name=value, as in "0-15" of telephone events, is a name without a
// value. Those after the 64th and those with control characters are left out.
func ParseParams(fmtp string) []Parameter {
	var params []Parameter
	for part := range strings.SplitSeq(fmtp, ";") {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name == "" || strings.ContainsFunc(part, unicode.IsControl) {
			continue
		}
		if len(params) == maxParams {
			break
		}
		params = append(params, Parameter{name, value})
	}
	return params
}

// FMTP returns the parameters as an fmtp attribute without its payload type, ""
// if there are none.
func (p *Payload) FMTP() string {
	var b strings.Builder
	for i, param := range p.Params {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(param.Name)
		if param.Value != "" {
			b.WriteByte('=')
			b.WriteString(param.Value)
		}
	}
	return b.String()
}

// Param returns the value of the parameter called name, "" if there is none.
func (p *Payload) Param(name string) string {
	for _, param := range p.Params {
		if strings.EqualFold(param.Name, name) {
			return param.Value
		}
	}
	return ""
}

// Describe returns what an SDP says of a track that a [Packetizer] sends: a
// static payload type where RFC 3551 has one that fits, else dynamic. Its
// ClockRate is that of the packets, which may differ from the track's. It
// reports false for a track that RTP cannot carry.
func Describe(t *codec.Track, dynamic uint8) (Payload, bool) {
	c, ok := carriageOf(t)
	if !ok {
		return Payload{}, false
	}
	p := Payload{Type: dynamic, Kind: t.Kind(), ClockRate: t.ClockRate}
	if len(c.names) > 0 {
		p.Encoding = c.names[0]
	}
	if !c.describe(t, &p) || p.ClockRate <= 0 {
		return Payload{}, false
	}
	for _, s := range staticTypes() {
		if strings.EqualFold(s.encoding, p.Encoding) && s.clockRate == p.ClockRate && s.channels == max(p.Channels, 1) {
			p.Type = s.number
		}
	}
	return p, true
}

// Track returns the track that p describes. Its Config may be missing if it
// comes in the stream (parameter sets in band). An encoding that is not known
// gives an opaque track with Wire "rtp", Name the encoding and Params the fmtp.
// It fails with an error wrapping [ErrInvalid] for a clock rate of 0 and for
// parameters that make no sense where the stream cannot do without them.
//
// Track fills in what p leaves to RFC 3551: the encoding of a static type that
// has no rtpmap.
func (p *Payload) Track(id int) (*codec.Track, error) {
	p.complete()
	strange := func(r rune) bool { return r == '/' || !unicode.IsGraphic(r) || unicode.IsSpace(r) }
	if p.Type > 127 || p.ClockRate <= 0 || p.Channels < 0 || strings.ContainsFunc(p.Encoding, strange) {
		return nil, invalid("payload type %d, encoding %q with a clock of %d Hz", p.Type, p.Encoding, p.ClockRate)
	}
	c := carriageNamed(p.Encoding)
	return c.track(p, &codec.Track{ID: id, Codec: c.codec, ClockRate: p.ClockRate})
}

// complete fills in what a static type means.
func (p *Payload) complete() {
	for _, s := range staticTypes() {
		if s.number != p.Type || p.Encoding != "" && !strings.EqualFold(p.Encoding, s.encoding) {
			continue
		}
		if p.Encoding == "" {
			p.Encoding = s.encoding
			if p.Channels == 0 && s.channels > 1 {
				p.Channels = s.channels
			}
		}
		if p.ClockRate == 0 {
			p.ClockRate = s.clockRate
		}
	}
}

// A staticType is a payload type that RFC 3551 assigns.
type staticType struct {
	number    uint8
	encoding  string
	clockRate int
	channels  int // 1 for video as well
}

// staticTypes are tables 4 and 5 of RFC 3551, section 6.
func staticTypes() []staticType {
	return []staticType{
		{0, "PCMU", 8000, 1},
		{3, "GSM", 8000, 1},
		{4, "G723", 8000, 1},
		{5, "DVI4", 8000, 1},
		{6, "DVI4", 16000, 1},
		{7, "LPC", 8000, 1},
		{8, "PCMA", 8000, 1},
		{9, "G722", 8000, 1}, // the sampling rate is 16000, see 4.5.2
		{10, "L16", 44100, 2},
		{11, "L16", 44100, 1},
		{12, "QCELP", 8000, 1},
		{13, "CN", 8000, 1},
		{14, "MPA", 90000, 1}, // the frames tell rate and channels, see 4.5.13
		{15, "G728", 8000, 1},
		{16, "DVI4", 11025, 1},
		{17, "DVI4", 22050, 1},
		{18, "G729", 8000, 1},
		{25, "CelB", 90000, 1},
		{26, "JPEG", 90000, 1},
		{28, "nv", 90000, 1},
		{31, "H261", 90000, 1},
		{32, "MPV", 90000, 1},
		{33, "MP2T", 90000, 1},
		{34, "H263", 90000, 1},
	}
}

// carriageOf returns how t is sent; false if RTP cannot carry it.
func carriageOf(t *codec.Track) (carriage, bool) {
	if t.Wire != "" {
		return opaqueCarriage(), t.Wire == wireRTP
	}
	for _, c := range carriages() {
		if c.codec == family(t.Codec) {
			return c, true
		}
	}
	return carriage{}, false
}

// family returns the codec whose carriage c has: that of MP3 is for all MPEG
// audio, of which only the frames tell the layer.
func family(c codec.Codec) codec.Codec {
	if c == codec.MP2 {
		return codec.MP3
	}
	return c
}

// carriageNamed returns how an encoding is received.
func carriageNamed(encoding string) carriage {
	for _, c := range carriages() {
		for _, name := range c.names {
			if strings.EqualFold(name, encoding) {
				return c
			}
		}
	}
	return opaqueCarriage()
}
