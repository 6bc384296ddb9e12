package rtsp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// videoClock is the clock rate of all video payloads (RFC 3551, 5).
const videoClock = 90000

// A sdpSection is what has been read of a session description's first part, or
// of a media.
type sdpSection struct {
	kind      string    // of a media, such as "video"; "" in the first part
	protocol  string    // such as "RTP/AVP"; "" if there is none
	types     []string  // payload types
	rtpmaps   []sdpType // by payload type
	fmtps     []sdpType
	control   string
	duration  time.Duration
	bandwidth int  // kbit/s
	sendOnly  bool // a=sendonly
}

// A sdpType is what an attribute says of a payload type.
type sdpType struct{ payloadType, value string }

// newSDPSection begins a media with the value of its m= line (RFC 8866, 5.14):
//
//	<media> <port> <proto> <fmt> ...
//
// Everything but the media may be missing.
func newSDPSection(line string) sdpSection {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return sdpSection{kind: "?"}
	}
	s := sdpSection{kind: strings.ToLower(fields[0]), types: fields[1:]}
	for i, f := range fields[1:] {
		// A port may have a slash, too: "49170/2".
		if strings.Contains(f, "/") && (f[0] < '0' || f[0] > '9') {
			s.protocol, s.types = strings.ToUpper(f), fields[i+2:]
			return s
		}
	}
	if len(s.types) > 1 { // a port and no protocol
		s.types = s.types[1:]
	}
	return s
}

// set takes in the attribute name with its value. The first one counts.
func (s *sdpSection) set(name, value string) {
	switch strings.ToLower(name) {
	case "control":
		if s.control == "" {
			s.control = value
		}
	case "range":
		if s.duration == 0 {
			s.duration = rangeLength(value)
		}
	case "sendonly":
		s.sendOnly = true
	case "rtpmap":
		s.rtpmaps = appendSDPType(s.rtpmaps, value)
	case "fmtp":
		s.fmtps = appendSDPType(s.fmtps, value)
	}
}

// setBandwidth takes in the value of a b= line.
func (s *sdpSection) setBandwidth(value string) {
	unit, number, _ := strings.Cut(value, ":")
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
	if err != nil || n <= 0 {
		return
	}
	switch strings.ToUpper(strings.TrimSpace(unit)) {
	case "AS":
		s.bandwidth = int(n)
	case "TIAS": // bit/s; the rougher number wins if both are there
		if s.bandwidth == 0 {
			s.bandwidth = int(n / 1000)
		}
	}
}

// appendSDPType appends the value of an rtpmap or fmtp attribute to types.
func appendSDPType(types []sdpType, value string) []sdpType {
	i := strings.IndexAny(value, " \t")
	if i < 0 {
		return types
	}
	return append(types, sdpType{value[:i], strings.TrimSpace(value[i:])})
}

// ofType returns the values that types has for a payload type. Where there is
// only one, and none for the payload type, that must be meant.
func ofType(types []sdpType, payloadType string) []string {
	var values []string
	for _, t := range types {
		if t.payloadType == payloadType {
			values = append(values, t.value)
		}
	}
	if values == nil && len(types) == 1 {
		return []string{types[0].value}
	}
	return values
}

// media returns the media as the one with this track ID. Of its payload types
// the first one counts that can be used: it is what a server begins with.
func (s *sdpSection) media(id int) (media, error) {
	m := media{control: s.control, bandwidth: s.bandwidth, backChannel: s.sendOnly}
	if s.protocol != "" && (!strings.Contains(s.protocol, "AVP") || strings.Contains(s.protocol, "SAVP")) {
		return m, fmt.Errorf("%s over %s", s.kind, s.protocol)
	}
	err := fmt.Errorf("%s without a payload type", s.kind)
	for _, payloadType := range s.types {
		pt, perr := strconv.ParseUint(payloadType, 10, 7)
		if perr != nil {
			continue
		}
		if m.payload, perr = s.payload(uint8(pt), payloadType); perr != nil {
			err = perr
			continue
		}
		if m.track, perr = m.payload.Track(id); perr != nil {
			err = fmt.Errorf("%s: %w", s.kind, perr)
			continue
		}
		return m, nil
	}
	return m, err
}

// payload returns what the section says of a payload type.
func (s *sdpSection) payload(pt uint8, payloadType string) (rtp.Payload, error) {
	p := rtp.Payload{Type: pt}
	switch s.kind {
	case "video":
		p.Kind = codec.KindVideo
	case "audio":
		p.Kind = codec.KindAudio
	}
	for i, value := range ofType(s.fmtps, payloadType) {
		if i > 0 && value == "" {
			continue
		}
		p.Params = append(p.Params, rtp.ParseParams(value)...)
	}
	maps := ofType(s.rtpmaps, payloadType)
	if len(maps) == 0 {
		if pt < 96 {
			return p, nil // RFC 3551 says what it is
		}
		if p.Encoding = guessEncoding(&p); p.Encoding == "" {
			return p, fmt.Errorf("%s of payload type %d without rtpmap", s.kind, pt)
		}
		p.ClockRate = videoClock
		return p, nil
	}
	encoding, rest, hasClock := strings.Cut(maps[0], "/")
	clock, channels, _ := strings.Cut(rest, "/")
	p.Encoding = strings.TrimSpace(encoding)
	if p.Encoding == "" {
		return p, fmt.Errorf("%s with rtpmap %q", s.kind, maps[0])
	}
	switch n, err := strconv.ParseUint(strings.TrimSpace(clock), 10, 31); {
	case err == nil && n > 0:
		p.ClockRate = int(n)
	case !hasClock && p.Kind == codec.KindVideo:
		p.ClockRate = videoClock
	default:
		return p, fmt.Errorf("%s with rtpmap %q", s.kind, maps[0])
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(channels), 10, 8); err == nil && p.Kind == codec.KindAudio {
		p.Channels = int(n)
	}
	return p, nil
}

// guessEncoding returns the encoding of a video whose rtpmap is missing from the
// parameters that only it has, or "".
func guessEncoding(p *rtp.Payload) string {
	switch {
	case p.Kind != codec.KindVideo:
	case p.Param("sprop-vps") != "", p.Param("sprop-sps") != "":
		return "H265"
	case p.Param("sprop-parameter-sets") != "", p.Param("packetization-mode") != "":
		return "H264"
	}
	return ""
}

// rangeLength returns the length of the stream that a range attribute tells of
// (RFC 2326, C.1.5), 0 if it has no end.
func rangeLength(value string) time.Duration {
	unit, value, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "npt") {
		return 0
	}
	from, to, _ := strings.Cut(value, "-")
	end, ok := parseNPT(to)
	if !ok {
		return 0
	}
	begin, _ := parseNPT(from) // 0 for "now" and nonsense
	return max(0, end-begin)
}
