// Package mediakit is the root of an SDK for live and recorded media. It holds
// no code: import the packages below it, or run the server built from them:
//
//	go run github.com/mediakit-go/mediakit/examples/mediaserver@latest
//
// From the bottom up:
//
//   - codec: tracks, frames and the bitstreams inside them;
//   - source: who publishes, who watches, and the fan-out between them;
//   - flv: FLV files and live FLV over HTTP and WebSocket;
//   - ts: MPEG-TS, in files and live;
//   - mp4: fragmented MP4, live;
//   - rtmp: an RTMP server and client;
//   - rtsp: an RTSP server and client;
//   - hls: HLS, served and pulled;
//   - player, pusher: from a URL, to a URL;
//   - server: files over HTTP, and a page with the streams.
//
// Imports point down this list only; deps_test.go holds the exact table.
package mediakit
