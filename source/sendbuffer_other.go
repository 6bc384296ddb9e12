//go:build !linux && !darwin

package source

import "net"

// limitSendBuffer keeps the system from swallowing many seconds of media for a
// viewer who does not read.
func limitSendBuffer(conn net.Conn) {
	if tcp := tcpUnder(conn); tcp != nil {
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
}
