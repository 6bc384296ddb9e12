// Package rtsp serves, plays and publishes RTSP 1.0 (RFC 2326) with RTP over
// TCP, UDP, multicast and HTTP, on TCP and on TLS (rtsps).
//
// A [Server] lets peers publish to and play from a source.Handler:
//
//	hub := &source.Hub{}
//	go (&rtsp.Server{Addr: ":8554", Handler: hub}).ListenAndServe(ctx)
//
// A [Client] plays from and publishes to other servers; [Open] does with the
// zero Client:
//
//	r, err := rtsp.Open(ctx, "rtsp://user:secret@camera/stream1")
//
// What it does not do: RTSP 2.0, SRTP, recording by a server's own means
// (RECORD without ANNOUNCE), redirecting viewers.
//
// The way of a frame, out: muxer.go (frames to packets, once for all viewers),
// viewer.go (interleaved), viewer_udp.go and caster.go (datagrams); in:
// publisher.go. A connection begins in server.go and conn.go, every method has a
// file of its name, transport.go is what SETUP agrees on, sdp.go what a stream is
// described with. What packets hold is internal/rtp's; MPEG transport streams
// (payload type 33) are opened, mpegts.go, and their tracks are ordinary ones.
//
// Of a film, which is a Reader that is a source.Seeker, every viewer has packets of
// its own, with times of their own (playback.go). PLAY goes elsewhere in it by
// Range, and faster by Scale, with packets that go by the wall clock, or by Speed,
// with packets that keep their times; PAUSE has it stand still.
//
// The client: client.go (options), client_conn.go (requests and answers),
// client_media.go (SETUP); playing in client_play.go, client_receive.go and
// client_reader.go, films in client_film.go; publishing in client_publish.go and
// client_writer.go.
//
// # Limits
//
// A peer has 10 s for TLS, login and everything up to PLAY or RECORD together;
// the time in which a Handler is asked does not count. Until then it can make
// the server keep 256 KiB at most: read buffer 4 KiB, head of a request 64 KiB,
// body 128 KiB. A viewer has a read buffer of 128 bytes, and a request may be as
// long as before.
package rtsp
