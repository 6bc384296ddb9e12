package pes

// CRC returns the checksum of sections and of program stream maps (13818-1, annex
// A): 0 for one that has its own at the end. They are short, and looked at only
// when they change.
func CRC(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v) << 24
		for range 8 {
			crc = crc<<1 ^ 0x04c11db7&-(crc>>31)
		}
	}
	return crc
}
