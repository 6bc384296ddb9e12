package udp

import (
	"errors"
	"net/netip"
)

// maxDatagram is more than the bytes of any datagram: UDP's field for its length
// has 16 bits.
const maxDatagram = 64 << 10

// A Batch is datagrams that came to a [Conn]. The zero value is empty. Its memory,
// 2 MiB of which what was needed once is resident, is used again by the next
// [Conn.ReadBatch]. One goroutine at a time may use it, and it must not be copied.
type Batch struct {
	parts   []part
	senders []netip.AddrPort
	memory  []byte // parts are of it
	arrival arrival
}

// A part is a datagram.
type part struct {
	begin, end int32 // in memory
	sender     int32
}

// Len returns the number of datagrams.
func (b *Batch) Len() int { return len(b.parts) }

// Datagram returns the ith datagram and who sent it, IPv4 addresses in their own
// form. It is good until the next ReadBatch; until then, b's user may change it.
func (b *Batch) Datagram(i int) (data []byte, from netip.AddrPort) {
	p := b.parts[i]
	return b.memory[p.begin:p.end:p.end], b.senders[p.sender]
}

// ReadBatch waits for a datagram and puts it into b, together with as many more as
// are there and b has room for: on Linux those that one system call yields, one
// elsewhere. Whatever their length is, they come whole and in order. It does not
// allocate once b was used. The read deadline holds for it. A Conn that was read
// with ReadBatch must not be read with ReadFrom afterwards, for which datagrams may
// be joined; a port that was opened to be quiet cannot be read, but with Watch.
func (c *Conn) ReadBatch(b *Batch) error {
	b.clear()
	if c.quiet != nil {
		return errors.ErrUnsupported
	}
	if c.raw != nil {
		return c.readMany(b)
	}
	if b.memory == nil {
		b.memory = make([]byte, maxDatagram)
	}
	n, from, err := c.ReadFrom(b.memory)
	if err != nil {
		return err
	}
	b.senders = append(b.senders, from)
	b.add(0, n)
	return nil
}

// clear empties b.
func (b *Batch) clear() { b.parts, b.senders = b.parts[:0], b.senders[:0] }

// add adds a datagram of the sender that was added last.
func (b *Batch) add(begin, end int) {
	b.parts = append(b.parts, part{int32(begin), int32(end), int32(len(b.senders) - 1)})
}
