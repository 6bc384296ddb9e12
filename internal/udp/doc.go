// Package udp has what RTP needs of UDP: pairs of ports, sending the same
// datagrams to many receivers at little cost, and multicast.
//
// [Ports] hands out pairs of ports, an even one for RTP and the next for RTCP
// (RFC 3550, section 11), as [Conn]s. What goes to several receivers is put into
// a [Burst] once and sent to each:
//
//	var b udp.Burst
//	for _, d := range datagrams {
//		b.Add(d)
//	}
//	for _, v := range viewers {
//		n, err := v.conn.Send(&b, v.addr)
//		…
//
// On Linux a Send is one system call for all datagrams (sendmmsg), and those of
// one size travel as one through most of the kernel (UDP_SEGMENT). Elsewhere, and
// for connections that are not the system's, it is a loop. Ports of
// [Ports.QuietPair] are for who sends much: there one goroutine listens to all of
// them, [Conn.Watch].
//
// Ports: ports.go, queue.go, quiet_linux.go. Sending: conn.go, burst.go,
// send_linux.go and send_other.go, each.go. Multicast: multicast.go.
package udp
