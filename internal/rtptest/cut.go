package rtptest

import (
	"encoding/binary"
	"fmt"
)

// A Unit is a piece of a stream that goes out at one time.
type Unit struct {
	Timestamp uint32 // 90 kHz: when its first byte is due (RFC 2250, section 2)
	Data      []byte // a part of what was cut
}

// The start codes of a program stream that are no PES packets (ISO/IEC 13818-1,
// table 2-22 and 2.5.3).
const (
	codeEnd  = 0xb9
	codePack = 0xba
	leastPES = 0xbb // from the system header on there is a length
)

// CutPS cuts a program stream at its pack headers, of MPEG-2 or MPEG-1. The time of
// a unit is its system clock reference. Lengths must be right.
func CutPS(b []byte) ([]Unit, error) {
	var units []Unit
	start := 0
	for at := 0; at < len(b); {
		rest := b[at:]
		if len(rest) < 4 || rest[0] != 0 || rest[1] != 0 || rest[2] != 1 {
			return nil, fmt.Errorf("rtptest: no start code at byte %d", at)
		}
		n := 4
		switch id := rest[3]; {
		case id == codeEnd:
		case id == codePack:
			var clock uint32
			if n, clock = packHeader(rest); n == 0 {
				return nil, fmt.Errorf("rtptest: pack header at byte %d", at)
			}
			if len(units) > 0 {
				units[len(units)-1].Data = b[start:at:at]
			}
			units, start = append(units, Unit{Timestamp: clock}), at
		case id < leastPES || len(rest) < 6:
			return nil, fmt.Errorf("rtptest: start code %#x at byte %d", id, at)
		default:
			n = 6 + int(binary.BigEndian.Uint16(rest[4:]))
		}
		if n > len(rest) || len(units) == 0 {
			return nil, fmt.Errorf("rtptest: %d bytes from byte %d of %d, in %d packs", n, at, len(b), len(units))
		}
		at += n
	}
	if len(units) > 0 {
		units[len(units)-1].Data = b[start:]
	}
	return units, nil
}

// packHeader returns the length of a pack header and its clock in 90 kHz: that of
// MPEG-2 (13818-1, 2.5.3.3) has the bits 01 behind the start code and up to 7 bytes
// of stuffing at its end, that of MPEG-1 (11172-1, 2.4.3.2) the bits 0010. 0: it is
// cut, or neither.
func packHeader(b []byte) (n int, clock uint32) {
	switch {
	case len(b) >= 14 && b[4]>>6 == 1:
		base := uint64(b[4]>>3&7)<<30 | uint64(b[4]&3)<<28 | uint64(b[5])<<20 | uint64(b[6]>>3)<<15 |
			uint64(b[6]&3)<<13 | uint64(b[7])<<5 | uint64(b[8]>>3)
		return 14 + int(b[13]&7), uint32(base)
	case len(b) >= 12 && b[4]>>4 == 2:
		base := uint64(b[4]>>1&7)<<30 | uint64(b[5])<<22 | uint64(b[6]>>1)<<15 | uint64(b[7])<<7 | uint64(b[8]>>1)
		return 12, uint32(base)
	}
	return 0, 0
}

// tsPacket is the size of a transport packet.
const tsPacket = 188

// CutTS cuts a transport stream before the packets that have a clock, which is the
// time of the unit. What comes before the first clock goes with it.
func CutTS(b []byte) ([]Unit, error) {
	if len(b)%tsPacket != 0 {
		return nil, fmt.Errorf("rtptest: %d bytes are not whole transport packets", len(b))
	}
	var units []Unit
	start := 0
	for at := 0; at < len(b); at += tsPacket {
		p := b[at : at+tsPacket]
		if p[0] != 0x47 {
			return nil, fmt.Errorf("rtptest: no transport packet at byte %d", at)
		}
		if p[3]&0x20 == 0 || p[4] < 7 || p[5]&0x10 == 0 { // no adaptation field with a PCR
			continue
		}
		if len(units) > 0 {
			units[len(units)-1].Data = b[start:at:at]
			start = at
		}
		base := uint64(binary.BigEndian.Uint32(p[6:]))<<1 | uint64(p[10]>>7)
		units = append(units, Unit{Timestamp: uint32(base)})
	}
	if len(units) == 0 {
		return nil, fmt.Errorf("rtptest: no clock")
	}
	units[len(units)-1].Data = b[start:]
	return units, nil
}
