package udp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// atOnce is how many messages a call may yield. Each of them is a datagram, or
// several of one sender that the kernel has joined (UDP_GRO), 64 at most.
const atOnce = 32

// slot is the distance of messages in a Batch's memory. If it were a power of two,
// they would all be in the same few lines of the processor's caches.
const slot = maxDatagram + 1536

// arrival is what a Batch needs for the system's calls.
type arrival struct {
	headers  []unix.Mmsghdr
	vectors  []unix.Iovec
	controls []joined
	names    []unix.RawSockaddrInet6
	zone     zone // of the latest sender that had one

	// Of the call that is being made.
	call func(fd uintptr) bool // once, made but once
	n    int
	err  unix.Errno
}

// A joined is what the kernel tells of datagrams that it has joined (cmsg(3)).
type joined struct {
	header unix.Cmsghdr
	size   int32 // of each, but the last may be shorter
	_      [4]byte
}

// prepare makes b's memory, once.
func (b *Batch) prepare() {
	a := &b.arrival
	if a.call != nil {
		return
	}
	a.call = b.once
	b.memory = make([]byte, atOnce*slot)
	a.headers, a.vectors = make([]unix.Mmsghdr, atOnce), make([]unix.Iovec, atOnce)
	a.controls, a.names = make([]joined, atOnce), make([]unix.RawSockaddrInet6, atOnce)
	for i := range a.headers {
		a.vectors[i].Base = &b.memory[i*slot]
		a.vectors[i].SetLen(maxDatagram)
		h := &a.headers[i].Hdr
		h.Iov = &a.vectors[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&a.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&a.controls[i]))
	}
	a.renew(atOnce)
}

// renew makes the first n headers ready: what the kernel was told has become what
// it tells.
func (a *arrival) renew(n int) {
	for i := range a.headers[:n] {
		h := &a.headers[i].Hdr
		h.Namelen, h.Flags = unix.SizeofSockaddrInet6, 0
		h.SetControllen(unix.CmsgSpace(4))
	}
}

// once makes the system call. It reports whether there was something to tell.
func (b *Batch) once(fd uintptr) bool {
	a := &b.arrival
	for {
		// It does not wait; see prepared.once.
		n, _, err := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(unsafe.SliceData(a.headers))), uintptr(len(a.headers)),
			unix.MSG_DONTWAIT, 0, 0)
		switch err {
		case unix.EINTR:
			continue
		case 0:
			a.n, a.err = int(n), 0
		default:
			a.n, a.err = 0, err
		}
		return err != unix.EAGAIN
	}
}

// readMany is ReadBatch with one system call.
func (c *Conn) readMany(b *Batch) error {
	c.fast.join.Do(func() { joinSegments(c.raw) })
	b.prepare()
	if err := c.raw.Read(b.arrival.call); err != nil {
		return err
	}
	return b.unpack()
}

// joinSegments has the kernel join datagrams that came from one sender, where it
// can: what was one through most of the kernel need not be cut for us.
func joinSegments(raw syscall.RawConn) {
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) })
}

// unpack makes datagrams of the messages that have come.
func (b *Batch) unpack() error {
	a := &b.arrival
	if a.err != 0 {
		return fmt.Errorf("udp: %w", os.NewSyscallError("recvmmsg", a.err))
	}
	for i := range a.headers[:a.n] {
		m := &a.headers[i]
		if m.Hdr.Flags&unix.MSG_TRUNC != 0 {
			continue // there is no such datagram
		}
		b.senders = append(b.senders, a.sender(&a.names[i], m.Hdr.Namelen))
		begin, end := i*slot, i*slot+int(m.Len)
		if size := a.controls[i].segments(&m.Hdr); size > 0 {
			for ; end-begin > size; begin += size {
				b.add(begin, begin+size)
			}
		}
		b.add(begin, end)
	}
	a.renew(a.n)
	return nil
}

// segments returns the size of datagrams that were joined, 0 if none were.
func (c *joined) segments(h *unix.Msghdr) int {
	if int(h.Controllen) < unix.CmsgLen(4) || c.header.Level != unix.SOL_UDP || c.header.Type != unix.UDP_GRO {
		return 0
	}
	return int(c.size)
}

// sender returns the address that the kernel has written.
func (a *arrival) sender(at *unix.RawSockaddrInet6, size uint32) netip.AddrPort {
	order := (*[2]byte)(unsafe.Pointer(&at.Port)) // of IPv4 it is in the same place
	port := uint16(order[0])<<8 | uint16(order[1])
	switch {
	case at.Family == unix.AF_INET && size >= unix.SizeofSockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(at)).Addr), port)
	case at.Family == unix.AF_INET6 && size >= unix.SizeofSockaddrInet6:
		ip := netip.AddrFrom16(at.Addr).Unmap()
		if at.Scope_id != 0 && ip.Is6() {
			ip = ip.WithZone(a.zoneOf(at.Scope_id))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}

// zoneOf returns the name of a zone.
func (a *arrival) zoneOf(index uint32) string {
	if a.zone.index != index {
		a.zone = zone{strconv.FormatUint(uint64(index), 10), index}
		if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
			a.zone.name = ifi.Name
		}
	}
	return a.zone.name
}
