//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package udp

import "syscall"

// share lets others who want to share ports have c's, for another address.
func (c *Conn) share() {
	raw, err := c.udp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for _, option := range sharing() {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 1)
		}
	})
}
