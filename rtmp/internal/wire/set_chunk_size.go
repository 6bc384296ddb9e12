package wire

import (
	"encoding/binary"
	"fmt"
)

// The sizes of chunks (RTMP 1.0, section 5.4.1).
const (
	DefaultChunkSize = 128
	MaxChunkSize     = 0xFFFFFF // no message is longer
)

// SetChunkSize tells how large the sender's chunks are from now on (RTMP 1.0,
// section 5.4.1).
type SetChunkSize struct {
	Size uint32 // bytes, 1 to MaxChunkSize; Unmarshal takes larger values as that
}

// Type returns TypeSetChunkSize.
func (SetChunkSize) Type() Type { return TypeSetChunkSize }

// Append appends the 4-byte body of m to b.
func (m SetChunkSize) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, m.Size) }

// Unmarshal decodes the body at the start of b and returns the bytes used. Zero
// and values with the first bit set are invalid.
func (m *SetChunkSize) Unmarshal(b []byte) (n int, err error) {
	v, err := number("set chunk size", b)
	if err != nil {
		return 0, err
	}
	if v == 0 || v>>31 != 0 {
		return 0, fmt.Errorf("%w: chunk size %#x", ErrInvalid, v)
	}
	m.Size = min(v, MaxChunkSize)
	return 4, nil
}

// number decodes the 4-byte number at the start of b, the body of a message
// called name.
func number(name string, b []byte) (uint32, error) {
	if len(b) < 4 {
		return 0, short(name, b, 4)
	}
	return binary.BigEndian.Uint32(b), nil
}

func short(name string, b []byte, want int) error {
	return fmt.Errorf("%w: %s: %d of %d bytes", ErrInvalid, name, len(b), want)
}
