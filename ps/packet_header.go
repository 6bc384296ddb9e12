package ps

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// Lengths of what MPEG-1 has (ISO/IEC 11172-1, 2.4.3), in bytes.
const (
	packHeaderSize1 = 12
	maxStuffing1    = 16 // before the times of a packet
)

// parsePack reads a pack header, of MPEG-2 (13818-1, 2.5.3.3) or MPEG-1 (11172-1,
// 2.4.3.2), of which only what tells them apart must be right. It reports more while
// b is too short for it, and not ok for what is none.
func parsePack(b []byte) (size int, clock uint64, more, ok bool) {
	if len(b) < 5 {
		return 0, 0, true, true
	}
	switch {
	case b[4]>>6 == 1:
		if len(b) < packHeaderSize {
			return 0, 0, true, true
		}
		base := uint64(b[4]&0x38)<<27 | uint64(b[4]&3)<<28 | uint64(b[5])<<20 | uint64(b[6]&0xf8)<<12 |
			uint64(b[6]&3)<<13 | uint64(b[7])<<5 | uint64(b[8])>>3
		size = packHeaderSize + int(b[13]&7)
		return size, base, len(b) < size, true
	case b[4]>>4 == 2:
		if len(b) < packHeaderSize1 {
			return 0, 0, true, true
		}
		clock, _ = pes.ReadTime(b[4:])
		return packHeaderSize1, clock, false, true
	}
	return 0, 0, false, false
}

// parsePES reads the header of a PES packet, of MPEG-2 or MPEG-1. What it reports is
// what [pes.Parse] does.
func parsePES(b []byte) (h pes.Header, more, ok bool) {
	h, more, ok = pes.Parse(b)
	if more || ok || len(b) <= pes.Prefix || b[pes.Prefix]>>6 == 2 {
		return h, more, ok
	}
	return parsePES1(b)
}

// parsePES1 reads the header of a packet of MPEG-1 (11172-1, 2.4.3.3): stuffing, the
// size of a buffer, times, as there are.
func parsePES1(b []byte) (h pes.Header, more, ok bool) {
	h.ID = b[3]
	if n := int(binary.BigEndian.Uint16(b[4:])); n > 0 {
		h.Size = pes.Prefix + n
	}
	at := pes.Prefix
	for at < len(b) && b[at] == 0xff && at < pes.Prefix+maxStuffing1 {
		at++
	}
	if at < len(b) && b[at]>>6 == 1 {
		at += 2
	}
	if at >= len(b) {
		return h, true, true
	}
	times := 0
	switch {
	case b[at]>>4 == 2:
		times = 5
	case b[at]>>4 == 3:
		times = 10
	case b[at] != 0x0f:
		return h, false, false
	}
	h.Header = at + max(times, 1)
	if h.Size > 0 && h.Header > h.Size {
		return h, false, false
	}
	if len(b) < h.Header {
		return h, true, true
	}
	if times == 0 {
		return h, false, true
	}
	h.PTS, ok = pes.ReadTime(b[at:])
	h.DTS, h.HasPTS = h.PTS, ok
	if times == 10 && ok {
		h.DTS, ok = pes.ReadTime(b[at+5:])
	}
	return h, false, ok
}

// A likeness is whether bytes are what they look like.
type likeness uint8

const (
	unlike  likeness = iota
	like             // they are, but for a chance in 2^40 or so
	unclear          // there are too few
)

func likeIf(ok bool) likeness {
	if ok {
		return like
	}
	return unlike
}

// packLikeness tells whether b, which begins with the start code of a pack header,
// is one: all its marker bits are there.
func packLikeness(b []byte) likeness {
	switch {
	case len(b) < 5:
		return unclear
	case b[4]&0xc4 == 0x44:
		if len(b) < packHeaderSize {
			return unclear
		}
		return likeIf(b[6]&4 != 0 && b[8]&4 != 0 && b[9]&1 != 0 && b[12]&3 == 3)
	case b[4]&0xf1 == 0x21:
		if len(b) < packHeaderSize1 {
			return unclear
		}
		return likeIf(b[6]&b[8]&1 != 0 && b[9]&0x80 != 0 && b[11]&1 != 0)
	}
	return unlike
}

// systemLikeness is packLikeness of a system header (13818-1, 2.5.3.5).
func systemLikeness(b []byte) likeness {
	if len(b) < 12 {
		return unclear
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	return likeIf(n >= 6 && n <= 6+3*maxListed && n%3 == 0 && b[6]&0x80 != 0 && b[8]&1 != 0 && b[10]&0x20 != 0)
}

// maxListed is how many streams a system header may list.
const maxListed = 64

// mapLikeness is packLikeness of a program stream map.
func mapLikeness(b []byte) likeness {
	if len(b) < 12 {
		return unclear
	}
	n, info := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[8:]))
	return likeIf(n >= mapSize-pes.Prefix && n <= maxMap-pes.Prefix && b[7]&1 != 0 && info <= n-(mapSize-pes.Prefix))
}

// packetLikeness is packLikeness of a PES packet. known tells that there are others
// with its stream_id; else it must have a time.
func packetLikeness(b []byte, known bool) likeness {
	const fixed = 9
	if len(b) < fixed {
		return unclear
	}
	if b[6]>>6 != 2 {
		return packetLikeness1(b, known)
	}
	size, header := int(binary.BigEndian.Uint16(b[4:])), int(b[8])
	flags := b[7] >> 6
	switch {
	case b[6]&0x30 != 0, flags == 1, size > 0 && fixed-pes.Prefix+header > size:
		return unlike
	case flags == 0: // nothing else, or too little is certain
		return likeIf(known && b[7] == 0 && header <= 32)
	case flags == 2 && header < 5, flags == 3 && header < 10:
		return unlike
	case len(b) < fixed+5:
		return unclear
	}
	_, ok := pes.ReadTime(b[fixed:])
	return likeIf(ok && b[fixed]>>4 == flags)
}

// packetLikeness1 is packetLikeness of a packet of MPEG-1.
func packetLikeness1(b []byte, known bool) likeness {
	h, more, ok := parsePES1(b)
	switch {
	case !ok:
		return unlike
	case more:
		return unclear
	}
	return likeIf(h.HasPTS || known && h.Size > 0)
}
