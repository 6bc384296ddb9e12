package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrInvalid is wrapped by the errors for packets and descriptions that break
// their specification.
var ErrInvalid = errors.New("rtp: invalid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// headerSize is the size of an RTP header without CSRCs and extension.
const headerSize = 12

// A Packet is an RTP packet (RFC 3550, 5.1).
type Packet struct {
	PayloadType uint8 // 0 to 127
	Marker      bool
	Sequence    uint16
	Timestamp   uint32
	SSRC        uint32
	Payload     []byte
}

// Unmarshal decodes b. Payload is a part of b. CSRCs and header extensions are
// skipped, padding is cut off.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           timestamp                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           synchronization source (SSRC) identifier            |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
func (p *Packet) Unmarshal(b []byte) error {
	if len(b) < headerSize {
		return invalid("packet of %d bytes", len(b))
	}
	if b[0]>>6 != 2 {
		return invalid("version %d", b[0]>>6)
	}
	start := headerSize + 4*int(b[0]&15)
	if b[0]&0x10 != 0 {
		if len(b) < start+4 {
			return invalid("header extension cut")
		}
		start += 4 + 4*int(binary.BigEndian.Uint16(b[start+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		pad := int(b[end-1])
		if pad == 0 || end-pad < start {
			return invalid("padding of %d bytes", pad)
		}
		end -= pad
	}
	if start > end {
		return invalid("header of %d bytes in a packet of %d", start, end)
	}
	*p = Packet{
		PayloadType: b[1] & 0x7f,
		Marker:      b[1]&0x80 != 0,
		Sequence:    binary.BigEndian.Uint16(b[2:]),
		Timestamp:   binary.BigEndian.Uint32(b[4:]),
		SSRC:        binary.BigEndian.Uint32(b[8:]),
		Payload:     b[start:end:end],
	}
	return nil
}
