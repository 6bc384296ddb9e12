package rtptest

import (
	"bytes"
	"math/rand/v2"
)

// Faults are those of a network. The zero value has none; equal ones do the same
// to equal packets.
type Faults struct {
	Seed      uint64
	Loss      float64 // probability that a packet is lost
	Duplicate float64 // that it comes twice
	Reorder   float64 // that it comes up to Distance packets late
	Distance  int     // 0 means 8
	Garbage   float64 // that a datagram of up to 2000 bytes at random comes before it
	Spoil     float64 // that one of its bytes is another
}

// Apply returns packets as they arrive. It leaves those it is given as they are.
func (f Faults) Apply(packets [][]byte) [][]byte {
	r := rand.New(rand.NewPCG(f.Seed, 1))
	distance := f.Distance
	if distance <= 0 {
		distance = 8
	}
	due := map[int][][]byte{} // late ones, by the packet that they come after
	var out [][]byte
	for i, p := range packets {
		if r.Float64() < f.Garbage {
			out = append(out, Garbage(r.IntN(2001), r.Uint64()))
		}
		if r.Float64() < f.Spoil && len(p) > 0 {
			p = bytes.Clone(p)
			p[r.IntN(len(p))] ^= byte(1 + r.IntN(255))
		}
		switch {
		case r.Float64() < f.Loss:
		case r.Float64() < f.Reorder:
			at := min(i+1+r.IntN(distance), len(packets)-1)
			due[at] = append(due[at], p)
		default:
			out = append(out, p)
			if r.Float64() < f.Duplicate {
				out = append(out, p)
			}
		}
		out = append(out, due[i]...)
	}
	return out
}
