package listen

import (
	"net"
	"time"
)

// A Patience bounds how long a peer may be silent.
type Patience struct {
	Silence time.Duration // 0: as long as it likes

	heard time.Time // when the deadline was last moved
}

// Read reads from nc. It fails with os.ErrDeadlineExceeded when the peer has been
// silent for too long, by up to a 64th less than Silence.
func (p *Patience) Read(nc net.Conn, b []byte) (int, error) {
	if p.Silence > 0 {
		// Moving the deadline costs as much as a small read: it is done now and then.
		if now := time.Now(); now.Sub(p.heard) > p.Silence/64 {
			p.heard = now
			_ = nc.SetReadDeadline(now.Add(p.Silence))
		}
	}
	return nc.Read(b)
}

// Hear reads from nc until that fails or take does, for peers who have little to
// say and of whom there are many. What came, which is in buf, is handed to take
// in a goroutine of its own, guarded for the session of raw, so that the stack of
// this one stays at the 2 KB it begins with: stacks that have grown do not shrink,
// and this one is a quarter of what a viewer costs.
func (v *Serving) Hear(raw, nc net.Conn, buf []byte, take func(b []byte) error) error {
	for {
		n, err := nc.Read(buf)
		if n > 0 {
			taken := make(chan error)
			go func() { taken <- v.Guard(raw, func() error { return take(buf[:n]) }) }()
			if err := <-taken; err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
