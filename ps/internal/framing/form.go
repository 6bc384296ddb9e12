package framing

import "encoding/binary"

// A Form is how packets on a connection are told apart.
type Form uint8

// The forms.
const (
	Unknown     Form = iota // as long as nothing was found
	Short                   // two bytes of length (RFC 4571, 2)
	Interleaved             // "$", channel, two bytes of length (RFC 2326, 10.12)
)

// MaxPacket is the longest packet that either form can tell the length of.
const MaxPacket = 65535

// String returns the form's name for people.
func (f Form) String() string {
	switch f {
	case Short:
		return "rfc4571"
	case Interleaved:
		return "interleaved"
	}
	return "unknown"
}

// size returns how many bytes precede a packet.
func (f Form) size() int {
	if f == Interleaved {
		return 4
	}
	return 2
}

// Append appends packet, of at most MaxPacket bytes, to b in the form, which is
// Short for Unknown. Only Interleaved has channels.
func (f Form) Append(b []byte, channel uint8, packet []byte) []byte {
	if f == Interleaved {
		b = append(b, '$', channel)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(packet)))
	return append(b, packet...)
}
