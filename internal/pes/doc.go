// Package pes is what transport and program streams have in common (ISO/IEC
// 13818-1, 2.4.3.6): PES packets, stream types, and the way from their payload to
// frames.
//
// An [Assembler] has the elementary streams of a program. Whoever takes the
// container apart tells it where PES packets begin and what is in them, and takes
// frames:
//
//	a.SetStreams(entries)
//	s := a.Stream(key)
//	s.Begin(&header, random, payload)
//	s.Add(payload)
//	frames, a.Frames = a.Frames, nil
//
// The way of a frame: assembler.go, stream.go, video.go (pictures.go and shown.go
// where PES packets do not begin with pictures) or audio.go (audio_frame.go,
// opus.go), times.go, order.go; of one that is read timeline.go, too, and file.go
// where that is sought in. The way back: framer.go, output.go. header.go has PES headers, stream_type.go what streams carry,
// opaque.go those that are only passed through. Nothing here starts goroutines.
package pes
