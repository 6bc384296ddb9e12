// Package record writes streams to disk: MP4, FLV, TS or HLS, in slices of a
// chosen length or size.
//
// [Recorders] are the recordings of a hub, found by stream and format:
//
//	recorders := &record.Recorders{Hub: hub, Root: "www"}
//	go recorders.Serve(ctx) // finishes what a killed process has left, retention
//	r, err := recorders.Start(key, record.Options{Format: record.MP4, Slice: 10 * time.Minute})
//	…
//	err = recorders.Stop(key, record.MP4)
//
// [Sink] writes what any Reader yields, by source.Copy.
//
// A file lies in Root/record/app/stream/2026-11-22/ and is called after its first
// frame's time, see [Names]. As long as it is written its name has a leading dot;
// the finished one appears by rename, and is then told of by an [Event]. It begins
// with a key frame at time 0. A slice ends before the next key frame once it is
// long or large enough; other parameters, another codec and another track begin
// one, too.
//
// A stream never waits for its recordings: each has a queue of 16 MiB, and when
// that is full whole GOPs are left out, counted and reported. A disk that is full
// or cannot be written to ends the file as far as it plays; every 10 seconds the
// recording tries to go on. A process that is killed loses the last fragment of
// 2 seconds; [Recorders.Recover] finishes the hidden files it has left. A power
// cut may lose more, but nothing of a finished file: those are flushed to the
// disk before they appear. Options.SyncFragments has that done with every
// fragment.
//
// What it does not do: it deletes nothing that is not named as its own files are,
// and nothing outside of Root.
//
// The way of a frame: recorder.go (its goroutines), queue.go, writer.go (which
// slice), slice.go (one file), buffer.go, disk.go. Beside it: recorders.go, sink.go,
// name.go, leftover.go, retention.go.
package record
