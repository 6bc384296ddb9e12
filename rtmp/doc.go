// Package rtmp serves, plays and publishes RTMP (Adobe, RTMP 1.0) with the
// codecs of Enhanced RTMP v1 and v2, on TCP and on TLS (rtmps).
//
// A [Server] lets peers publish to and play from a source.Handler:
//
//	hub := &source.Hub{}
//	go (&rtmp.Server{Addr: ":1935", Handler: hub}).ListenAndServe(ctx)
//
// A [Client] plays from and publishes to other servers; [Open] and [Create] do
// with the zero Client:
//
//	r, err := rtmp.Open(ctx, "rtmp://example.com/live/cam")
//	w, err := rtmp.Create(ctx, "rtmp://example.com/live/copy", r.Tracks())
//	err = source.Copy(ctx, w, r)
//
// What it does not do: encrypted RTMP (rtmpe), RTMP in HTTP (rtmpt), shared
// objects, remote calls of an application's own.
//
// The way of a frame, in: publish.go (messages to frames), under it chunk_reader.go
// of internal/wire; out: muxer.go (frames to messages), play.go and viewer.go. A
// connection begins in server.go and conn.go. Between frames and bodies of
// messages stands package flv. Readers that are a source.Seeker, such as files, go
// elsewhere when a viewer seeks, stand still when it pauses, and play faster for
// onPlayCtrl; the Client can do the first two of another server's (client_film.go).
//
// # Limits
//
// A peer has 10 s for TLS, handshake and the first publish or play together.
// Until one is accepted it can make the server keep 256 KiB at most: read buffer
// 4 KiB, answer 3 KiB, unfinished messages 64 KiB, a decoded command 128 KiB,
// sequence headers that came too early 30 KiB. A publisher has a read buffer of
// 64 KiB and unfinished messages of twice MaxMessage; a viewer a read buffer of
// 256 bytes and unfinished commands of 64 KiB.
package rtmp
