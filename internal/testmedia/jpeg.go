package testmedia

import "encoding/binary"

// The tables of ITU-T T.81, annex K, in the order of a DQT or DHT segment: those
// that JPEG over RTP takes for granted (RFC 2435, appendices A and B).
const (
	jpegLuma = "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933" +
		"383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
	jpegChroma = "1112121815182f1a1a2f634238426363636363636363636363636363636363636363" +
		"636363636363636363636363636363636363636363636363636363636363"
	jpegLumaDC   = "00010501010101010100000000000000" + "000102030405060708090a0b"
	jpegChromaDC = "00030101010101010101010000000000" + "000102030405060708090a0b"
	jpegLumaAC   = "0002010303020403050504040000017d" +
		"01020300041105122131410613516107227114328191a1082342b1c11552d1f0" +
		"2433627282090a161718191a25262728292a3435363738393a434445464748494a" +
		"535455565758595a636465666768696a737475767778797a838485868788898a" +
		"92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6" +
		"c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
	jpegChromaAC = "00020102040403040705040400010277" +
		"000102031104052131061241510761711322328108144291a1b1c109233352f0" +
		"156272d10a162434e125f11718191a262728292a35363738393a434445464748" +
		"494a535455565758595a636465666768696a737475767778797a828384858687" +
		"88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3" +
		"c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)

// jpegHeader returns all that precedes the scan's data of a baseline picture
// with 4:2:0 subsampling.
func jpegHeader(width, height int) []byte {
	b := []byte{0xff, 0xd8}
	segment := func(marker byte, body ...[]byte) {
		n := 2
		for _, part := range body {
			n += len(part)
		}
		b = binary.BigEndian.AppendUint16(append(b, 0xff, marker), uint16(n))
		for _, part := range body {
			b = append(b, part...)
		}
	}
	segment(0xdb, []byte{0}, unhex(jpegLuma), []byte{1}, unhex(jpegChroma))
	segment(0xc0, []byte{8, byte(height >> 8), byte(height), byte(width >> 8), byte(width),
		3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1})
	segment(0xc4, []byte{0x00}, unhex(jpegLumaDC), []byte{0x10}, unhex(jpegLumaAC),
		[]byte{0x01}, unhex(jpegChromaDC), []byte{0x11}, unhex(jpegChromaAC))
	segment(0xda, []byte{3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0})
	return b
}

// jpegWriter writes whole pictures that decode: grey, with noise as far as size
// has room for it. One has four bytes at least for each 16x16 pixels.
//
// A grey unit of 16x16 pixels takes 32 bits: six blocks, luminance 00 (DC
// difference 0) 1010 (end of block), chrominance 00 00. After the DC of the
// second block, at the end of the first byte, any number up to 31 of bytes
// 01xx01xx make two coefficients each, of +-2 and +-3.
func jpegWriter(width, height int) headerWriter {
	header := jpegHeader(width, height)
	units := (width + 15) / 16 * ((height + 15) / 16)
	return func(_ picture, _, size int, p *payload) []byte {
		noise := min(max(size-len(header)-2-4*units, 0), 31*units)
		b := append(make([]byte, 0, len(header)+4*units+noise+2), header...)
		for i := range units {
			b = append(b, 0x28)
			from := len(b)
			b = p.append(b, noise*(i+1)/units-noise*i/units)
			for j := from; j < len(b); j++ {
				b[j] = b[j]&0x33 | 0x44
			}
			b = append(b, 0xa2, 0x8a, 0)
		}
		return append(b, 0xff, 0xd9)
	}
}
