package wire

import "encoding/binary"

// An Event is what a UserControl message tells.
type Event uint16

// The events of RTMP 1.0, section 7.1.7.
const (
	EventStreamBegin      Event = 0
	EventStreamEOF        Event = 1
	EventStreamDry        Event = 2
	EventSetBufferLength  Event = 3
	EventStreamIsRecorded Event = 4
	EventPingRequest      Event = 6
	EventPingResponse     Event = 7
)

// UserControl tells of an event (RTMP 1.0, sections 6.2 and 7.1.7).
type UserControl struct {
	Event Event  // other values than the above are kept as received
	Value uint32 // message stream, or of a ping the sender's time; 0 for other events
	Extra uint32 // of SetBufferLength: ms
}

// size returns the length of the fields after the event.
func (m UserControl) size() int {
	switch m.Event {
	case EventSetBufferLength:
		return 8
	case EventStreamBegin, EventStreamEOF, EventStreamDry, EventStreamIsRecorded, EventPingRequest, EventPingResponse:
		return 4
	}
	return 0
}

// Type returns TypeUserControl.
func (UserControl) Type() Type { return TypeUserControl }

// Append appends the body of m, 2 to 10 bytes, to b.
func (m UserControl) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(m.Event))
	if m.size() >= 4 {
		b = binary.BigEndian.AppendUint32(b, m.Value)
	}
	if m.size() == 8 {
		b = binary.BigEndian.AppendUint32(b, m.Extra)
	}
	return b
}

// Unmarshal decodes the body at the start of b and returns the bytes used. What
// follows an event that is not known is not looked at.
func (m *UserControl) Unmarshal(b []byte) (n int, err error) {
	if len(b) < 2 {
		return 0, short("user control", b, 2)
	}
	*m = UserControl{Event: Event(binary.BigEndian.Uint16(b))}
	size := m.size()
	if len(b) < 2+size {
		return 0, short("user control", b, 2+size)
	}
	if size >= 4 {
		m.Value = binary.BigEndian.Uint32(b[2:])
	}
	if size == 8 {
		m.Extra = binary.BigEndian.Uint32(b[6:])
	}
	return 2 + size, nil
}
