package ts

import "encoding/binary"

// A packetizer writes the transport packets of one PES packet. What it carries
// comes in pieces, whose length in all is known before.
type packetizer struct {
	dst  []byte
	s    *muxerStream
	left int // bytes that were not written yet
	room int // left in the packet that was begun
}

// packetsOf returns how many packets carry size bytes, the first of which has an
// adaptation field of field bytes.
func packetsOf(size, field int) int {
	first := packetRoom - field
	if size <= first {
		return 1
	}
	return 1 + (size-first+packetRoom-1)/packetRoom
}

// begin begins the first packet. field is its adaptation field, without the
// length before it; nil if it needs none.
func (p *packetizer) begin(field []byte) { p.packet(field, true) }

// packet begins a packet. Its adaptation field is as long as it must be for the
// payload to end with the packet.
//
//	+--------------------+---------------+---------+-- - - --+---------+
//	| header, 4 bytes    | length, 8 bit | flags … | 0xff …  | payload |
//	+--------------------+---------------+---------+-- - - --+---------+
func (p *packetizer) packet(field []byte, start bool) {
	h := uint32(syncByte)<<24 | uint32(p.s.pid)<<8 | 0x10 | uint32(p.s.next())
	if start {
		h |= 1 << 22
	}
	have := 0
	if len(field) > 0 {
		have = 1 + len(field)
	}
	p.room = min(packetRoom-have, p.left)
	stuffing := packetRoom - have - p.room
	if have+stuffing > 0 {
		h |= 0x20
	}
	p.dst = binary.BigEndian.AppendUint32(p.dst, h)
	if have+stuffing == 0 {
		return
	}
	p.dst = append(p.dst, byte(have+stuffing-1))
	p.dst = append(p.dst, field...)
	if have == 0 {
		if stuffing--; stuffing > 0 { // flags
			p.dst = append(p.dst, 0)
			stuffing--
		}
	}
	p.dst = appendStuffing(p.dst, stuffing)
}

// appendStuffing appends n bytes of 0xff.
func appendStuffing(b []byte, n int) []byte {
	for range n {
		b = append(b, 0xff)
	}
	return b
}

// write writes a piece.
func (p *packetizer) write(b []byte) {
	for len(b) > 0 {
		if p.room == 0 {
			p.packet(nil, false)
		}
		n := min(p.room, len(b))
		p.dst = append(p.dst, b[:n]...)
		p.room -= n
		p.left -= n
		b = b[n:]
	}
}

// appendSectionPackets appends the packets that hold a section.
func appendSectionPackets(b []byte, pid uint16, counter *byte, section []byte) []byte {
	h := uint32(syncByte)<<24 | 1<<22 | uint32(pid)<<8 | 0x10
	for first := true; first || len(section) > 0; first = false {
		b = binary.BigEndian.AppendUint32(b, h|uint32(*counter))
		*counter = (*counter + 1) & 15
		room := packetRoom
		if first {
			b = append(b, 0) // pointer_field
			room--
			h &^= 1 << 22
		}
		n := min(room, len(section))
		b = append(b, section[:n]...)
		b = appendStuffing(b, room-n)
		section = section[n:]
	}
	return b
}
