package framing

import (
	"bytes"
	"encoding/binary"
)

// Sizes of headers, and the least that a report has.
const (
	rtpHeader    = 12
	rtcpHeader   = 8
	vendorHeader = 256
)

// A header is what precedes a packet, and as much of that as tells whose it is.
type header struct {
	start int // of the packet, in the bytes that were looked at
	end   int // 0: the header is not known yet
	ssrc  uint32
	kind  uint8 // payload type; of RTCP its packet type
}

// A verdict is what is known of bytes that may be a packet.
type verdict uint8

const (
	no   verdict = iota
	more         // bytes are needed
	yes
)

// read reads b as a packet in the form, and returns how many bytes are needed if
// it takes more.
func (f Form) read(b []byte, vendor bool) (h header, need int, v verdict) {
	skip := 0
	if vendor {
		switch v := isVendorHeader(b); v {
		case more:
			return h, vendorHeader + f.size() + rtpHeader, more
		case yes:
			skip = vendorHeader
		}
	}
	h.start = skip + f.size()
	if len(b) < h.start {
		return h, h.start, more
	}
	if f == Interleaved && skip == 0 && b[0] != '$' {
		return h, 0, no
	}
	length := int(binary.BigEndian.Uint16(b[h.start-2:]))
	if length < rtcpHeader {
		return h, 0, no
	}
	need = h.start + min(length, rtpHeader)
	if len(b) < need {
		return h, need, more
	}
	if p := b[h.start:need]; IsRTCP(p) {
		if words := 4 + 4*int(binary.BigEndian.Uint16(p[2:])); words > length || length%4 != 0 {
			return h, 0, no
		}
		h.kind, h.ssrc = p[1], binary.BigEndian.Uint32(p[4:])
	} else {
		if length < rtpHeader || p[0]>>6 != 2 {
			return h, 0, no
		}
		h.kind, h.ssrc = p[1]&0x7f, binary.BigEndian.Uint32(p[8:])
	}
	h.end = h.start + length
	return h, 0, yes
}

// IsRTCP reports whether packet, of which a header's first bytes are enough, is
// one of RTCP rather than of RTP (RFC 5761, 4).
func IsRTCP(packet []byte) bool {
	return len(packet) >= rtcpHeader && packet[0]>>6 == 2 && packet[1] >= 192 && packet[1] <= 223
}

// isVendorHeader reports whether b begins with what devices of EHOME send before
// packets: 01 00, a number that is not 0 and more that is not known. The same
// bytes are a packet of 256 bytes in the form of RFC 4571 if the next ones are
// RTP's version.
func isVendorHeader(b []byte) verdict {
	magic := []byte{1, 0}
	if n := min(len(b), len(magic)); !bytes.Equal(b[:n], magic[:n]) {
		return no
	}
	const most = 0x7f
	if len(b) > 2 && (b[2] == 0 || b[2] > most) {
		return no
	}
	if at := vendorHeader + Interleaved.size(); len(b) <= at {
		return more
	} else if b[at]>>6 != 2 {
		return no
	}
	return yes
}
