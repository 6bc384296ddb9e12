package ts

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// Sections (13818-1, 2.4.4), lengths in bytes.
const (
	sectionHeader = 8 // up to last_section_number
	sectionCRC    = 4
	maxSection    = 4096 // what is kept of one
	maxTable      = 1024 // what a section of PAT and PMT may have
	tablePAT      = 0
	tablePMT      = 2
)

// beginSection appends the header of a section of PAT or PMT. endSection
// completes it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-+-+---+-----------------------+---------------+
//	|   table_id    |1|0| 3 |    section_length     |  id extension
//	+---------------+-+-+---+-+---------------------+---------------+
//	|               | 3 | version |1|    section    |  last section |
//	+---------------+---+---------+-+---------------+---------------+
func beginSection(b []byte, table byte, extension uint16, version byte) []byte {
	b = append(b, table, 0xb0, 0)
	b = binary.BigEndian.AppendUint16(b, extension)
	return append(b, 0xc1|version<<1, 0, 0)
}

// endSection writes length and checksum of the section b.
func endSection(b []byte) []byte {
	n := len(b) - 3 + sectionCRC
	b[1] |= byte(n >> 8)
	b[2] = byte(n)
	return binary.BigEndian.AppendUint32(b, pes.CRC(b))
}

// A sectionReader assembles the sections of a PID.
type sectionReader struct {
	buf   []byte
	begun bool
}

// lose gives up the section that has begun.
func (s *sectionReader) lose() { s.begun = false }

// add takes in the payload of a packet and calls fn for each section that it
// completes. fn must not keep the section.
func (s *sectionReader) add(payload []byte, start bool, fn func(section []byte)) {
	if start {
		n := int(payload[0])
		payload = payload[1:]
		if n > len(payload) {
			s.begun = false
			return
		}
		if s.begun { // the pointer field tells where the next one begins
			s.buf = append(s.buf, payload[:n]...)
			s.complete(fn)
		}
		payload = payload[n:]
		s.buf, s.begun = s.buf[:0], true
	}
	if !s.begun {
		return
	}
	s.buf = append(s.buf, payload...)
	s.complete(fn)
}

// complete takes the whole sections out of the buffer.
func (s *sectionReader) complete(fn func(section []byte)) {
	b := s.buf
	for len(b) >= 3 {
		n := 3 + int(binary.BigEndian.Uint16(b[1:])&0xfff)
		if b[0] == 0xff || n > maxSection { // stuffing
			s.begun = false
			return
		}
		if n > len(b) {
			break
		}
		fn(b[:n])
		b = b[n:]
	}
	s.buf = s.buf[:copy(s.buf, b)]
}

// checkSection reports whether b is a whole section of that table which is in
// force.
func checkSection(b []byte, table byte) bool {
	return len(b) >= sectionHeader+sectionCRC && len(b) <= maxTable && b[0] == table && b[1]&0x80 != 0 &&
		b[5]&1 != 0 && pes.CRC(b) == 0
}

// A program is an entry of a PAT.
type program struct {
	number uint16
	pid    uint16 // of its PMT
}

// parsePAT calls fn for the programs of a section of a PAT (2.4.4.4).
func parsePAT(b []byte, fn func(program)) {
	for b = b[sectionHeader : len(b)-sectionCRC]; len(b) >= 4; b = b[4:] {
		p := program{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]) & 0x1fff}
		if p.number != 0 { // else the network PID
			fn(p)
		}
	}
}

// An elementary is an entry of a PMT.
type elementary struct {
	pid         uint16
	streamType  byte
	descriptors []byte
}

// parsePMT returns the descriptors of the program and its elementary streams,
// which alias b (2.4.4.9). What contradicts itself is left out.
func parsePMT(b []byte) (info []byte, streams []elementary) {
	b = b[sectionHeader : len(b)-sectionCRC]
	if len(b) < 4 {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint16(b[2:]) & 0xfff)
	b = b[4:]
	if n > len(b) {
		return nil, nil
	}
	info, b = b[:n], b[n:]
	for len(b) >= 5 && len(streams) < maxStreams {
		e := elementary{pid: binary.BigEndian.Uint16(b[1:]) & 0x1fff, streamType: b[0]}
		n := int(binary.BigEndian.Uint16(b[3:]) & 0xfff)
		b = b[5:]
		if n > len(b) {
			break
		}
		e.descriptors, b = b[:n], b[n:]
		streams = append(streams, e)
	}
	return info, streams
}

// appendElementary appends an entry of a PMT.
func appendElementary(b []byte, e elementary) []byte {
	b = append(b, e.streamType)
	b = binary.BigEndian.AppendUint16(b, 0xe000|e.pid)
	b = binary.BigEndian.AppendUint16(b, 0xf000|uint16(len(e.descriptors)))
	return append(b, e.descriptors...)
}
