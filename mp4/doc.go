// Package mp4 reads, writes and serves MP4, the ISO base media file format
// (ISO/IEC 14496-12), in movie fragments.
//
// A [Muxer] makes the initialization segment and fragments, a [Demuxer] finds
// the frames in them again, a [Reader] is one over an io.Reader, [Open] pulls a
// live stream, and a [Handler] shows the streams of any source.Handler over HTTP
// and WebSocket, ready for Media Source Extensions:
//
//	m, err := mp4.NewMuxer(tracks)
//	out = append(out, m.Init()...)
//	for f, err := range source.Frames(ctx, r) {
//		err = m.Add(f)
//		out = m.AppendFragment(out)
//	}
//
//	http.Handle("/live/", &mp4.Handler{Handler: hub})
//
// A fragment tells how long each of its frames lasts, which is known when the
// next one of the track has come: a Muxer holds back one frame of each track.
// Times are exact to a tick, which is 1/90000 s of video and a sample of audio.
// [MIMEType] says what a page has to ask Media Source Extensions for.
//
// Files whose samples are listed in the movie box, and encrypted ones, are not
// read. Neither Muxer nor Demuxer nor Reader starts goroutines.
//
// The way of a frame, out: muxer.go, fragment.go, feed.go, handler.go; in:
// reader.go, demuxer.go, moof.go. carriage.go has the codecs, init.go and
// movie.go the initialization segment, sample_entry.go and descriptor.go what
// describes a track in there.
package mp4
