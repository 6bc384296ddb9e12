package ts

import "encoding/binary"

const (
	clockRate = 90000     // of PTS and DTS, in Hz
	maxTicks  = 1<<33 - 1 // what they can tell
	pesPrefix = 6         // bytes of a PES packet up to PES_packet_length
	pesHeader = 9         // and up to PES_header_data_length
	maxPES    = 1<<16 - 1
)

// The stream_ids that matter here (13818-1, table 2-22).
const (
	idPrivate1  = 0xbd
	idPadding   = 0xbe
	idPrivate2  = 0xbf
	idAudio     = 0xc0 // to 0xdf
	idVideo     = 0xe0 // to 0xef
	idProgMap   = 0xbc
	idECM       = 0xf0
	idEMM       = 0xf1
	idDSMCC     = 0xf2
	idTypeE     = 0xf8
	idDirectory = 0xff
)

// hasPESHeader tells whether PES packets with this stream_id have flags and
// times (2.4.3.6).
func hasPESHeader(id byte) bool {
	switch id {
	case idProgMap, idPadding, idPrivate2, idECM, idEMM, idDSMCC, idTypeE, idDirectory:
		return false
	}
	return true
}

// appendPESHeader appends the header of a PES packet (2.4.3.6) that carries size
// bytes, which begin an access unit, with times in ticks. A size that does not
// fit is left open.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-----------------------------------------------+---------------+
//	|                   0x000001                    |   stream_id   |
//	+-------------------------------+---+---+-+-+-+-+---+-----------+
//	|       PES_packet_length       | 2 |SC |P|A|C|O|P D|   flags   |
//	+---------------+---------------+---+---+-+-+-+-+---+-----------+
//	| header length |  PTS, 5 bytes; DTS, 5 bytes …
//	+---------------+-----------------------------------------------
func appendPESHeader(b []byte, id byte, size int, pts, dts int64) []byte {
	times := 5
	if pts != dts {
		times = 10
	}
	n := pesHeader - pesPrefix + times + size
	if n > maxPES {
		n = 0
	}
	b = append(b, 0, 0, 1, id, byte(n>>8), byte(n), 0x84) // data_alignment_indicator
	if pts == dts {
		b = append(b, 0x80, 5)
		return appendTime(b, 2, pts)
	}
	b = append(b, 0xc0, 10)
	b = appendTime(b, 3, pts)
	return appendTime(b, 1, dts)
}

// appendTime appends a time, its 33 bits in groups with a marker bit behind each.
func appendTime(b []byte, prefix byte, ticks int64) []byte {
	t := uint64(ticks) & maxTicks
	return append(b, prefix<<4|byte(t>>29)&0x0e|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// readTime reads what appendTime appends; false if a marker bit is missing.
func readTime(b []byte) (ticks uint64, ok bool) {
	if b[0]&b[2]&b[4]&1 == 0 {
		return 0, false
	}
	return uint64(b[0]>>1&7)<<30 | uint64(binary.BigEndian.Uint16(b[1:])>>1)<<15 |
		uint64(binary.BigEndian.Uint16(b[3:])>>1), true
}

// A pes is the header of a PES packet.
type pes struct {
	id       byte
	header   int // bytes before the payload
	size     int // of all of it; 0 if it does not tell
	hasPTS   bool
	pts, dts uint64
}

// parsePES reads the header of a PES packet. It reports more while b is too short
// for that, and false for what is none.
func parsePES(b []byte) (p pes, more, ok bool) {
	if n := min(len(b), 3); string(b[:n]) != "\x00\x00\x01"[:n] {
		return p, false, false
	}
	if len(b) < pesPrefix {
		return p, true, true
	}
	p.id, p.header = b[3], pesPrefix
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		p.size = pesPrefix + n
	}
	if !hasPESHeader(p.id) {
		return p, false, true
	}
	if len(b) < pesHeader {
		return p, true, true
	}
	p.header = pesHeader + int(b[8])
	if b[6]>>6 != 2 || p.size > 0 && p.header > p.size {
		return p, false, false
	}
	if len(b) < p.header {
		return p, true, true
	}
	if b[7]&0x80 == 0 {
		return p, false, true
	}
	if b[8] < 5 {
		return p, false, false
	}
	p.pts, p.hasPTS = readTime(b[9:])
	p.dts = p.pts
	if b[7]&0x40 != 0 && b[8] >= 10 && p.hasPTS {
		p.dts, p.hasPTS = readTime(b[14:])
	}
	return p, false, p.hasPTS
}
