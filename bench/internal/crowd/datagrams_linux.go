package crowd

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// datagrams is how many are taken with one system call.
const datagrams = 64

// A message is what recvmmsg(2) calls a struct mmsghdr.
type message struct {
	header syscall.Msghdr
	n      uint32 // bytes of the datagram
}

// A receiver takes datagrams off sockets.
type receiver struct {
	buf      []byte
	size     int // of the part of buf for each
	vectors  [datagrams]syscall.Iovec
	messages [datagrams]message
}

// newReceiver returns a receiver that keeps the first size bytes of each datagram.
func newReceiver(size int) *receiver {
	r := &receiver{buf: make([]byte, datagrams*size), size: size}
	for i := range r.messages {
		r.vectors[i].Base = &r.buf[i*size]
		r.vectors[i].SetLen(size)
		r.messages[i].header.Iov = &r.vectors[i]
		r.messages[i].header.Iovlen = 1
	}
	return r
}

// read takes what has come, as much of it as fits, and returns how many datagrams.
func (r *receiver) read(fd, flags int) (int, error) {
	n, _, e := syscall.Syscall6(syscall.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.messages[0])), datagrams, uintptr(flags), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// datagram returns what was kept of datagram i, and its size.
func (r *receiver) datagram(i int) (b []byte, size int) {
	size = int(r.messages[i].n)
	return r.buf[i*r.size:][:min(size, r.size)], size
}

// sequence returns the sequence number of a datagram with an RTP packet
// (RFC 3550, 5.1).
func sequence(b []byte) (uint16, bool) {
	if len(b) < 4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[2:]), true
}
