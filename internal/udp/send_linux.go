package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel takes as one (udp(7), UDP_SEGMENT): datagrams of one size, of
// which the last may be shorter.
const (
	maxSegments = 64
	maxRun      = 65535 - 20 - 8 // bytes, less the headers of IPv4 and UDP
)

// fast is what a Conn needs to know for sending.
type fast struct {
	six   bool        // the socket is one of IPv6, and may send to IPv4 as well
	each  atomic.Bool // segmentation was refused: it depends on the route's device
	zones atomic.Pointer[zone]
	join  sync.Once // datagrams that come are joined, if the kernel can
}

// A zone is the number of a network interface.
type zone struct {
	name  string
	index uint32
}

// speedUp prepares c for sending many datagrams with a call.
func (c *Conn) speedUp() {
	var raw syscall.RawConn = c.quiet
	var err error
	if c.quiet == nil {
		raw, err = c.udp.SyscallConn()
	}
	if err != nil {
		return
	}
	var domain int
	var errGet error
	err = raw.Control(func(fd uintptr) {
		domain, errGet = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	})
	if err != nil || errGet != nil || domain != unix.AF_INET && domain != unix.AF_INET6 {
		return
	}
	c.raw, c.fast.six = raw, domain == unix.AF_INET6
}

// prepared is a Burst as sendmmsg takes it. All of it is made once, and points
// to one address, which changes from receiver to receiver.
type prepared struct {
	made    bool
	vectors []unix.Iovec // a datagram each
	runs    messages     // as long as the kernel takes
	singles messages     // a datagram each; made when needed
	to      unix.RawSockaddrInet6

	// Of the call that is being made.
	call func(fd uintptr) bool // once, made but once
	rest []unix.Mmsghdr
	n    int
	err  unix.Errno
}

// messages are what sendmmsg takes.
type messages struct {
	headers  []unix.Mmsghdr
	controls []control // room for the headers'
	ends     []int     // the datagram after a message's last one
}

// A control tells the kernel where to cut a message (cmsg(3)).
type control struct {
	header unix.Cmsghdr
	size   uint16
	_      [6]byte
}

func (p *prepared) forget() {
	if p.made {
		clear(p.vectors)
		p.made = false
	}
}

// prepare makes vectors and runs of the datagrams.
func (p *prepared) prepare(datagrams [][]byte) {
	if p.made {
		return
	}
	p.made = true
	if p.call == nil {
		p.call = p.once
	}
	p.vectors = p.vectors[:0]
	for _, d := range datagrams {
		v := unix.Iovec{Base: unsafe.SliceData(d)}
		v.SetLen(len(d))
		p.vectors = append(p.vectors, v)
	}
	p.singles.reset(0)
	p.runs.reset(len(datagrams))
	for i := 0; i < len(datagrams); {
		n := run(datagrams[i:])
		p.add(&p.runs, i, n, len(datagrams[i]))
		i += n
	}
}

// run returns how many of the datagrams can be sent as one.
func run(datagrams [][]byte) int {
	size := len(datagrams[0])
	if size == 0 {
		return 1
	}
	n, total := 1, size
	for _, d := range datagrams[1:] {
		if n == maxSegments || len(d) == 0 || len(d) > size || total+len(d) > maxRun {
			break
		}
		n++
		total += len(d)
		if len(d) < size {
			break
		}
	}
	return n
}

// split makes singles.
func (p *prepared) split() {
	if len(p.singles.headers) == 0 {
		p.singles.reset(len(p.vectors))
		for i := range p.vectors {
			p.add(&p.singles, i, 1, 0)
		}
	}
}

// reset empties m and makes room, so that pointers into it stay right.
func (m *messages) reset(size int) {
	if cap(m.headers) < size {
		m.headers, m.controls, m.ends = make([]unix.Mmsghdr, 0, size), make([]control, 0, size), make([]int, 0, size)
	}
	m.headers, m.controls, m.ends = m.headers[:0], m.controls[:0], m.ends[:0]
}

// add adds a message of n vectors from the one at i, to be cut into pieces of
// size bytes.
func (p *prepared) add(m *messages, i, n, size int) {
	var h unix.Mmsghdr
	// The kernel takes the address of IPv4 from the same place.
	h.Hdr.Name, h.Hdr.Namelen = (*byte)(unsafe.Pointer(&p.to)), unix.SizeofSockaddrInet6
	h.Hdr.Iov = &p.vectors[i]
	h.Hdr.SetIovlen(n)
	if n > 1 {
		c := control{size: uint16(size)}
		c.header.Level, c.header.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		c.header.SetLen(unix.CmsgLen(2))
		m.controls = append(m.controls, c)
		h.Hdr.Control = (*byte)(unsafe.Pointer(&m.controls[len(m.controls)-1]))
		h.Hdr.SetControllen(unix.CmsgSpace(2))
	}
	m.headers = append(m.headers, h)
	m.ends = append(m.ends, i+n)
}

