// Package tunnel is the server's side of RTSP over HTTP, as QuickTime's
// "Tunnelling RTSP and RTP over HTTP" describes it: the answer to a GET carries
// all that the server says, the body of a POST all that the client says, in
// base64. A cookie tells which two belong together.
//
// A [Table] pairs them. Of a connection that turns out to speak HTTP, the GET
// becomes a [Conn], which is used like any other connection; the POST lends it
// its body:
//
//	switch req.Method {
//	case wire.MethodGet:
//		nc, err := table.Get(nc, in, req, until)
//		…                          // RTSP is spoken on nc
//	case wire.MethodPost:
//		err := table.Post(nc, in, req) // until the tunnel has ended
//
// Nothing here starts a goroutine. Files: table.go (pairs), conn.go, decoder.go
// (base64).
package tunnel
