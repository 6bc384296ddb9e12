//go:build !linux

package udp

import "errors"

// arrival: other systems have no call for many datagrams.
type arrival struct{}

func (c *Conn) readMany(*Batch) error { return errors.ErrUnsupported }
