//go:build !linux

package udp

import "net/netip"

// fast, prepared: other systems have no call for many datagrams.
type (
	fast     struct{}
	prepared struct{}
)

func (*prepared) forget() {}

func (c *Conn) speedUp() {}

func (c *Conn) sendAll(b *Burst, to netip.AddrPort) (int, error) { return c.sendEach(b, to) }

func (c *Conn) forceReadBuffer(int) {}

func (c *Conn) readBuffer() int { return 0 }

func (c *Conn) kernelDrops() uint64 { return 0 }

func (c *Conn) groupOnly() {}