// once makes the system call. It reports that it is not to be called again.
func (p *prepared) once(fd uintptr) bool {
	for {
		// It does not wait. The scheduler is not told: it would give the processor
		// to others for as long as the kernel takes, and the caller would have to
		// get it back, for every receiver.
		n, _, err := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p.rest))), uintptr(len(p.rest)),
			unix.MSG_DONTWAIT, 0, 0)
		if err != unix.EINTR {
			if p.n, p.err = int(n), err; err != 0 {
				p.n = 0
			}
			return true
		}
	}
}

// sendAll sends b with as few calls as the kernel allows, mostly one.
func (c *Conn) sendAll(b *Burst, to netip.AddrPort) (bytes int, err error) {
	p := &b.prepared
	p.prepare(b.datagrams)
	if err := c.address(&p.to, to); err != nil {
		return 0, err
	}
	m := &p.runs
	if c.fast.each.Load() {
		p.split()
		m = &p.singles
	}
	sent := 0 // datagrams that were sent or dropped
	for i := 0; i < len(m.headers); {
		p.rest = m.headers[i:]
		err := c.raw.Write(p.call)
		p.rest = nil
		if err != nil {
			return bytes, err
		}
		if p.n > 0 {
			i += p.n
			for ; sent < m.ends[i-1]; sent++ {
				bytes += len(b.datagrams[sent])
			}
			continue
		}
		switch {
		case p.err == unix.EAGAIN || p.err == unix.ENOBUFS || p.err == unix.ENOMEM:
			c.dropped.Add(uint64(len(b.datagrams) - sent))
			return bytes, nil
		case m.ends[i]-sent > 1 && refusesRuns(p.err):
			// The way there cannot do it: its device has no checksums, or a smaller
			// MTU than the datagrams. It will not learn it.
			c.fast.each.Store(true)
			p.split()
			m, i = &p.singles, sent
		default: // a firewall's, a host's that does not answer, or too long
			c.dropped.Add(uint64(m.ends[i] - sent))
			sent = m.ends[i]
			i++
		}
	}
	return bytes, nil
}

// refusesRuns reports whether the kernel may take the datagrams of a run one by
// one.
func refusesRuns(err unix.Errno) bool {
	switch err {
	case unix.EIO, unix.EINVAL, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENOPROTOOPT:
		return true
	}
	return false
}

// address writes to as the kernel wants it for c's socket.
func (c *Conn) address(at *unix.RawSockaddrInet6, to netip.AddrPort) error {
	ip, port := to.Addr(), to.Port()
	order := [2]byte{byte(port >> 8), byte(port)}
	if c.fast.six {
		*at = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: ip.As16()}
		*(*[2]byte)(unsafe.Pointer(&at.Port)) = order
		if name := ip.Zone(); name != "" {
			index, err := c.zone(name)
			if err != nil {
				return err
			}
			at.Scope_id = index
		}
		return nil
	}
	if !ip.Is4() {
		return fmt.Errorf("%w of IPv4: %v", ErrAddress, to)
	}
	at4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(at))
	*at4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip.As4()}
	*(*[2]byte)(unsafe.Pointer(&at4.Port)) = order
	return nil
}

// zone returns the number of a zone.
func (c *Conn) zone(name string) (uint32, error) {
	if z := c.fast.zones.Load(); z != nil && z.name == name {
		return z.index, nil
	}
	z := &zone{name: name}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		z.index = uint32(n)
	} else {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return 0, errors.Join(ErrAddress, err)
		}
		z.index = uint32(ifi.Index)
	}
	c.fast.zones.Store(z)
	return z.index, nil
}

// forceReadBuffer asks for a receive buffer beyond what the system grants to
// everybody, which a privileged process may have.
func (c *Conn) forceReadBuffer(size int) {
	if c.raw != nil && c.readBuffer() < size {
		_ = c.raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		})
	}
}

// readBuffer returns the size of the receive buffer, 0 if it cannot be known.
// The kernel counts its own needs in and says twice what was asked for.
func (c *Conn) readBuffer() (size int) {
	if c.raw != nil {
		_ = c.raw.Control(func(fd uintptr) {
			size, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		})
	}
	return size / 2
}

// kernelDrops returns how many datagrams the system has dropped, 0 if that cannot be
// known.
func (c *Conn) kernelDrops() uint64 {
	if c.raw == nil {
		return 0
	}
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_ = c.raw.Control(func(fd uintptr) {
		_, _, _ = unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	})
	return uint64(info[unix.SK_MEMINFO_DROPS])
}

// groupOnly keeps datagrams from c that are sent to groups others on this host
// have joined. Systems other than Linux do that by themselves.
func (c *Conn) groupOnly() {
	if c.raw == nil {
		return
	}
	_ = c.raw.Control(func(fd uintptr) {
		if c.fast.six {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0)
		} else {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0)
		}
	})
}
