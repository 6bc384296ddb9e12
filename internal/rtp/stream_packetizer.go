package rtp

import "time"

// A StreamPacketizer makes the packets of a stream of bytes: MPEG-TS (RFC 2250,
// section 2) or a program stream (RFC 2250, section 2.1, and GB/T 28181, annex C).
// Their clock has 90 kHz.
type StreamPacketizer struct {
	sending
	room int // bytes of a payload
}

// NewStreamPacketizer returns a StreamPacketizer that begins each payload with a
// unit of so many bytes, such as a transport packet; 1 is any byte.
func NewStreamPacketizer(unit int, o PacketizerOptions) (*StreamPacketizer, error) {
	s, err := newSending(&o, videoClock)
	if err != nil {
		return nil, err
	}
	if unit <= 0 || unit > s.w.room() {
		return nil, invalid("units of %d bytes", unit)
	}
	return &StreamPacketizer{sending: s, room: s.w.room() / unit * unit}, nil
}

// Size returns how many bytes Append makes of n.
func (p *StreamPacketizer) Size(n int) int {
	packets := (n + p.room - 1) / p.room
	return n + packets*(p.w.framing.size()+headerSize)
}

// Append appends the packets of b to dst, each with what precedes it on a TCP
// connection. All have the timestamp of at, the last one the marker if that is
// asked for.
func (p *StreamPacketizer) Append(dst, b []byte, at time.Duration, marker bool) []byte {
	p.begin(dst, at)
	for len(b) > 0 {
		n := min(len(b), p.room)
		p.w.packet(n, marker && n == len(b))
		p.w.b = append(p.w.b, b[:n]...)
		b = b[n:]
	}
	p.count()
	return p.finish()
}
