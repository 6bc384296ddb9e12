//go:build !linux

package udp

import (
	"errors"
	"net/netip"
	"syscall"
)

// quiet, watchers: other systems' pollers do not mind datagrams that leave.
type (
	quiet struct {
		syscall.RawConn
		addr netip.AddrPort
	}
	watchers struct{}
)

func (p *Ports) openQuiet(a netip.AddrPort, reuse bool) (*Conn, error) { return p.open(a, reuse) }

func (*quiet) Close() error { return errors.ErrUnsupported }

func (*quiet) setReadBuffer(int)  {}
func (*quiet) setWriteBuffer(int) {}

func (*quiet) watch(func([]byte, netip.AddrPort)) error { return errors.ErrUnsupported }
