package wire

import "encoding/binary"

// Abort takes back the message that was begun on a chunk stream (RTMP 1.0,
// section 5.4.2).
type Abort struct {
	ChunkStream uint32
}

// Type returns TypeAbort.
func (Abort) Type() Type { return TypeAbort }

// Append appends the 4-byte body of m to b.
func (m Abort) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, m.ChunkStream) }

// Unmarshal decodes the body at the start of b and returns the bytes used.
func (m *Abort) Unmarshal(b []byte) (n int, err error) {
	if m.ChunkStream, err = number("abort", b); err != nil {
		return 0, err
	}
	return 4, nil
}
