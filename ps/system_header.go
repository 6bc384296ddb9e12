package ps

import (
	"encoding/binary"

	"github.com/mediakit-go/mediakit/internal/pes"
)

// The sizes of the buffers that decoders need (P-STD_buffer_size_bound): as large
// as can be told for video and data, 128 KiB for audio.
const (
	videoBound = 1<<13 | 8191 // in KiB
	audioBound = 1023         // in units of 128 bytes
)

// systemHeaderSize returns the length of a system header of n streams.
func systemHeaderSize(n int) int { return 12 + 3*n }

// appendSystemHeader appends a system header (2.5.3.5): the rate that none of the
// packs exceeds, and for each stream the buffer it needs.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------------------------------------------------------+
//	|                          0x000001bb                           |
//	+-------------------------------+-+-----------------------------+
//	|         header_length         |1|     rate_bound, 22 bits
//	+-------------+-+-----------+-+-+-+-+-+---------+-+-------------+
//	|  rate_bound |1|   audio   |F|C|A|V|1|  video  |R|  reserved   |
//	+-------------+-+-+-+-------+-+-+-+-+-+---------+-+-------------+
//	|   stream_id   |1 1|S|  buffer_size_bound, 13   |  …
//	+---------------+---+-+---------------------------+
func appendSystemHeader(b []byte, rate uint32, streams []pes.Carriage) []byte {
	var audio, video byte
	for _, c := range streams {
		switch {
		case pes.IsAudio(c.StreamID):
			audio++
		case pes.IsVideo(c.StreamID):
			video++
		}
	}
	b = append(b, 0, 0, 1, codeSystem)
	b = binary.BigEndian.AppendUint16(b, uint16(systemHeaderSize(len(streams))-pes.Prefix))
	rate = 1<<23 | rate<<1 | 1
	b = append(b, byte(rate>>16), byte(rate>>8), byte(rate), audio<<2, 0x20|video, 0x7f)
	for _, c := range streams {
		bound := uint16(videoBound)
		if pes.IsAudio(c.StreamID) {
			bound = audioBound
		}
		b = append(b, c.StreamID)
		b = binary.BigEndian.AppendUint16(b, 3<<14|bound)
	}
	return b
}
