// Package mp4 reads, writes and serves MP4, the ISO base media file format
// (ISO/IEC 14496-12): live, in movie fragments, and files.
//
// A [Writer] writes a file, a [File] reads one from any place in it:
//
//	w, err := mp4.NewWriter(out, r.Tracks(), nil)
//	err = source.Copy(ctx, w, r)
//	err = w.Close()
//
//	f, err := mp4.NewFile(in, size)
//	at, err := f.Seek(ctx, 10*time.Minute)
//	frame, err := f.ReadFrame(ctx)
//
// A file that is being written is in fragments: whatever happens, it is one that
// plays as far as it goes. Close makes it a plain file with one movie box, without
// copying the media.
//
// Live, a [Muxer] makes the initialization segment and fragments, a [Demuxer] finds
// the frames in them again, a [Reader] is one over an io.Reader, [Open] pulls a
// stream, and a [Handler] shows the streams of any source.Handler over HTTP and
// WebSocket, ready for Media Source Extensions:
//
//	http.Handle("/live/", &mp4.Handler{Handler: hub})
//
// A fragment tells how long each of its frames lasts, which is known when the
// next one of the track has come: Muxer and Writer hold back one frame of each
// track. Times are exact to a tick, which is 1/90000 s of video and a sample of
// audio. [MIMEType] says what a page has to ask Media Source Extensions for.
//
// Encrypted media are not read, and a Reader reads no files whose samples are
// listed in the movie box. Of several sample descriptions of a track the first
// counts. Nothing here starts goroutines but serving and pulling.
//
// The way of a frame, live, out: muxer.go, fragment.go, feed.go, handler.go; in:
// reader.go, demuxer.go, moof.go. Into a file: writer.go, listing.go (what the
// tables will tell), finish.go; out of one: file_open.go (file_boxes.go finds the
// tables), file.go, sample_table.go and table.go (where and when samples are),
// file_fragments.go, spans.go (their bytes). carriage.go has the codecs, init.go
// and movie.go the movie box, sample_entry.go and descriptor.go what describes a
// track in there.
package mp4
