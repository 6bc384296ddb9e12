// Package vdk joins MediaKit and programs written for github.com/deepch/vdk:
// whatever that can demux is a source.Source, whatever it can mux a source.Sink.
//
// A [Reader] reads from an av.Demuxer, a [Writer] writes to an av.Muxer:
//
//	r := vdk.NewReader(flv.NewDemuxer(file)) // vdk's flv
//	for f, err := range source.Frames(ctx, r) { … }
//
//	w, err := vdk.NewWriter(ts.NewMuxer(conn), r.Tracks(), ts.CodecTypes...)
//	err = source.Copy(ctx, w, r)
//
// [Source] and [Sink] do this for what can be opened again and again.
// [TrackOf] and [CodecDataOf] turn the descriptions of streams into each other.
// The bytes of a packet are those of a frame and are not copied.
//
// vdk checks little of what it reads and panics where it is wrong; that becomes an
// error, a [PanicError]. How much memory it takes, and whether it comes to an
// end, is up to vdk: give strangers' bytes to the packages flv, ts and mp4 rather
// than to its demuxers. Neither Reader nor Writer starts goroutines.
//
// Reading: track.go, codec_data.go, reader.go, splitter.go, writer.go, panic.go.
package vdk
