package floor

import "encoding/binary"

// packetSize is the size of RTP packets: what our server sends.
const packetSize = 1400

// A packetizer cuts the frames of one track into RTP packets.
type packetizer struct{ sequence uint16 }

// video appends the packets of a frame, each of packetSize but the last. They
// look like fragments (FU-A; RFC 6184, 5.8) of one NAL unit of the body.
func (p *packetizer) video(b []byte, timestamp uint32, key bool, body []byte) []byte {
	nal := byte(1)
	if key {
		nal = 5
	}
	for first := true; len(body) > 0; first = false {
		part := body[:min(len(body), packetSize-14)]
		body = body[len(part):]
		b = p.header(b, 96, timestamp, len(body) == 0)
		fu := nal
		if first {
			fu |= 0x80
		}
		if len(body) == 0 {
			fu |= 0x40
		}
		b = append(append(b, 0x60|28, fu), part...)
	}
	return b
}

// audioHeader is what precedes the frame in a packet of audio: the RTP header
// and an AU header (RFC 3640, 3.3.6).
const audioHeader = 12 + 4

// audio appends the packet of a frame.
func (p *packetizer) audio(b []byte, timestamp uint32, body []byte) []byte {
	b = p.header(b, 97, timestamp, true)
	b = binary.BigEndian.AppendUint16(append(b, 0, 16), uint16(len(body)<<3))
	return append(b, body...)
}

// header appends an RTP header.
func (p *packetizer) header(b []byte, payloadType byte, timestamp uint32, marker bool) []byte {
	if marker {
		payloadType |= 0x80
	}
	b = binary.BigEndian.AppendUint16(append(b, 0x80, payloadType), p.sequence)
	p.sequence++
	b = binary.BigEndian.AppendUint32(b, timestamp)
	return append(b, 0, 0, 0, 1)
}
