// Package testmedia makes deterministic media for tests and benchmarks: tracks
// with real parameter sets and endless interleaved streams of frames whose
// headers are right and whose payload is pseudo-random.
//
//	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 2}
//	for f := range s.Frames() { … }
//
// Equal streams yield equal frames. Every time is a whole number of
// milliseconds, so that FLV carries it exactly. No decoder will show a picture,
// but those of MJPEG, which are whole; parsers see what they would see in a
// real stream: NAL unit types, picture order, frame types, Opus, MPEG audio and
// AC-3 headers, no start code inside a NAL unit.
package testmedia
