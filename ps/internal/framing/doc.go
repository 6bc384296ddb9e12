// Package framing finds RTP packets in the bytes of a TCP connection, and frames
// those that go back.
//
// Packets come with their length in two bytes before them (RFC 4571, 2), or as
// between messages of RTSP, with a "$", a channel and the length (RFC 2326,
// 10.12), or, from devices that speak EHOME, as the latter behind a header of 256
// bytes. A [Parser] finds out which. There is no mark that would tell where
// a packet begins; so it looks whether what should be a packet is one, and when it
// is not, searches for one of the same sender:
//
//	var p framing.Parser
//	for {
//		n, err := conn.Read(b)
//		…
//		if err := p.Push(b[:n], take); err != nil {
//			return err
//		}
//	}
//
// The forms: form.go, header.go. Finding: parser.go, search.go.
package framing
