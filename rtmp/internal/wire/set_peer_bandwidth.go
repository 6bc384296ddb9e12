package wire

import "encoding/binary"

// A LimitType says how a SetPeerBandwidth is meant.
type LimitType uint8

// The limit types of RTMP 1.0, section 5.4.5.
const (
	LimitHard    LimitType = 0
	LimitSoft    LimitType = 1
	LimitDynamic LimitType = 2
)

// SetPeerBandwidth bounds what the peer may send unacknowledged (RTMP 1.0,
// section 5.4.5).
type SetPeerBandwidth struct {
	Window uint32    // bytes
	Limit  LimitType // values above LimitDynamic are kept as received
}

// Type returns TypeSetPeerBandwidth.
func (SetPeerBandwidth) Type() Type { return TypeSetPeerBandwidth }

// Append appends the 5-byte body of m to b.
func (m SetPeerBandwidth) Append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, m.Window), byte(m.Limit))
}

// Unmarshal decodes the body at the start of b and returns the bytes used. Some
// encoders omit the limit type; the body is then 4 bytes and Limit is LimitHard.
func (m *SetPeerBandwidth) Unmarshal(b []byte) (n int, err error) {
	if m.Window, err = number("set peer bandwidth", b); err != nil {
		return 0, err
	}
	m.Limit = LimitHard
	if len(b) == 4 {
		return 4, nil
	}
	m.Limit = LimitType(b[4])
	return 5, nil
}
