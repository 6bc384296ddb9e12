// Package rtp turns frames into RTP packets and back (RFC 3550 and the payload
// formats of the codecs).
//
// Sending: a [Packetizer] appends the packets of each frame to a buffer, framed
// for a TCP connection (RFC 2326, 10.12, or RFC 4571) so that one piece of memory
// serves connections as it is and datagrams by [Datagrams] or [Packets]; it makes
// the sender reports, too. A [StreamPacketizer] does so with the bytes of a
// container. Receiving: a [Receiver] takes the packets of a peer's tracks in
// any order and yields frames on one clock, with losses marked and audio and
// video aligned by sender reports; a [Sequencer] only puts packets in order, for
// payloads that are pieces of a container. What an SDP says of a payload is a
// [Payload].
//
// Nothing here starts a goroutine or knows a transport. Sending: packetizer.go and
// stream_packetizer.go on sending.go, packet_writer.go (header) and framing.go, one
// file per codec. Receiving: receiver.go (a peer),
// intake.go, origin.go and reorder.go (sequence), one file per codec (access
// units), timeline.go and dts.go (times), rtcp.go and report.go; sequencer.go.
package rtp
