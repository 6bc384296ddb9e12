package udp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiveBatches reads what was sent, in order.
func receiveBatches(t *testing.T, c *Conn, b *Batch, want [][]byte, from netip.AddrPort) {
	t.Helper()
	for n := 0; n < len(want); {
		require.NoError(t, c.ReadBatch(b), "datagram %d", n)
		require.Positive(t, b.Len())
		require.LessOrEqual(t, n+b.Len(), len(want))
		for i := range b.Len() {
			d, a := b.Datagram(i)
			require.True(t, bytes.Equal(want[n], d), "datagram %d has %d bytes, not %d: % x", n, len(d), len(want[n]), d[:min(len(d), 4)])
			require.Equal(t, len(d), cap(d))
			require.Equal(t, from.Port(), a.Port())
			require.False(t, a.Addr().Is4In6())
			n++
		}
	}
}

// TestReadBatch: what is sent in any way comes whole and in order.
func TestReadBatch(t *testing.T) {
	for _, k := range connections {
		t.Run(k.name, func(t *testing.T) {
			from := listen(t, k.network, k.address, k.wrap)
			to, other := listen(t, k.receiver, k.at, false), listen(t, k.receiver, k.at, true)
			both := listen(t, "udp", ":0", false)
			for _, c := range []*Conn{to, other, both} {
				if c.SetReadBuffer(2<<20) < 1<<20 {
					t.Skip("the system keeps too few bytes")
				}
			}
			var out Burst
			var in Batch
			for _, c := range burstCases {
				out.Reset()
				for _, d := range c.each {
					out.Add(d)
				}
				for _, r := range []*Conn{to, other, both} {
					_, err := from.Send(&out, at(r, k.to))
					require.NoError(t, err, c.name)
					receiveBatches(t, r, &in, c.each, from.LocalAddr())
					for _, d := range c.each[:min(len(c.each), 70)] {
						_, err := from.WriteTo(d, at(r, k.to))
						require.NoError(t, err, c.name)
					}
					receiveBatches(t, r, &in, c.each[:min(len(c.each), 70)], from.LocalAddr())
				}
			}
		})
	}
}

// TestReadBatchOfMany: whoever sends what when, each datagram has its sender.
func TestReadBatchOfMany(t *testing.T) {
	for _, wrap := range []bool{false, true} {
		to := listen(t, "udp4", "127.0.0.1:0", wrap)
		var from []*Conn
		for range 5 {
			from = append(from, listen(t, "udp4", "127.0.0.1:0", false))
		}
		var b Batch
		for round := range 20 {
			sent := 0
			for i, c := range from {
				var burst Burst
				for k := range (round + i) % 4 {
					burst.Add([]byte{byte(i), byte(k)})
				}
				_, err := c.Send(&burst, to.LocalAddr())
				require.NoError(t, err)
				sent += burst.Len()
			}
			next := make([]byte, len(from))
			for sent > 0 {
				require.NoError(t, to.ReadBatch(&b))
				for i := range b.Len() {
					d, a := b.Datagram(i)
					require.Len(t, d, 2)
					require.Equal(t, from[d[0]].LocalAddr(), a)
					require.Equal(t, next[d[0]], d[1])
					next[d[0]]++
					sent--
				}
			}
			require.Zero(t, sent)
		}
	}
}

// TestReadBatchEnds: by a deadline, and when the port is closed.
func TestReadBatchEnds(t *testing.T) {
	for _, wrap := range []bool{false, true} {
		c := listen(t, "udp4", "127.0.0.1:0", wrap)
		var b Batch
		_, err := c.WriteTo([]byte("abc"), c.LocalAddr())
		require.NoError(t, err)
		require.NoError(t, c.ReadBatch(&b))
		require.Equal(t, 1, b.Len())
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		require.ErrorIs(t, c.ReadBatch(&b), os.ErrDeadlineExceeded)
		require.Zero(t, b.Len())
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		done := make(chan error)
		go func() { done <- c.ReadBatch(&b) }()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-done, net.ErrClosed)
		require.ErrorIs(t, c.ReadBatch(&b), net.ErrClosed)
	}
}

