// Package listen is what servers of protocols on TCP have in common: accepting
// connections within limits, a session for each in which a panic ends that one
// only, TLS handshakes that cannot take all processors, and an end for which
// everybody is waited.
//
//	s := &listen.Server{Name: "rtsp"}
//	err := s.Serve(ctx, ln, func(v *listen.Serving, nc net.Conn) {
//		defer v.Release(nc)
//		err := v.Guard(nc, func() error { return session(nc) })
//	})
//
// Accepting: server.go; sessions and their end: serving.go; TLS: tls.go; reading
// and answering: read.go, write.go.
package listen
