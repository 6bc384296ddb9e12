package wire

import "encoding/binary"

// The forms of a chunk's message header (RTMP 1.0, section 5.3.1.2), in the two
// upper bits of its first byte.
const (
	formFull  = 0 // timestamp, length, type, message stream
	formTyped = 1 // timestamp delta, length, type
	formTimed = 2 // timestamp delta
	formNone  = 3 // nothing: the next chunk of a message, or one like the one before
)

// extended in the three bytes of a timestamp says that four bytes follow
// (section 5.3.1.3).
const extended = 0xFFFFFF

// MessageSize returns how many bytes [AppendMessage] appends for a body of n
// bytes.
func MessageSize(timestamp uint32, chunkSize, n int) int {
	head, next := 12, 1
	if timestamp >= extended {
		head, next = 16, 5
	}
	if n > chunkSize {
		head += (n - 1) / chunkSize * next
	}
	return head + n
}

// AppendMessage appends a message in chunks of chunkSize bytes to dst: the first
// with a full header, so that a reader can start at any message, the others with
// none. The body is head and then data. An extended timestamp is repeated in
// every chunk. chunkStream is 2 to 63.
func AppendMessage(dst []byte, chunkStream uint8, t Type, streamID, timestamp uint32, chunkSize int, head, data []byte) []byte {
	n := len(head) + len(data)
	stamp := min(timestamp, extended)
	dst = append(dst, formFull<<6|chunkStream,
		byte(stamp>>16), byte(stamp>>8), byte(stamp),
		byte(n>>16), byte(n>>8), byte(n), byte(t))
	dst = binary.LittleEndian.AppendUint32(dst, streamID)
	if stamp == extended {
		dst = binary.BigEndian.AppendUint32(dst, timestamp)
	}
	for left := chunkSize; ; left = chunkSize {
		k := min(left, len(head))
		dst = append(dst, head[:k]...)
		head, left = head[k:], left-k
		k = min(left, len(data))
		dst = append(dst, data[:k]...)
		data = data[k:]
		if len(head)+len(data) == 0 {
			return dst
		}
		dst = append(dst, formNone<<6|chunkStream)
		if stamp == extended {
			dst = binary.BigEndian.AppendUint32(dst, timestamp)
		}
	}
}

// AppendControl appends a message of the connection itself: message stream 0,
// timestamp 0, on the chunk stream of the protocol.
func AppendControl(dst []byte, chunkSize int, m Body) []byte {
	return appendBody(dst, ChunkStreamProtocol, 0, chunkSize, m)
}

// AppendCommand appends a command for the message stream streamID.
func AppendCommand(dst []byte, streamID uint32, chunkSize int, m Command) []byte {
	return appendBody(dst, ChunkStreamCommand, streamID, chunkSize, m)
}

func appendBody(dst []byte, chunkStream uint8, streamID uint32, chunkSize int, m Body) []byte {
	var buf [128]byte
	return AppendMessage(dst, chunkStream, m.Type(), streamID, 0, chunkSize, nil, m.Append(buf[:0]))
}
