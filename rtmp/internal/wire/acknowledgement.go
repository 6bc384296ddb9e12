package wire

import "encoding/binary"

// Acknowledgement tells how many bytes arrived so far (RTMP 1.0, section 5.4.3).
type Acknowledgement struct {
	Sequence uint32 // bytes since the connection began; wraps
}

// Type returns TypeAcknowledgement.
func (Acknowledgement) Type() Type { return TypeAcknowledgement }

// Append appends the 4-byte body of m to b.
func (m Acknowledgement) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, m.Sequence) }

// Unmarshal decodes the body at the start of b and returns the bytes used.
func (m *Acknowledgement) Unmarshal(b []byte) (n int, err error) {
	if m.Sequence, err = number("acknowledgement", b); err != nil {
		return 0, err
	}
	return 4, nil
}
