//go:build !windows

package udp

import (
	"errors"
	"syscall"
)

// inUse reports whether somebody else has a port.
func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
