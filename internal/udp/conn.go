package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Conn is a UDP port. It is ready for use by several goroutines.
type Conn struct {
	pc      net.PacketConn  // nil: quiet
	quiet   *quiet          // instead of pc: a socket of our own
	udp     *net.UDPConn    // pc, or nil if it is something else
	raw     syscall.RawConn // of udp or quiet, where a Send can be one system call, or nil
	fast    fast            // what that needs to know
	release func()          // gives the port back; nil: it belongs to nobody
	closed  sync.Once
	dropped atomic.Uint64
	asked   atomic.Int64  // size of the receive buffer, as far as one was asked for
	drops   atomic.Uint64 // the system's when it was closed
	whole   bool          // Watch hands over datagrams of any length on all systems
}

// NewConn returns a Conn that reads and writes pc, and closes it.
func NewConn(pc net.PacketConn) *Conn {
	c := &Conn{pc: pc}
	if c.udp, _ = pc.(*net.UDPConn); c.udp != nil {
		c.speedUp()
	}
	return c
}

// LocalAddr returns the port's address.
func (c *Conn) LocalAddr() netip.AddrPort {
	if c.quiet != nil {
		return c.quiet.addr
	}
	a, _ := addrPort(c.pc.LocalAddr())
	return a
}

// Close closes the port and gives it back.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.closed.Do(func() {
		c.drops.Store(c.kernelDrops())
		if c.quiet != nil {
			err = c.quiet.Close()
		} else {
			err = c.pc.Close()
		}
		if c.release != nil {
			c.release()
		}
	})
	return err
}

// ReadFrom reads a datagram into b and returns who sent it, IPv4 addresses in
// their own form. What does not fit into b is lost. It does not allocate. A port
// of QuietPair cannot be read, but with Watch.
func (c *Conn) ReadFrom(b []byte) (n int, from netip.AddrPort, err error) {
	if c.quiet != nil {
		return 0, from, errors.ErrUnsupported
	}
	if c.udp != nil {
		n, from, err = c.udp.ReadFromUDPAddrPort(b)
		return n, unmap(from), err
	}
	n, a, err := c.pc.ReadFrom(b)
	if err != nil {
		return n, from, err
	}
	from, err = addrPort(a)
	return n, from, err
}

// WriteTo sends a datagram. It may wait until the system takes it, or the write
// deadline; [Conn.Send] does not.
func (c *Conn) WriteTo(b []byte, to netip.AddrPort) (int, error) {
	if c.quiet != nil {
		var one Burst
		one.Add(b)
		return c.Send(&one, to)
	}
	if c.udp != nil {
		return c.udp.WriteToUDPAddrPort(b, to)
	}
	return c.pc.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// SetReadDeadline bounds all ReadFrom, as for a net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if c.quiet != nil {
		return errors.ErrUnsupported
	}
	return c.pc.SetReadDeadline(t)
}

// shortDatagram is the longest datagram that Watch hands over as a whole where each
// port needs a buffer and is not for more.
const shortDatagram = 2 << 10

// Watch calls fn with each datagram that comes to c, one after the other, until c is
// closed; b is good until fn returns, which must not wait. Where that takes a
// goroutine for c alone, start is called with what it is to do; else a few listen to
// all ports that are watched. It may be called once. While c is being closed fn may
// be called once more.
func (c *Conn) Watch(start func(loop func()), fn func(b []byte, from netip.AddrPort)) error {
	if c.quiet != nil {
		return c.quiet.watch(fn)
	}
	start(func() {
		b := make([]byte, shortDatagram)
		if c.whole {
			b = make([]byte, maxDatagram)
		}
		const tolerated = 100 // errors in a row: some systems report what became of datagrams sent
		for errs := 0; errs < tolerated; {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				errs++
				continue
			}
			errs = 0
			fn(b[:n], from)
		}
	})
	return nil
}

// Dropped returns how many datagrams Send could not send.
func (c *Conn) Dropped() uint64 { return c.dropped.Load() }

// KernelDrops returns how many datagrams the system has dropped that came to c,
// mostly because its receive buffer was full: at least so many, for several of one
// sender may count as one. It is 0 on systems other than Linux, which do not tell,
// and stays what it is when c is closed.
func (c *Conn) KernelDrops() uint64 { return max(c.kernelDrops(), c.drops.Load()) }

// SetReadBuffer asks the system to keep up to size bytes of datagrams that were
// not read, and returns what it grants, which may be less. A privileged process is
// granted more than others.
func (c *Conn) SetReadBuffer(size int) int {
	if c.quiet != nil {
		c.quiet.setReadBuffer(size)
		c.forceReadBuffer(size)
	}
	if b, ok := c.pc.(interface{ SetReadBuffer(bytes int) error }); ok {
		const least = 32 << 10
		for ; size >= least; size /= 2 { // some systems refuse what is too much
			if b.SetReadBuffer(size) == nil {
				c.asked.Store(int64(size))
				break
			}
		}
		c.forceReadBuffer(size)
	}
	return c.ReadBuffer()
}

// ReadBuffer returns the size of the system's receive buffer in bytes, 0 if that
// is not known.
func (c *Conn) ReadBuffer() int {
	if n := c.readBuffer(); n > 0 {
		return n
	}
	return int(c.asked.Load())
}

func (c *Conn) setWriteBuffer(size int) {
	if c.quiet != nil {
		c.quiet.setWriteBuffer(size)
	}
	if b, ok := c.pc.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = b.SetWriteBuffer(size) // what was granted before serves, too
	}
}

// addrPort returns the address in a.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmap(u.AddrPort()), nil
	}
	if a == nil {
		return netip.AddrPort{}, fmt.Errorf("udp: no address")
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return ap, fmt.Errorf("udp: %w", err)
	}
	return unmap(ap), nil
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
