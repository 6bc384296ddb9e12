//go:build !unix

package source

import (
	"errors"
	"syscall"
)

// canTryWrite tells that this system cannot write to a socket without waiting;
// every viewer has a goroutine.
const canTryWrite = false

// A tryWriter writes to sockets without waiting: not here.
type tryWriter struct{}

func (*tryWriter) write(syscall.RawConn, []byte) (int, error) { return 0, errors.ErrUnsupported }
