// Package source says who publishes and who watches, and carries frames from
// the one to the others.
//
// A [Reader] is a stream that can be read frame by frame, a [Writer] one that
// can be written; a publishing session, a player, a file and a subscription are
// Readers, a muxer, a pusher and a recorder are Writers, and [Copy] joins any
// two. A [Handler] is what protocol servers ask when a peer wants to play or
// publish; a [Hub] is the one that connects publishers with viewers by name:
//
//	hub := &source.Hub{}
//	go (&rtmp.Server{Handler: hub}).ListenAndServe(ctx)
//	http.ListenAndServe(":8080", &flv.Handler{Handler: hub})
//
// The way of a frame: stream.go (a [Stream] repairs its time and keeps it in
// its ring), feed.go (a [Feed] muxes it once per wire format), delivery.go (a
// [Delivery] writes the bytes to each viewer's connection). ring.go is the one
// data structure between them.
//
// A Stream starts no goroutine of its own until it has viewers; a Feed has one
// per some hundred connections.
package source
