package udp

import (
	"errors"

	"golang.org/x/sys/windows"
)

// InUse reports whether somebody else has a port. Windows keeps ranges of ports
// for itself, to which access is denied.
func InUse(err error) bool {
	return errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, windows.WSAEACCES)
}
