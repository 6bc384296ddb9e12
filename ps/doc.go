// Package ps reads and writes MPEG program streams (ISO/IEC 13818-1, 2.5), and
// receives and sends streams as GB/T 28181 has it: program streams, transport
// streams or elementary streams in RTP, over UDP and TCP.
//
// A [Reader] yields the frames of a program stream, a [Writer] does the reverse:
//
//	r := ps.NewReader(file)
//	for f, err := range source.Frames(ctx, r) { … }
//
// A [File] reads a file from any place in it. [Demuxer] and [Muxer] are what these
// are made of, for whoever has the bytes in other pieces. A [Server] receives on one
// port for all senders, whose SSRCs are the names of their streams:
//
//	hub := &source.Hub{}
//	go (&ps.Server{Addr: ":10000", Handler: hub}).ListenAndServe(ctx)
//
// [Receivers] open a port for each stream, which is told to its sender by SIP, and
// [Senders] send a stream somewhere else, also back to where another comes from:
//
//	ports := &ps.Receivers{Handler: hub}
//	r, err := ports.Open(ps.ReceiverOptions{Key: key, Mode: ps.TCPPassive})
//	…
//	senders := &ps.Senders{Handler: hub}
//	s, err := senders.Start(ctx, ps.SendOptions{Key: key, To: "192.0.2.7:30000", SSRC: 1})
//
// It does not speak SIP, nor SRTP.
//
// A program stream carries H264, H265, MPEG-2 video, AAC, MP3, MP2, AC-3, G.711
// and Opus; G.722, G.723, G.729 and SVAC pass through. What packets carry is found
// out from the first of them unless [ReceiveOptions] say it.
//
// Elementary streams have no description here. Those that are received are told by
// their payload type or by what they begin with: AAC has to have ADTS headers, with
// none of RFC 3640. Those that are sent follow the RFC of their codec. A receiver of
// AAC needs its configuration for that, which only an SDP has; in a program stream
// it needs none.
//
// The way of a packet, in: server.go or receiver.go (a port), server_conn.go with
// internal/framing where it is a connection, server_roster.go (whose it is),
// session.go, candidate.go and detect.go (what it carries), session_rival.go (whether
// it still does), decoder.go, demuxer.go, session_publish.go. The way of a frame, out: muxer.go, stream_muxer.go, sender.go.
// link.go is the way back to a sender. A file is searched by file.go and
// file_packets.go.
//
// # Limits
//
// Nothing is taken for a stream before something plausible has come: until then an
// SSRC has 5 s and 64 KiB, and there are at most 1000 of them; a connection has 10 s
// for it, and 128 KiB in which a packet is searched for. While a Handler is asked,
// frames are kept for 10 s, at most 8 MiB, and 64 MiB of all streams together, beyond
// which they start again at a key frame. Packets that are missing are waited for
// by up to 256 others and 500 ms; a picture has at most 8 MiB. A stream belongs to
// the address or connection that it comes from: others are counted, and heard when
// that has been silent for 5 s.
package ps
