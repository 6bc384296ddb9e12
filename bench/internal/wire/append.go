package wire

import (
	"encoding/binary"
	"time"
)

// ChunkSize is what AppendMessage cuts messages into: what OBS uses. The
// RTMP client announces it.
const ChunkSize = 4096

// AppendMessage appends an RTMP message on chunk stream id and message stream
// stream, with a header of type 0, in chunks of size.
func AppendMessage(b []byte, id, typ byte, stream uint32, dts time.Duration, body []byte, size int) []byte {
	ms := uint32(dts.Milliseconds())
	b = append(b, id)
	b = appendUint24(b, min(ms, 0xffffff))
	b = appendUint24(b, uint32(len(body)))
	b = append(b, typ)
	b = binary.LittleEndian.AppendUint32(b, stream)
	for {
		if ms >= 0xffffff {
			b = binary.BigEndian.AppendUint32(b, ms)
		}
		n := min(size, len(body))
		b = append(b, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return b
		}
		b = append(b, 3<<6|id)
	}
}

// AppendTag appends an FLV tag and its size.
func AppendTag(b []byte, typ byte, dts time.Duration, body []byte) []byte {
	ms := uint32(dts.Milliseconds())
	b = append(b, typ)
	b = appendUint24(b, uint32(len(body)))
	b = appendUint24(b, ms&0xffffff)
	b = append(b, byte(ms>>24), 0, 0, 0)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, uint32(11+len(body)))
}

func appendUint24(b []byte, v uint32) []byte {
	return append(b, byte(v>>16), byte(v>>8), byte(v))
}
