// Package ts reads, writes and serves MPEG-2 Transport Streams (ISO/IEC 13818-1).
//
// A [Reader] finds the program and yields its frames, a [File] those of a file
// from any time on, a [Writer] does the reverse, [Open] pulls a live stream, [Listen] receives one by UDP, and a
// [Handler] shows the streams of any source.Handler over HTTP and WebSocket:
//
//	r := ts.NewReader(file)
//	for f, err := range source.Frames(ctx, r) { … }
//
//	http.Handle("/live/", &ts.Handler{Handler: hub})
//
// [Demuxer] and [Muxer] are what these are made of, for whoever has the bytes in
// other pieces: HLS segments, RTP packets.
//
// H264, H265, MPEG-2 video, AAC (of others also in LATM), MP3, MP2, AC-3 and Opus
// are carried as the standards say, G.711 with the stream types that ZLMediaKit
// gave it. What else a stream has goes through to other transport streams as
// opaque tracks. One program is written and read; sections other than PAT and PMT
// are not looked at, scrambled streams yield nothing.
//
// The way of a frame, in: sync.go, packet.go, demuxer.go (psi.go), demuxer_stream.go,
// internal/pes, reader.go (file.go and file_packets.go where a file is searched);
// out: muxer.go (carriage.go, internal/pes), packetizer.go, feed.go, handler.go.
// Reader, Writer, Demuxer and Muxer start no goroutines.
package ts
