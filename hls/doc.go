// Package hls writes, serves and reads HTTP Live Streaming (RFC 8216 and its
// second edition, draft-pantos-hls-rfc8216bis), with low latency.
//
// A [Handler] shows the streams of any source.Handler, a [Writer] cuts one
// stream into segments of MPEG-TS or fragmented MP4, in memory or on disk, and
// [Open] pulls a stream from other servers:
//
//	http.ListenAndServe(":8080", &hls.Handler{Handler: hub})
//
// Cutting: writer.go (a source.Writer), segmenter.go (where segments and parts
// end), segment.go, segment_muxer.go (their bytes), playlist.go (the text),
// writer_serve.go (what requests get), disk.go, disk_hour.go, recording.go.
// Serving: handler.go (URLs, limits), handler_route.go, handler_join.go (who is
// let in), handler_muxing.go (what is cut for whom), viewer.go (a session),
// viewer_identity.go (whose it is), multivariant.go. Files: vod.go (one for a
// viewer), vod_plan.go (where it is cut), vod_segment.go, vod_continuity.go,
// vod_shelf.go, vod_rest.go. Pulling: client.go (what is opened), client_playlist.go
// (what servers list), client_rendition.go (a playlist that is followed),
// client_segment.go (bytes), client_timeline.go (times over discontinuities),
// client_buffer.go (what is read ahead), client_reader.go.
//
// Renditions in other qualities are not made: a stream is shown as it is
// published.
package hls
