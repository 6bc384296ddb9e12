package floor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of an Ingest.
const (
	ingestAtOnce = 64
	ingestSlot   = 64<<10 + 1536 // so that the processor's caches have all of them
	ingestBuffer = 32 << 20      // what the system is asked to keep, of each socket
)

// An Ingest is the least that receiving RTP takes: one thread that reads all
// sockets with recvmmsg, which waits itself if there is but one, lets the kernel
// join datagrams (UDP_GRO), and looks at their sequence numbers.
type Ingest struct {
	fds    []int
	addrs  []netip.AddrPort
	epoll  int
	buffer int // bytes, as granted
	done   sync.WaitGroup
	end    atomic.Bool

	mu   sync.Mutex // guards what follows
	next map[uint32]uint16
	sum  Ingested
}

// Ingested is what came.
type Ingested struct {
	Streams             int
	Packets, Lost, Drop uint64
	Buffer              int // of a socket, bytes
}

// patience is how long the thread waits before it looks whether this is the end.
const patience = 100 * time.Millisecond

// StartIngest opens so many sockets and reads them until Close.
func StartIngest(sockets int) (i *Ingest, err error) {
	i = &Ingest{next: map[uint32]uint16{}, epoll: -1}
	defer func() {
		if err != nil {
			i.close()
		}
	}()
	if i.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	for n := range sockets {
		if err := i.open(int32(n)); err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
	}
	run := i.run
	if sockets == 1 {
		timeout := unix.NsecToTimeval(patience.Nanoseconds())
		if err := unix.SetsockoptTimeval(i.fds[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		run = i.runOne
	}
	i.done.Go(run)
	return i, nil
}

// open opens one more socket.
func (i *Ingest) open(n int32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	i.fds = append(i.fds, fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	a, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	at, ok := a.(*unix.SockaddrInet4)
	if !ok {
		return errors.New("a socket without a port")
	}
	i.addrs = append(i.addrs, netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)))
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, ingestBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, ingestBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
	if size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
		i.buffer = size / 2 // the kernel says twice what was asked for
	}
	return unix.EpollCtl(i.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: n})
}

// Addrs returns the addresses of the sockets.
func (i *Ingest) Addrs() []netip.AddrPort { return i.addrs }

// Stats returns what has come so far.
func (i *Ingest) Stats() Ingested {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.sum
	s.Streams, s.Buffer = len(i.next), i.buffer
	for _, fd := range i.fds {
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, _ = unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		s.Drop += uint64(info[unix.SK_MEMINFO_DROPS])
	}
	return s
}

// Close ends it.
func (i *Ingest) Close() {
	i.end.Store(true)
	i.done.Wait()
	i.close()
}

func (i *Ingest) close() {
	for _, fd := range i.fds {
		_ = unix.Close(fd)
	}
	if i.epoll >= 0 {
		_ = unix.Close(i.epoll)
	}
}

// messages are what a call reads.
type messages struct {
	memory   []byte
	headers  []unix.Mmsghdr
	vectors  []unix.Iovec
	controls []joined
}

// A joined tells how the kernel has joined datagrams (cmsg(3)).
type joined struct {
	header unix.Cmsghdr
	size   int32 // of each, but the last may be shorter
	_      [4]byte
}

func newMessages() *messages {
	m := &messages{
		memory:  make([]byte, ingestAtOnce*ingestSlot),
		headers: make([]unix.Mmsghdr, ingestAtOnce), vectors: make([]unix.Iovec, ingestAtOnce), controls: make([]joined, ingestAtOnce),
	}
	for k := range m.headers {
		m.vectors[k].Base = &m.memory[k*ingestSlot]
		m.vectors[k].SetLen(64 << 10)
		h := &m.headers[k].Hdr
		h.Iov = &m.vectors[k]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&m.controls[k]))
	}
	return m
}

// read reads from a socket and returns the number of messages.
func (m *messages) read(fd, flags int) int {
	for k := range m.headers {
		m.headers[k].Hdr.SetControllen(unix.CmsgSpace(4))
	}
	n, _, err := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.headers[0])), uintptr(len(m.headers)), uintptr(flags), 0, 0)
	if err != 0 {
		return 0
	}
	return int(n)
}

// run reads all sockets until the end.
func (i *Ingest) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := newMessages()
	events := make([]unix.EpollEvent, 64)
	for !i.end.Load() {
		n, _ := unix.EpollWait(i.epoll, events, int(patience.Milliseconds()))
		for _, e := range events[:max(n, 0)] {
			if k := m.read(i.fds[e.Fd], unix.MSG_DONTWAIT); k > 0 {
				i.count(m, k)
			}
		}
	}
}

// runOne reads the only socket until the end.
func (i *Ingest) runOne() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := newMessages()
	for !i.end.Load() {
		if k := m.read(i.fds[0], unix.MSG_WAITFORONE); k > 0 {
			i.count(m, k)
		}
	}
}

// count looks at the first n messages.
func (i *Ingest) count(m *messages, n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for k, h := range m.headers[:n] {
		b := m.memory[k*ingestSlot:][:h.Len]
		size := len(b)
		if c := m.controls[k].size; h.Hdr.Controllen > 0 && c > 0 {
			size = int(c)
		}
		for len(b) > 0 {
			i.packet(b)
			b = b[min(size, len(b)):]
		}
	}
}

// packet looks at a packet.
func (i *Ingest) packet(b []byte) {
	const header = 12
	if len(b) < header {
		return
	}
	sequence, ssrc := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[8:])
	if next, ok := i.next[ssrc]; ok {
		i.sum.Lost += uint64(sequence - next) // nothing comes out of order through loopback
	}
	i.next[ssrc] = sequence + 1
	i.sum.Packets++
}
