package wire

import "encoding/binary"

// WindowAckSize tells after how many bytes the sender expects an
// Acknowledgement (RTMP 1.0, section 5.4.4).
type WindowAckSize struct {
	Size uint32 // bytes; some senders say 0
}

// Type returns TypeWindowAckSize.
func (WindowAckSize) Type() Type { return TypeWindowAckSize }

// Append appends the 4-byte body of m to b.
func (m WindowAckSize) Append(b []byte) []byte { return binary.BigEndian.AppendUint32(b, m.Size) }

// Unmarshal decodes the body at the start of b and returns the bytes used.
func (m *WindowAckSize) Unmarshal(b []byte) (n int, err error) {
	if m.Size, err = number("window acknowledgement size", b); err != nil {
		return 0, err
	}
	return 4, nil
}
