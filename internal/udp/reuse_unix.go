//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package udp

import "golang.org/x/sys/unix"

// shareAlike lets other sockets have the port of one that is not bound yet, if they
// say so, too.
func shareAlike(fd uintptr) {
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1)
	}
}
