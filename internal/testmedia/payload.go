package testmedia

import "math/rand/v2"

// A payload hands out pseudo-random bytes. None is zero, so that they hold no
// start code and need no emulation prevention.
type payload struct {
	block []byte
	pos   int
}

func newPayload(seed uint64) *payload {
	p := &payload{block: make([]byte, 64<<10)}
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range p.block {
		p.block[i] = byte(1 + r.IntN(255))
	}
	return p
}

// append appends n bytes to b.
func (p *payload) append(b []byte, n int) []byte {
	for n > 0 {
		part := p.block[p.pos:]
		part = part[:min(n, len(part))]
		b = append(b, part...)
		n -= len(part)
		p.pos = (p.pos + len(part)) % (len(p.block) - 1) // not in step with frame sizes
	}
	return b
}
