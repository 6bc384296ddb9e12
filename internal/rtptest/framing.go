package rtptest

import (
	"encoding/binary"
	"math/rand/v2"
)

// RFC4571 returns packets as they are on a TCP connection: each behind its length
// in 16 bits.
func RFC4571(packets [][]byte) []byte {
	var b []byte
	for _, p := range packets {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

// Interleaved returns packets as they are on a connection of RTSP (RFC 2326, 10.12):
// each behind a dollar sign, the channel and its length in 16 bits.
func Interleaved(packets [][]byte, channel byte) []byte {
	var b []byte
	for _, p := range packets {
		b = append(b, '$', channel)
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

// Garbage returns n bytes at random.
func Garbage(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
