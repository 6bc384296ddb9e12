package wire

import (
	"encoding/binary"
	"iter"
)

// Split yields the messages in m, an aggregate message (RTMP 1.0, section
// 7.1.6): a list of FLV tags, whose times are moved so that the first one's is
// m's. Their bodies share m's. It stops at a length that exceeds the rest.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-----------------------------------------------+
//	|     type      |                    length                     |
//	+---------------+-------------------------------+---------------+
//	|                timestamp, lower 24 bits       | upper 8 bits  |
//	+-----------------------------------------------+---------------+
//	|                message stream                 |     body ...
//	+-----------------------------------------------+
//	|             back pointer: 11 + length, not looked at          |
//	+---------------------------------------------------------------+
func Split(m Message) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		const header, backPointer = 11, 4
		b := m.Body
		var first uint32
		for begun := false; len(b) >= header; begun = true {
			n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
			stamp := uint32(b[7])<<24 | binary.BigEndian.Uint32(b[3:])&0xFFFFFF
			if n > len(b)-header {
				return
			}
			if !begun {
				first = stamp
			}
			sub := Message{
				Type:      Type(b[0]),
				StreamID:  m.StreamID,
				Timestamp: m.Timestamp + stamp - first,
				Body:      b[header : header+n : header+n],
			}
			if !yield(sub) {
				return
			}
			b = b[header+n:]
			b = b[min(backPointer, len(b)):]
		}
	}
}

// AppendAggregated appends a message in the form it has within an aggregate
// message.
func AppendAggregated(dst []byte, m Message) []byte {
	n := len(m.Body)
	dst = append(dst, byte(m.Type), byte(n>>16), byte(n>>8), byte(n),
		byte(m.Timestamp>>16), byte(m.Timestamp>>8), byte(m.Timestamp), byte(m.Timestamp>>24), 0, 0, 0)
	dst = append(dst, m.Body...)
	return binary.BigEndian.AppendUint32(dst, uint32(n)+11)
}
