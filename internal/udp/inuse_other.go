//go:build !windows

package udp

import (
	"errors"
	"syscall"
)

// InUse reports whether somebody else has a port.
func InUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
