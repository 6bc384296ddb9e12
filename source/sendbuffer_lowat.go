//go:build linux || darwin

package source

import (
	"net"
	"syscall"
)

// limitSendBuffer keeps the system from swallowing many seconds of media for a
// viewer who does not read: unsent bytes, not the whole buffer, are limited.
func limitSendBuffer(conn net.Conn) {
	tcp := tcpUnder(conn)
	if tcp == nil {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, sendBuffer)
	})
}
