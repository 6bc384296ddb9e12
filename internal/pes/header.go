package pes

import "encoding/binary"

// Numbers of PES headers.
const (
	ClockRate = 90000     // of PTS and DTS, in Hz
	MaxTicks  = 1<<33 - 1 // what they can tell
	Prefix    = 6         // bytes of a PES packet up to PES_packet_length
	maxLength = 1<<16 - 1 // what that can tell
	fixed     = 9         // bytes up to PES_header_data_length
)

// The stream_ids that matter here (13818-1, table 2-22).
const (
	IDMap       = 0xbc // program_stream_map
	IDPrivate1  = 0xbd
	IDPadding   = 0xbe
	IDPrivate2  = 0xbf
	IDAudio     = 0xc0 // to 0xdf
	IDVideo     = 0xe0 // to 0xef
	idECM       = 0xf0
	idEMM       = 0xf1
	idDSMCC     = 0xf2
	idTypeE     = 0xf8
	IDDirectory = 0xff // program_stream_directory
)

// IsAudio tells whether a stream_id is that of audio.
func IsAudio(id byte) bool { return id&0xe0 == IDAudio }

// IsVideo tells whether a stream_id is that of video.
func IsVideo(id byte) bool { return id&0xf0 == IDVideo }

// HasFlags tells whether PES packets with this stream_id have flags and times
// (2.4.3.6).
func HasFlags(id byte) bool {
	switch id {
	case IDMap, IDPadding, IDPrivate2, idECM, idEMM, idDSMCC, idTypeE, IDDirectory:
		return false
	}
	return true
}

// AppendHeader appends the header of a PES packet (2.4.3.6) that carries size
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
func AppendHeader(b []byte, id byte, size int, pts, dts int64) []byte {
	times := 5
	if pts != dts {
		times = 10
	}
	n := fixed - Prefix + times + size
	if n > maxLength {
		n = 0
	}
	b = append(b, 0, 0, 1, id, byte(n>>8), byte(n), 0x84) // data_alignment_indicator
	if pts == dts {
		b = append(b, 0x80, 5)
		return AppendTime(b, 2, pts)
	}
	b = append(b, 0xc0, 10)
	b = AppendTime(b, 3, pts)
	return AppendTime(b, 1, dts)
}

// AppendTime appends a time, its 33 bits in groups with a marker bit behind each.
// prefix is what stands in the first four bits.
func AppendTime(b []byte, prefix byte, ticks int64) []byte {
	t := uint64(ticks) & MaxTicks
	return append(b, prefix<<4|byte(t>>29)&0x0e|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1)
}

// ReadTime reads what AppendTime appends, of which b has all; false if a marker
// bit is missing.
func ReadTime(b []byte) (ticks uint64, ok bool) {
	if b[0]&b[2]&b[4]&1 == 0 {
		return 0, false
	}
	return uint64(b[0]>>1&7)<<30 | uint64(binary.BigEndian.Uint16(b[1:])>>1)<<15 |
		uint64(binary.BigEndian.Uint16(b[3:])>>1), true
}

// A Header is the header of a PES packet.
type Header struct {
	ID       byte
	Header   int // bytes before the payload
	Size     int // of all of the packet; 0 if it does not tell
	HasPTS   bool
	PTS, DTS uint64 // ticks; equal if there is no DTS
}

// Parse reads the header of a PES packet. It reports more while b is too short
// for that, and not ok for what is none.
func Parse(b []byte) (h Header, more, ok bool) {
	if n := min(len(b), 3); string(b[:n]) != "\x00\x00\x01"[:n] {
		return h, false, false
	}
	if len(b) < Prefix {
		return h, true, true
	}
	h.ID, h.Header = b[3], Prefix
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		h.Size = Prefix + n
	}
	if !HasFlags(h.ID) {
		return h, false, true
	}
	if len(b) < fixed {
		return h, true, true
	}
	h.Header = fixed + int(b[8])
	if b[6]>>6 != 2 || h.Size > 0 && h.Header > h.Size {
		return h, false, false
	}
	if len(b) < h.Header {
		return h, true, true
	}
	if b[7]&0x80 == 0 {
		return h, false, true
	}
	if b[8] < 5 {
		return h, false, false
	}
	h.PTS, h.HasPTS = ReadTime(b[9:])
	h.DTS = h.PTS
	if b[7]&0x40 != 0 && b[8] >= 10 && h.HasPTS {
		h.DTS, h.HasPTS = ReadTime(b[14:])
	}
	return h, false, h.HasPTS
}
