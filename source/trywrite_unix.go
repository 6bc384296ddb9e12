//go:build unix

package source

import (
	"errors"
	"syscall"
)

// canTryWrite tells that this system can write to a socket without waiting.
const canTryWrite = true

// A tryWriter writes to sockets without waiting. It is one goroutine's.
type tryWriter struct {
	b    []byte
	n    int
	err  error
	call func(fd uintptr) bool // w.once, made but once
}

// write writes what the socket takes now, which may be nothing.
func (w *tryWriter) write(raw syscall.RawConn, b []byte) (n int, err error) {
	if w.call == nil {
		w.call = w.once
	}
	w.b = b
	err = raw.Write(w.call)
	w.b = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(w.err, syscall.EAGAIN):
		return 0, nil
	case w.err != nil:
		return 0, w.err
	}
	return w.n, nil
}

// once makes the system call. It reports that it is not to be called again.
func (w *tryWriter) once(fd uintptr) bool {
	for {
		w.n, w.err = syscall.Write(int(fd), w.b)
		if w.err != syscall.EINTR {
			return true
		}
	}
}
