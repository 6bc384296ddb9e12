package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// Bounds for descriptions of strangers.
const (
	maxSDPLine = 8 << 10 // bytes of a line
	maxMedias  = 16
)

// errSDP is wrapped by the errors for session descriptions without anything
// that can be used.
var errSDP = errors.New("rtsp: bad session description")

func badSDP(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errSDP}, args...)...)
}

// A presentation is what a session description says of a stream (RFC 8866 and
// RFC 2326, appendix C).
type presentation struct {
	name     string        // the s= line; "" is written as our own name
	control  string        // of all medias together: a URL, absolute or not, "*" or "" for the one that was described
	duration time.Duration // 0: live
	medias   []media       // that can be received or sent
	unusable []error       // why others have been left out
}

// A media is an m= section that we can receive or send.
type media struct {
	payload   rtp.Payload
	track     *codec.Track // its ID is the place in presentation.medias, counted from 1; nil where medias are only written
	control   string       // of this media: a URL, absolute or not; "" for that of the presentation
	bandwidth int          // kbit/s; 0: unknown

	// backChannel tells that a server wants to be sent this media (ONVIF
	// streaming specification, 5.3). It means nothing in an ANNOUNCE.
	backChannel bool
}

// parseSDP decodes a session description. What cameras leave out, or do in a way
// of their own, is done without, as far as the streams can be received: lines
// that are not known or have no sense are passed over, and medias that cannot be
// used are left out.
func parseSDP(b []byte) (*presentation, error) {
	p := &presentation{}
	var s sdpSection // the first part, then a media
	sections := 0
	for len(b) > 0 {
		line := b
		if i := bytes.IndexAny(b, "\r\n\x00"); i >= 0 { // wrong line ends exist, and ends of C strings
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(line) > maxSDPLine {
			return nil, badSDP("line of %d bytes", len(line))
		}
		line = bytes.TrimSpace(line)
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		value := string(bytes.TrimSpace(line[2:]))
		switch line[0] {
		case 's':
			if sections == 0 {
				p.name = value
			}
		case 'm':
			if sections++; sections > maxMedias {
				return nil, badSDP("more than %d medias", maxMedias)
			}
			p.add(&s)
			s = newSDPSection(value)
		case 'b':
			s.setBandwidth(value)
		case 'a':
			name, value, _ := strings.Cut(value, ":")
			s.set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	p.add(&s)
	if len(p.medias) == 0 {
		if len(p.unusable) > 0 {
			return nil, fmt.Errorf("%w: %w", errSDP, p.unusable[0])
		}
		return nil, badSDP("no media")
	}
	p.settleDirections()
	return p, nil
}

// add takes in a section that has been read: the first part, or a media.
func (p *presentation) add(s *sdpSection) {
	p.duration = max(p.duration, s.duration)
	if s.kind == "" {
		p.control = s.control
		return
	}
	m, err := s.media(len(p.medias) + 1)
	if err != nil {
		p.unusable = append(p.unusable, err)
		return
	}
	for i := range p.medias {
		if m.control != "" && m.control == p.medias[i].control {
			return // some cameras list a media twice
		}
	}
	p.medias = append(p.medias, m)
}

// settleDirections takes the flag from medias of servers that give all of them
// the direction which they have for the server.
func (p *presentation) settleDirections() {
	for i := range p.medias {
		if !p.medias[i].backChannel {
			return
		}
	}
	for i := range p.medias {
		p.medias[i].backChannel = false
	}
}

// appendSDP appends the session description to dst.
func (p *presentation) appendSDP(dst []byte) []byte {
	name := p.name
	if name == "" {
		name = productName
	}
	dst = appendSDPLine(dst, "v=0")
	dst = appendSDPLine(dst, "o=- 0 0 IN IP4 0.0.0.0")
	dst = appendSDPLine(dst, "s="+name)
	dst = appendSDPLine(dst, "c=IN IP4 0.0.0.0")
	dst = appendSDPLine(dst, "t=0 0")
	if p.duration > 0 {
		dst = appendSDPLine(dst, "a=range:npt=0-"+formatNPT(p.duration))
	} else {
		dst = appendSDPLine(dst, "a=range:npt=now-")
	}
	dst = appendSDPLine(dst, "a=control:*")
	for i := range p.medias {
		dst = p.medias[i].appendSDP(dst, i)
	}
	return dst
}

// appendSDP appends the media, the ith of its presentation, to dst.
func (m *media) appendSDP(dst []byte, i int) []byte {
	pl := &m.payload
	kind := "application"
	switch pl.Kind {
	case codec.KindVideo:
		kind = "video"
	case codec.KindAudio:
		kind = "audio"
	}
	pt := strconv.Itoa(int(pl.Type))
	dst = appendSDPLine(dst, "m="+kind+" 0 RTP/AVP "+pt)
	if m.bandwidth > 0 {
		dst = appendSDPLine(dst, "b=AS:"+strconv.Itoa(m.bandwidth))
	}
	rtpmap := "a=rtpmap:" + pt + " " + pl.Encoding + "/" + strconv.Itoa(pl.ClockRate)
	if pl.Kind == codec.KindAudio && pl.Channels > 1 {
		rtpmap += "/" + strconv.Itoa(pl.Channels)
	}
	dst = appendSDPLine(dst, rtpmap)
	if fmtp := pl.FMTP(); fmtp != "" {
		dst = appendSDPLine(dst, "a=fmtp:"+pt+" "+fmtp)
	}
	control := m.control
	if control == "" {
		control = trackControl(i)
	}
	return appendSDPLine(dst, "a=control:"+control)
}

// trackControl is the control attribute of our own ith media.
func trackControl(i int) string { return "trackID=" + strconv.Itoa(i) }

// appendSDPLine appends line without bytes that would end it.
func appendSDPLine(dst []byte, line string) []byte {
	for i := range len(line) {
		if c := line[i]; c >= ' ' || c == '\t' {
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n"...)
}

// formatNPT returns d as a normal play time in seconds (RFC 2326, 3.6).
func formatNPT(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
}

// parseNPT decodes a normal play time, in seconds or as h:mm:ss.
func parseNPT(s string) (time.Duration, bool) {
	var total float64
	for part := range strings.SplitSeq(strings.TrimSpace(s), ":") {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil || !(x >= 0) {
			return 0, false
		}
		total = total*60 + x
	}
	if total > float64(100*365*24*time.Hour/time.Second) { // also what is no number
		return 0, false
	}
	return time.Duration(total * float64(time.Second)).Round(time.Microsecond), true
}