// TestReadBatchAllocations: there are none.
func TestReadBatchAllocations(t *testing.T) {
	for _, k := range connections {
		if k.wrap {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			from, to := listen(t, k.network, k.address, false), listen(t, k.receiver, k.at, false)
			var out Burst
			for _, d := range numbered(1400, 1400, 300, 160, 0) {
				out.Add(d)
			}
			var in Batch
			a := at(to, k.to)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := from.Send(&out, a); err != nil {
					t.Fatal(err)
				}
				for n := 0; n < out.Len(); n += in.Len() {
					if err := to.ReadBatch(&in); err != nil {
						t.Fatal(err)
					}
				}
			}))
		})
	}
}

// TestKernelDrops: what the system had no room for is counted, where it tells.
func TestKernelDrops(t *testing.T) {
	var p Ports
	quiet, other, err := p.QuietPair(loopback4)
	require.NoError(t, err)
	defer other.Close()
	for _, c := range []*Conn{listen(t, "udp4", "127.0.0.1:0", false), quiet} {
		require.Zero(t, c.KernelDrops())
		room := c.SetReadBuffer(32 << 10)
		require.Positive(t, room)
		peer := listen(t, "udp4", "127.0.0.1:0", false)
		d := make([]byte, 1400)
		sent := 0
		for range 4 * room / len(d) {
			if _, err := peer.WriteTo(d, c.LocalAddr()); err == nil {
				sent++
			}
		}
		drops := c.KernelDrops()
		if c.readBuffer() == 0 {
			require.Zero(t, drops, "a system that does not tell")
		} else {
			require.Greater(t, drops, uint64(sent/4))
			require.Less(t, drops, uint64(sent))
		}
		require.NoError(t, c.Close())
		require.Equal(t, drops, c.KernelDrops())
	}
	require.Zero(t, listen(t, "udp4", "127.0.0.1:0", true).KernelDrops())
}

// TestQuietReadBuffer: a quiet port gets as much as another.
func TestQuietReadBuffer(t *testing.T) {
	var p Ports
	quiet, other, err := p.QuietPair(loopback4)
	require.NoError(t, err)
	defer closeBoth(t, quiet, other)
	plain := listen(t, "udp4", "127.0.0.1:0", false)
	for _, size := range []int{100 << 10, 8 << 20} {
		require.Equal(t, plain.SetReadBuffer(size), quiet.SetReadBuffer(size))
	}
	if quiet.quiet != nil {
		require.ErrorIs(t, quiet.ReadBatch(new(Batch)), errors.ErrUnsupported)
	}
}

// FuzzReadBatch: any sizes from several senders come as they were sent.
func FuzzReadBatch(f *testing.F) {
	for _, c := range burstCases {
		var sizes []byte
		for _, d := range c.each[:min(len(c.each), 100)] {
			sizes = append(sizes, byte(len(d)))
		}
		f.Add(sizes)
	}
	from := []*Conn{listen(f, "udp4", "127.0.0.1:0", false), listen(f, "udp4", "127.0.0.1:0", false)}
	to := listen(f, "udp4", "127.0.0.1:0", false)
	var in Batch
	bursts := make([]Burst, len(from))
	f.Fuzz(func(t *testing.T, sizes []byte) {
		var want [2][][]byte
		for i := range bursts {
			bursts[i].Reset()
		}
		for i, n := range sizes[:min(len(sizes), 100)] {
			d := bytes.Repeat([]byte{byte(i)}, 4*int(n))
			who := int(n) % 2
			want[who] = append(want[who], d)
			bursts[who].Add(d)
		}
		require.NoError(t, to.SetReadDeadline(time.Now().Add(20*time.Second)))
		for i := range bursts {
			_, err := from[i].Send(&bursts[i], to.LocalAddr())
			require.NoError(t, err)
		}
		for len(want[0])+len(want[1]) > 0 {
			require.NoError(t, to.ReadBatch(&in))
			for i := range in.Len() {
				d, a := in.Datagram(i)
				who := 0
				if a == from[1].LocalAddr() {
					who = 1
				}
				require.NotEmpty(t, want[who])
				require.True(t, bytes.Equal(want[who][0], d))
				want[who] = want[who][1:]
			}
		}
	})
}
