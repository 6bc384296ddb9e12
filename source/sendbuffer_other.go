//go:build !linux && !darwin

package source

import "net"

// limitSendBuffer keeps the system from swallowing many seconds of media for a
// viewer who does not read.
func limitSendBuffer(conn net.Conn) {
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = c.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
}
