package codec

// A bitReader reads the most significant bit first. Reading past the end
// yields zeros and sets over; parsers ask once, at the end.
type bitReader struct {
	b    []byte
	pos  int // in bits
	over bool
}

// left returns the number of bits not yet read.
func (r *bitReader) left() int { return len(r.b)*8 - r.pos }

// u reads n bits, at most 32: u(n) of the ITU-T recommendations, f(n) of AV1.
func (r *bitReader) u(n int) uint32 {
	if n > r.left() {
		r.over, r.pos = true, len(r.b)*8
		return 0
	}
	var v uint32
	for range n {
		v = v<<1 | uint32(r.b[r.pos>>3]>>(7-r.pos&7)&1)
		r.pos++
	}
	return v
}

// flag reads one bit.
func (r *bitReader) flag() bool { return r.u(1) == 1 }

// ue reads an Exp-Golomb number: ue(v) of the ITU-T recommendations, uvlc()
// of AV1. One of more than 31 bits counts as past the end.
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		if zeros++; r.over || zeros > 31 {
			r.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// A bitWriter is the reverse of a bitReader.
type bitWriter struct {
	b    []byte
	free int // unused low bits of the last byte
}

// u appends the low n bits of v.
func (w *bitWriter) u(n int, v uint32) {
	for i := n - 1; i >= 0; i-- {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		w.free--
		w.b[len(w.b)-1] |= byte(v>>i&1) << w.free
	}
}
