package codec

import "bytes"

// adtsHeader is the length of an ADTS header without a checksum, in bytes.
const adtsHeader = 7

// AppendADTS appends raw, a frame of the AAC track t, after its ADTS header
// (ISO/IEC 14496-3, 1.A.2.2) to dst and returns the extended slice. The error
// wraps [ErrInvalid] if ADTS cannot carry it: an object type other than Main,
// LC, SSR and LTP (HE-AAC goes as its core, which decoders expect), an unusual
// sample rate, a frame above 8184 bytes.
func AppendADTS(dst []byte, t *Track, raw []byte) ([]byte, error) {
	a, err := parseASC(t.Config)
	if err != nil {
		return dst, err
	}
	size := adtsHeader + len(raw)
	if a.core > aotLTP || a.rateIndex == escapeRate || a.channels > 7 || size > 0x1fff {
		return dst, invalid("ADTS with object type %d, %d Hz, %d bytes", a.core, a.rate, size)
	}
	dst = append(dst,
		0xff, 0xf1, // syncword, MPEG-4, no checksum
		byte(a.core-1)<<6|byte(a.rateIndex)<<2|byte(a.channels>>2),
		byte(a.channels<<6)|byte(size>>11),
		byte(size>>3),
		byte(size<<5)|0x1f, // buffer fullness 0x7ff: variable rate
		0xfc)
	return append(dst, raw...), nil
}

// SplitADTS splits b, whole ADTS frames, into the AudioSpecificConfig that
// holds for all of them and the raw frames, which alias b. If the last frame
// is cut, the ones before it are returned with an error that wraps
// [io.ErrUnexpectedEOF] and [ErrInvalid]; other errors wrap ErrInvalid only: no
// syncword, a header that differs from the first, several blocks in a frame.
func SplitADTS(b []byte) (config []byte, raws [][]byte, err error) {
	var first []byte
	for len(b) > 0 {
		size, err := ADTSFrameSize(b)
		if err != nil {
			return config, raws, err
		}
		if first == nil {
			first = b
			a := asc{
				core:      int(b[2]>>6) + 1,
				rateIndex: int(b[2] >> 2 & 15),
				channels:  int(b[2]&1<<2 | b[3]>>6),
			}
			config = a.append(nil)
		} else if !bytes.Equal(first[1:3], b[1:3]) || first[3]>>6 != b[3]>>6 {
			return config, raws, invalid("ADTS header differs from the one before")
		}
		if size > len(b) {
			return config, raws, short("ADTS frame")
		}
		header := adtsHeader
		if b[1]&1 == 0 {
			header += 2 // checksum
		}
		if size > header {
			raws = append(raws, b[header:size:size])
		}
		b = b[size:]
	}
	return config, raws, nil
}

// ADTSFrameSize returns the length of the ADTS frame that b begins with,
// header included; it may exceed len(b). Errors wrap [ErrInvalid], and
// [io.ErrUnexpectedEOF] while b is shorter than a header.
func ADTSFrameSize(b []byte) (int, error) {
	if len(b) < adtsHeader {
		return 0, short("ADTS header")
	}
	if b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return 0, invalid("no ADTS syncword")
	}
	size := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	switch {
	case int(b[2]>>2&15) >= len(aacRates):
		return 0, invalid("ADTS sampling frequency index %d", b[2]>>2&15)
	case size < adtsHeader || b[1]&1 == 0 && size < adtsHeader+2:
		return 0, invalid("ADTS frame of %d bytes", size)
	case b[6]&3 != 0:
		return 0, invalid("ADTS frame of %d blocks", b[6]&3+1)
	}
	return size, nil
}
