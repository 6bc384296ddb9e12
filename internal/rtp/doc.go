// Package rtp turns frames into RTP packets and back (RFC 3550 and the payload
// formats of the codecs).
//
// Sending: a [Packetizer] appends the packets of each frame to a buffer, framed
// for a TCP connection (RFC 2326, 10.12) so that one piece of memory serves
// interleaved viewers as it is and datagrams by [Datagrams]; it makes the sender
// reports, too. Receiving: a [Receiver] takes the packets of a peer's tracks in
// any order and yields frames on one clock, with losses marked and audio and
// video aligned by sender reports. What an SDP says of a payload is a [Payload].
//
// Nothing here starts a goroutine or knows a transport. Sending: packetizer.go
// (header), report.go, one file per codec. Receiving: receiver.go (a peer),
// origin.go and reorder.go (sequence), one file per codec (access units),
// timeline.go and dts.go (times), rtcp.go and report.go.
package rtp
