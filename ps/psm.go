package ps

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

const (
	mapSize = 16                // of a program stream map without streams
	maxMap  = pes.Prefix + 1018 // what one may have (2.5.4.2)
)

// mapLen returns the length of a program stream map of these streams.
func mapLen(streams []pes.Carriage) int {
	n := mapSize
	for _, c := range streams {
		n += 4 + len(c.Descriptors)
	}
	return n
}

// appendMap appends a program stream map (2.5.4): what the streams carry. Its
// checksum is over all of it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                          0x000001bc                           |
//	+-------------------------------+-+---+---------+-------------+-+
//	|            length             |1| 3 | version |  reserved   |1|
//	+-------------------------------+-+---+---------+-------------+-+
//	|  length of descriptors  = 0   |  length of the entries        |
//	+---------------+---------------+-------------------------------+
//	|  stream_type  |   stream_id   |  length of its descriptors    |  …
//	+---------------+---------------+-------------------------------+
func appendMap(b []byte, version byte, streams []pes.Carriage) []byte {
	start, size := len(b), mapLen(streams)
	b = append(b, 0, 0, 1, pes.IDMap)
	b = binary.BigEndian.AppendUint16(b, uint16(size-pes.Prefix))
	b = append(b, 0xe0|version&31, 0xff, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(size-mapSize))
	for _, c := range streams {
		b = append(b, c.StreamType, c.StreamID)
		b = binary.BigEndian.AppendUint16(b, uint16(len(c.Descriptors)))
		b = append(b, c.Descriptors...)
	}
	return binary.BigEndian.AppendUint32(b, pes.CRC(b[start:]))
}

// parseMap reads a program stream map, of which b has all, and calls fn for each
// entry; the descriptors alias b. What contradicts itself is left out: some devices
// write lengths of lists that are not those.
func parseMap(b []byte, fn func(pes.Carriage)) (ok bool) {
	if len(b) < mapSize {
		return false
	}
	b = b[:len(b)-4] // the checksum
	info := int(binary.BigEndian.Uint16(b[8:]))
	if info > len(b)-12 {
		return false
	}
	list := b[12+info:]
	if n := int(binary.BigEndian.Uint16(b[10+info:])); n > 0 && n <= len(list) {
		list = list[:n]
	}
	for len(list) >= 4 {
		c := pes.Carriage{StreamType: list[0], StreamID: list[1]}
		n := int(binary.BigEndian.Uint16(list[2:]))
		list = list[4:]
		if n > len(list) || !pes.HasFlags(c.StreamID) || c.StreamID < pes.IDPrivate1 {
			break
		}
		c.Descriptors, list = list[:n], list[n:]
		fn(c)
		ok = true
	}
	return ok
}

// checkMap reports whether the checksum of a program stream map is right, and
// whether there is one: some devices write 0.
func checkMap(b []byte) (right, none bool) {
	n := len(b) - 4
	return pes.CRC(b) == 0, binary.BigEndian.Uint32(b[n:]) == 0
}
