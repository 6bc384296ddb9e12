package testmedia

// A BitWriter writes bitstream headers, the most significant bit first.
type BitWriter struct {
	b    []byte
	free int // unused low bits of the last byte
}

// U appends the low n bits of v.
func (w *BitWriter) U(n int, v uint32) {
	for i := n - 1; i >= 0; i-- {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		w.free--
		w.b[len(w.b)-1] |= byte(v>>i&1) << w.free
	}
}

// UE appends an Exp-Golomb number (H.264, 9.1).
func (w *BitWriter) UE(v uint32) {
	x, n := uint64(v)+1, 0
	for x>>(n+1) > 0 {
		n++
	}
	w.U(n, 0)
	w.U(1, 1)
	w.U(n, uint32(x)) // without its highest bit
}

// Bytes returns what was written, the last byte filled with zeros.
func (w *BitWriter) Bytes() []byte { return w.b }

// NALU returns what was written, the last byte filled with ones, with
// emulation prevention (H.264, 7.4.1).
func (w *BitWriter) NALU() []byte {
	w.U(w.free, 1<<w.free-1)
	var out []byte
	zeros := 0
	for _, v := range w.b {
		if zeros >= 2 && v <= 3 {
			out, zeros = append(out, 3), 0
		}
		if zeros++; v != 0 {
			zeros = 0
		}
		out = append(out, v)
	}
	return out
}
