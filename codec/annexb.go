package codec

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
)

// startCode separates NAL units in the byte stream format (ITU-T H.264 and
// H.265, Annex B). A zero byte before it belongs to it too.
var startCode = []byte{0, 0, 1}

// SplitAnnexB yields the NAL units of an access unit in the byte stream format
// (ITU-T H.264 and H.265, Annex B), with start codes of three or four bytes and
// trailing zeros removed. Bytes before the first start code are skipped, empty
// units left out. The slices alias au.
func SplitAnnexB(au []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { yieldAnnexB(au, yield) }
}

// yieldAnnexB is apart for the same reason as yieldNALUs.
func yieldAnnexB(au []byte, yield func([]byte) bool) {
	_, b, ok := bytes.Cut(au, startCode)
	for ok {
		var nalu []byte
		nalu, b, ok = bytes.Cut(b, startCode)
		for len(nalu) > 0 && nalu[len(nalu)-1] == 0 {
			nalu = nalu[:len(nalu)-1]
		}
		if len(nalu) > 0 && !yield(nalu[:len(nalu):len(nalu)]) {
			return
		}
	}
}

// AnnexBToAVC appends the NAL units of au, which is in the byte stream format,
// to dst, each after its length in 4 bytes (ISO/IEC 14496-15, 5.3.3.1.2), and
// returns the extended slice. It keeps every unit; [ParseAnnexB] makes frame
// data. Without any NAL unit in au the error wraps [ErrInvalid].
func AnnexBToAVC(dst, au []byte) ([]byte, error) {
	start := len(dst)
	for nalu := range SplitAnnexB(au) {
		if len(dst) == start {
			dst = slices.Grow(dst, len(au)+4)
		}
		dst = appendNALU(dst, nalu)
	}
	if len(dst) == start {
		return dst, invalid("no NAL unit in %d bytes of Annex B", len(au))
	}
	return dst, nil
}

// AVCToAnnexB appends the NAL units of data, which has 4-byte lengths, to dst,
// each after a 4-byte start code, and returns the extended slice. The result
// is as long as data unless that has empty units, which are left out. A length
// that exceeds data is an error wrapping [ErrInvalid]; dst is then returned as
// it was.
func AVCToAnnexB(dst, data []byte) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, len(data))
	for b := data; len(b) > 0; {
		nalu, rest, err := cutNALU(b, 4)
		if err != nil {
			return dst[:start], err
		}
		if len(nalu) > 0 {
			dst = append(dst, 0, 0, 0, 1)
			dst = append(dst, nalu...)
		}
		b = rest
	}
	return dst, nil
}

// appendNALU appends a NAL unit after its length in 4 bytes.
func appendNALU(dst, nalu []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(nalu)))
	return append(dst, nalu...)
}

// cutNALU returns the first NAL unit of b, whose length is written in
// lengthSize bytes (1, 2 or 4), and what follows it.
func cutNALU(b []byte, lengthSize int) (nalu, rest []byte, err error) {
	if len(b) < lengthSize {
		return nil, nil, short("NAL unit length")
	}
	var n uint64
	switch lengthSize {
	case 1:
		n = uint64(b[0])
	case 2:
		n = uint64(binary.BigEndian.Uint16(b))
	default:
		n = uint64(binary.BigEndian.Uint32(b))
	}
	b = b[lengthSize:]
	if n > uint64(len(b)) {
		return nil, nil, short("NAL unit")
	}
	return b[:n:n], b[n:], nil
}
