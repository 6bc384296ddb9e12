// Package flv reads, writes and serves Flash Video (Adobe Flash Video File
// Format Specification 10.1, annex E), with the codecs of Enhanced RTMP v1 and
// v2 and those that Chinese networks added under ids of their own.
//
// A [Reader] yields the frames of a file or a pipe, a [File] those of a file from
// any time on, a [Writer] does the reverse, [Open] pulls a live stream, and a
// [Handler] shows the streams of any source.Handler over HTTP and WebSocket:
//
//	r := flv.NewReader(file)
//	for f, err := range source.Frames(ctx, r) { … }
//
//	http.Handle("/live/", &flv.Handler{Handler: hub})
//
// The body of an FLV tag is also the body of an RTMP audio, video or data
// message: [BodyMuxer] and [BodyDemuxer] turn frames into bodies and back, for
// both. What FLV has no code for is left out; of several video or audio tracks
// the first is written, all are read.
//
// The way of a frame, in: reader.go, tag.go, body_demuxer.go, enhanced.go
// (file.go, file_tags.go and content.go where a file is searched); out:
// body_muxer.go, feed.go, handler.go. carriage.go has the codec ids of both.
// Reader and Writer start no goroutines, the Handler has one per viewer.
package flv
