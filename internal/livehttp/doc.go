// Package livehttp shows the streams of a source.Handler over HTTP and
// WebSocket, in any wire form: what the handlers of FLV, MPEG-TS and fMP4 have in
// common. An [Output] answers one request after the other:
//
//	var out livehttp.Output
//	out.ServeURL(w, r, &livehttp.Options{Handler: hub, Format: format, …})
//
// A viewer's way: path.go, output.go (methods, CORS, who asks for what), then either
// http.go (wait for the stream, hijack the connection) or websocket.go (upgrade,
// then wait), then viewer.go (a goroutine that reads what the viewer sends while
// the stream's Delivery writes). After hijacking, the request's own goroutine
// returns, so that net/http's buffers are freed; where a connection cannot be
// hijacked (HTTP/2), it stays and writes through the ResponseWriter
// (response_conn.go). frame.go and parser.go are the WebSocket protocol (RFC
// 6455), without extensions.
//
// A [Client] asks other servers for live streams (client.go, client_websocket.go),
// a [Fetcher] for what has an end.
package livehttp
