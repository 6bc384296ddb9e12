package ps

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// The start codes that are no PES packets (13818-1, 2.5.3).
const (
	codeEnd    = 0xb9 // MPEG_program_end_code
	codePack   = 0xba
	codeSystem = 0xbb
)

const (
	systemClock    = 27_000_000 // Hz
	packHeaderSize = 14         // without stuffing
	rateUnit       = 50         // bytes a second, of program_mux_rate
)

// appendPackHeader appends a pack header (2.5.3.3): the time at which it arrives, in
// ticks of the system clock, and the rate at which the pack does.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                          0x000001ba                           |
//	+---+-----+-+-----------------------------+-+-------------------+
//	|0 1|32-30|1|   reference base, 29 to 15  |1|     14 to 5       |
//	+---+-----+-+-----------------+-+---------+-+-------------------+
//	| 4 to 0  |1|    extension    |1|       program_mux_rate
//	+---------+-+---+-+-+---------+-+---+---------------------------+
//	|  mux_rate |1|1|reserved |stuffing |
//	+-----------+-+-+---------+---------+
func appendPackHeader(b []byte, clock int64, rate uint32) []byte {
	extension := (clock%300 + 300) % 300
	base := uint64((clock-extension)/300) & pes.MaxTicks
	bits := uint64(1)<<46 | base>>30<<43 | 1<<42 | base>>15&0x7fff<<27 | 1<<26 | base&0x7fff<<11 | 1<<10 |
		uint64(extension)<<1 | 1
	b = append(b, 0, 0, 1, codePack, byte(bits>>40), byte(bits>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(bits))
	rate = rate<<2 | 3
	return append(b, byte(rate>>16), byte(rate>>8), byte(rate), 0xf8)
}
