package ts

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// PacketSize is the length of a transport packet.
const PacketSize = 188

// ErrInvalid is wrapped by errors about bytes that are no transport stream.
var ErrInvalid = errors.New("ts: invalid data")

// invalid returns an ErrInvalid that says what is wrong.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

const (
	syncByte     = 0x47
	packetHeader = 4
	packetRoom   = PacketSize - packetHeader // for adaptation field and payload
	pidPAT       = 0
	pidNull      = 0x1fff
)

// The flags of an adaptation field (13818-1, 2.4.3.5).
const (
	flagDiscontinuity = 0x80
	flagRandomAccess  = 0x40
	flagPCR           = 0x10
)

// A packet is what the header of a transport packet tells, and its payload:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+-+-+-+-------------------------+---+---+-------+
//	|     0x47      |E|S|P|           PID           |SC | A |  CC   |
//	+---------------+-+-+-+-------------------------+---+---+-------+
//
// E is transport_error_indicator, S payload_unit_start_indicator, P
// transport_priority, SC scrambling control, A adaptation_field_control.
type packet struct {
	pid           uint16
	start         bool // payload_unit_start_indicator
	scrambled     bool
	counter       byte // continuity_counter
	discontinuity bool // the counter may have jumped, and the clock
	random        bool // random_access_indicator
	payload       []byte
}

// parsePacket reads a packet, which b is as long as. It reports false for what
// is marked as damaged or contradicts itself.
func parsePacket(b []byte) (p packet, ok bool) {
	h := binary.BigEndian.Uint32(b)
	if h>>24 != syncByte || h&(1<<23) != 0 {
		return p, false
	}
	p.start = h&(1<<22) != 0
	p.pid = uint16(h>>8) & 0x1fff
	p.scrambled = h>>6&3 != 0
	p.counter = byte(h & 15)
	b = b[packetHeader:PacketSize]
	if h&0x20 != 0 {
		n := int(b[0])
		if n > len(b)-1 {
			return p, false
		}
		if n > 0 {
			p.discontinuity = b[1]&flagDiscontinuity != 0
			p.random = b[1]&flagRandomAccess != 0
		}
		b = b[1+n:]
	}
	if h&0x10 != 0 {
		p.payload = b
	}
	return p, true
}

// appendPCR appends a program_clock_reference (2.4.3.5) of whole ticks of 90 kHz.
func appendPCR(b []byte, ticks int64) []byte {
	base := uint64(ticks) & pes.MaxTicks
	b = binary.BigEndian.AppendUint32(b, uint32(base>>1))
	return append(b, byte(base)<<7|0x7e, 0)
}
