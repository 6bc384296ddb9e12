// Package udp has what RTP needs of UDP: pairs of ports, receiving and sending many
// datagrams at little cost, and multicast.
//
// [Ports] hands out pairs of ports, an even one for RTP and the next for RTCP
// (RFC 3550, section 11), as [Conn]s, with a port of TCP if need be. What goes to
// several receivers is put into a [Burst] once and sent to each:
//
//	var b udp.Burst
//	for _, d := range datagrams {
//		b.Add(d)
//	}
//	for _, v := range viewers {
//		n, err := v.conn.Send(&b, v.addr)
//		…
//
// What comes to one port from many is read with a [Batch]:
//
//	var b udp.Batch
//	for {
//		err := conn.ReadBatch(&b)
//		…
//		for i := range b.Len() {
//			data, from := b.Datagram(i)
//			…
//
// On Linux each is one system call for all datagrams (sendmmsg, recvmmsg), and
// those of one size travel as one through most of the kernel (UDP_SEGMENT, UDP_GRO).
// Elsewhere, and for connections that are not the system's, it is a loop. Quiet
// ports are for who has many of them, or sends much: there a few goroutines listen
// to all, [Conn.Watch].
//
// Ports: ports.go, queue.go, sockets.go, quiet_linux.go. Sending: conn.go, burst.go,
// send_linux.go and send_other.go, each.go. Receiving: batch.go, batch_linux.go,
// watchers_linux.go. Multicast: multicast.go.
package udp
