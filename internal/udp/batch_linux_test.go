package udp

import (
	"net/netip"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestJoined: what was sent as one comes as one, where the kernel can.
func TestJoined(t *testing.T) {
	from, to := listen(t, "udp4", "127.0.0.1:0", false), listen(t, "udp4", "127.0.0.1:0", false)
	to.SetReadBuffer(1 << 20)
	each := numbered(append(times(20, 1400), 300)...)
	var out Burst
	for _, d := range each {
		out.Add(d)
	}
	var in Batch
	for range 2 { // the first time is before the kernel was asked to
		_, err := from.Send(&out, to.LocalAddr())
		require.NoError(t, err)
		receiveBatches(t, to, &in, each, from.LocalAddr())
	}
	if joins, err := unixOption(to, unix.SOL_UDP, unix.UDP_GRO); err != nil || joins == 0 {
		t.Skip("this kernel does not join")
	}
	require.Equal(t, len(each), in.Len())
	require.Len(t, in.senders, 1)
}

func unixOption(c *Conn, level, option int) (v int, err error) {
	var errGet error
	err = c.raw.Control(func(fd uintptr) { v, errGet = unix.GetsockoptInt(int(fd), level, option) })
	if err == nil {
		err = errGet
	}
	return v, err
}

// TestUnpack: whatever a kernel tells, datagrams are of what it wrote.
func TestUnpack(t *testing.T) {
	type message struct {
		size    int // of all that came
		flags   int32
		joined  int32 // size of each; 0: nothing is said
		control int   // bytes of it that were written
		family  uint16
		name    uint32 // bytes of it that were written
		scope   uint32
	}
	whole := unix.CmsgSpace(4)
	four := func(size int) message {
		return message{size: size, family: unix.AF_INET, name: unix.SizeofSockaddrInet4}
	}
	with := func(m message, change func(*message)) message { change(&m); return m }
	joined := func(size int, each int32) message {
		return with(four(size), func(m *message) { m.joined, m.control = each, whole })
	}
	six := message{size: 5, family: unix.AF_INET6, name: unix.SizeofSockaddrInet6}
	const a4, a6 = "1.2.3.4:258", "[fe80::7]:258"
	for _, c := range []struct {
		name     string
		messages []message
		sizes    []int
		from     []string
	}{
		{"one", []message{four(5)}, []int{5}, []string{a4}},
		{"an empty one", []message{four(0)}, []int{0}, []string{a4}},
		{"the longest", []message{four(65527)}, []int{65527}, []string{a4}},
		{"two senders", []message{four(5), six}, []int{5, 5}, []string{a4, a6}},
		{"truncated", []message{with(four(5), func(m *message) { m.flags = unix.MSG_TRUNC }), four(6)}, []int{6}, []string{a4}},
		{"joined", []message{joined(12, 5), four(3)}, []int{5, 5, 2, 3}, []string{a4, a4, a4, a4}},
		{"joined evenly", []message{joined(10, 5)}, []int{5, 5}, []string{a4, a4}},
		{"joined of one", []message{joined(5, 5)}, []int{5}, []string{a4}},
		{"joined of less than one", []message{joined(5, 70000)}, []int{5}, []string{a4}},
		{"joined of nothing", []message{joined(0, 5)}, []int{0}, []string{a4}},
		{"joined of bytes", []message{joined(3, 1)}, []int{1, 1, 1}, []string{a4, a4, a4}},
		{"size of zero", []message{joined(5, 0)}, []int{5}, []string{a4}},
		{"size below zero", []message{joined(5, -1)}, []int{5}, []string{a4}},
		{"half a control", []message{with(joined(5, 2), func(m *message) { m.control = whole / 2 })}, []int{5}, []string{a4}},
		{"no family", []message{with(four(5), func(m *message) { m.family = 0 })}, []int{5}, []string{"invalid AddrPort"}},
		{"no address", []message{with(four(5), func(m *message) { m.name = 0 })}, []int{5}, []string{"invalid AddrPort"}},
		{"half an address", []message{with(six, func(m *message) { m.name = 16 })}, []int{5}, []string{"invalid AddrPort"}},
		{"a zone", []message{with(six, func(m *message) { m.scope = 1 })}, []int{5}, []string{"[fe80::7%lo]:258"}},
		{"an unknown zone", []message{with(six, func(m *message) { m.scope = 1 << 30 })}, []int{5}, []string{"[fe80::7%1073741824]:258"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b Batch
			b.prepare()
			arrived := &b.arrival
			arrived.n = len(c.messages)
			for i, m := range c.messages {
				h := &arrived.headers[i]
				h.Len, h.Hdr.Flags, h.Hdr.Namelen = uint32(m.size), m.flags, m.name
				h.Hdr.SetControllen(m.control)
				arrived.controls[i].size = m.joined
				arrived.controls[i].header.Level, arrived.controls[i].header.Type = unix.SOL_UDP, unix.UDP_GRO
				arrived.names[i] = unix.RawSockaddrInet6{Family: m.family, Scope_id: m.scope, Addr: netip.MustParseAddr("fe80::7").As16()}
				if m.family != unix.AF_INET6 {
					(*unix.RawSockaddrInet4)(unsafe.Pointer(&arrived.names[i])).Addr = [4]byte{1, 2, 3, 4}
				}
				*(*[2]byte)(unsafe.Pointer(&arrived.names[i].Port)) = [2]byte{1, 2}
				for k := range m.size {
					b.memory[i*slot+k] = byte(i)
				}
			}
			require.NoError(t, b.unpack())
			require.Equal(t, len(c.sizes), b.Len())
			for i, size := range c.sizes {
				d, from := b.Datagram(i)
				require.Len(t, d, size)
				require.Equal(t, c.from[i], from.String())
			}
			for i := range arrived.headers { // all are ready for the next call
				h := &arrived.headers[i].Hdr
				require.EqualValues(t, unix.SizeofSockaddrInet6, h.Namelen)
				require.EqualValues(t, whole, h.Controllen)
				require.Zero(t, h.Flags)
			}
			arrived.n, arrived.err = 0, unix.EPERM
			b.clear()
			require.ErrorIs(t, b.unpack(), unix.EPERM)
			require.Zero(t, b.Len())
		})
	}
}
