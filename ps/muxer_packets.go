package ps

import "github.com/mediakit-go/mediakit/internal/pes"

// maxLength is the longest PES_packet_length that is written: platforms of Hikvision
// take no more, as others' muxers know.
const maxLength = 0xff80

const (
	plainHeader = 9 // of a PES packet without times
	timeSize    = 5
	plainRoom   = pes.Prefix + maxLength - plainHeader // how much fits into one
)

// timesLen returns the length of PTS and, if it is another, DTS.
func timesLen(pts, dts int64) int {
	if pts == dts {
		return timeSize
	}
	return 2 * timeSize
}

// packetsLen returns the length of the PES packets that carry size bytes, the first
// of them with times of so many bytes.
func packetsLen(size, times int) int {
	n := plainHeader + times + size
	if more := size - (plainRoom - times); more > 0 {
		n += (more + plainRoom - 1) / plainRoom * plainHeader
	}
	return n
}

// appendPackets appends the PES packets of p, which begins an access unit with these
// times.
func appendPackets(b []byte, id byte, p *pes.Payload, pts, dts int64) []byte {
	left := p.Size
	room := min(left, plainRoom-timesLen(pts, dts)) // in the packet that was begun
	left -= room
	b = pes.AppendHeader(b, id, room, pts, dts)
	for piece := range p.Pieces() {
		for len(piece) > room {
			b = append(b, piece[:room]...)
			piece = piece[room:]
			room = min(left, plainRoom)
			left -= room
			n := plainHeader - pes.Prefix + room
			b = append(b, 0, 0, 1, id, byte(n>>8), byte(n), 0x80, 0, 0)
		}
		b = append(b, piece...)
		room -= len(piece)
	}
	return b
}
