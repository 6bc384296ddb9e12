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

func (p *Ports) openQuiet(a netip.AddrPort) (*Conn, error) { return p.open(a) }

func (*quiet) Close() error { return errors.ErrUnsupported }

func (*quiet) setWriteBuffer(int) {}

func (*quiet) watch(func([]byte, netip.AddrPort)) error { return errors.ErrUnsupported }
