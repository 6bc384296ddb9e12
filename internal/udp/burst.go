package udp

import (
	"errors"
	"fmt"
	"net/netip"
)

// A Burst is datagrams that are sent to one receiver after the other. The zero
// value is empty. One goroutine at a time may use it, and it must not be copied.
type Burst struct {
	datagrams [][]byte
	bytes     int
	prepared  prepared // for the system's calls
}

// Add adds a datagram. The Burst keeps it until it is Reset; it must not change
// until then.
func (b *Burst) Add(datagram []byte) {
	b.datagrams = append(b.datagrams, datagram)
	b.bytes += len(datagram)
	b.prepared.forget()
}

// Reset empties b. Its memory is used again.
func (b *Burst) Reset() {
	clear(b.datagrams)
	b.datagrams, b.bytes = b.datagrams[:0], 0
	b.prepared.forget()
}

// Len returns the number of datagrams.
func (b *Burst) Len() int { return len(b.datagrams) }

// Bytes returns the bytes of all datagrams.
func (b *Burst) Bytes() int { return b.bytes }

// ErrAddress is wrapped by the error of [Conn.Send] for an address that cannot
// be sent to.
var ErrAddress = errors.New("udp: not an address to send to")

// Send sends what is in b to one receiver and returns how many bytes of it were
// sent. It does not wait: datagrams that the system cannot take now, or does not
// want to send there, are lost and counted, which is no error. There is one if c
// is closed, and for an address that has no port or is not of c's kind.
func (c *Conn) Send(b *Burst, to netip.AddrPort) (bytes int, err error) {
	if to = unmap(to); !to.IsValid() || to.Port() == 0 {
		return 0, fmt.Errorf("%w: %v", ErrAddress, to)
	}
	if c.raw != nil {
		return c.sendAll(b, to)
	}
	return c.sendEach(b, to)
}
