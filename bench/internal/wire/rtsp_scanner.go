package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net/textproto"
	"strconv"
)

// An RTSPScanner takes the responses and the interleaved packets off an RTSP
// connection (RFC 2326, 7 and 10.12).
type RTSPScanner struct {
	tracks     map[byte]*RTPTrack // by the channel of their RTP packets
	onResponse func(response) error

	state  rtspState
	b      []byte // of what comes now, as much of it as is kept
	want   int    // bytes to come
	size   int    // of the packet
	answer response
}

type rtspState uint8

const (
	rtspStart  rtspState = iota // of a response or a packet
	rtspFrame                   // the header of an interleaved packet
	rtspPacket                  // the packet
	rtspHeader                  // of a response
	rtspBody
)

// A response is what a server answers.
type response struct {
	status int
	header textproto.MIMEHeader
	body   string
}

// What is kept of a packet, and what no response in the benchmark exceeds.
const (
	packetHead   = rtpHeaderSize + HeadSize
	maxRTSPBytes = 16 << 10
)

// newRTSPScanner returns a scanner for a connection. onResponse gets what the
// server answers.
func newRTSPScanner(onResponse func(response) error) *RTSPScanner {
	return &RTSPScanner{tracks: map[byte]*RTPTrack{}, onResponse: onResponse}
}

// Scan implements Scanner.
func (s *RTSPScanner) Scan(b []byte) error {
	for len(b) > 0 {
		var n int
		var err error
		switch s.state {
		case rtspStart:
			s.b, s.state = s.b[:0], rtspHeader
			if b[0] == '$' {
				s.state, s.want = rtspFrame, 4
			}
		case rtspHeader:
			n, err = s.scanHeader(b)
		default:
			n = min(s.want, len(b))
			keep := n
			if s.state == rtspPacket {
				keep = min(n, packetHead+4-len(s.b))
			}
			s.b = append(s.b, b[:keep]...)
			if s.want -= n; s.want == 0 {
				err = s.next()
			}
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// next takes what is complete.
func (s *RTSPScanner) next() error {
	switch s.state {
	case rtspFrame:
		s.size = int(binary.BigEndian.Uint16(s.b[2:]))
		s.want, s.state = s.size, rtspPacket
		if s.size == 0 {
			s.state = rtspStart
		}
	case rtspPacket:
		s.state = rtspStart
		if t := s.tracks[s.b[1]]; t != nil { // else RTCP
			return t.Packet(s.b[4:], s.size)
		}
	case rtspBody:
		s.state = rtspStart
		s.answer.body = string(s.b)
		return s.onResponse(s.answer)
	}
	return nil
}

// scanHeader takes bytes of a response's header, up to its end.
func (s *RTSPScanner) scanHeader(b []byte) (n int, err error) {
	const end = "\r\n\r\n"
	old := len(s.b)
	s.b = append(s.b, b[:min(len(b), maxRTSPBytes-old)]...)
	from := max(0, old-len(end)+1)
	i := bytes.Index(s.b[from:], []byte(end))
	if i < 0 {
		if len(s.b) == maxRTSPBytes {
			return 0, fmt.Errorf("wire: response header of more than %d bytes", maxRTSPBytes)
		}
		return len(b), nil
	}
	i += from + len(end)
	if s.answer, err = parseResponse(s.b[:i]); err != nil {
		return 0, err
	}
	s.want, s.state = 0, rtspBody
	if v := s.answer.header.Get("Content-Length"); v != "" {
		if s.want, err = strconv.Atoi(v); err != nil || s.want < 0 || s.want > maxRTSPBytes {
			return 0, fmt.Errorf("wire: response with Content-Length %q", v)
		}
	}
	s.b = s.b[:0]
	if s.want == 0 {
		err = s.next()
	}
	return i - old, err
}

// parseResponse parses the header of a response, with the empty line.
func parseResponse(b []byte) (r response, err error) {
	line, rest, _ := bytes.Cut(b, []byte("\r\n"))
	if n, err := fmt.Sscanf(string(line), "RTSP/1.0 %d", &r.status); n != 1 {
		return r, fmt.Errorf("wire: no RTSP response: %.40q: %w", line, err)
	}
	r.header, err = textproto.NewReader(bufio.NewReader(bytes.NewReader(rest))).ReadMIMEHeader()
	if err != nil {
		return r, fmt.Errorf("wire: response: %w", err)
	}
	return r, nil
}
