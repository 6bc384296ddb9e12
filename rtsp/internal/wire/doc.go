// Package wire reads and writes RTSP messages and the packets interleaved with
// them (RTSP 1.0, RFC 2326, sections 4 to 7, 10.12 and 15).
//
// A [Reader] yields one [Item] after the other, a [Request], a [Response] or an
// [Interleaved] packet:
//
//	in := wire.NewReader(conn, 4096, wire.Limits{})
//	for {
//		item, err := in.Next()
//		…
//		switch m := item.(type) {
//		case *wire.Request:
//			…
//			out = (&wire.Response{Status: 200, Header: h}).Append(out[:0])
//
// Everything a peer sends is bounded by [Limits]; memory is allocated for bytes
// that came, never for bytes that were announced. An [Error] says with which
// status a message is refused.
//
// Messages: message.go, header.go, method.go, status.go. Reading: reader.go
// (buffer, packets), head.go (lines), resync.go (what is none of it).
package wire
