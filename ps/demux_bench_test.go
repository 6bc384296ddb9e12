package ps

import (
	"slices"
	"testing"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// BenchmarkDemuxer takes in a program stream as RTP packets bring it.
func BenchmarkDemuxer(b *testing.B) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	file := muxed(b, s.Take(2*time.Second))
	pieces := slices.Collect(slices.Chunk(file, 1400))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	var frames []*codec.Frame
	for b.Loop() {
		var d Demuxer
		frames = frames[:0]
		for _, p := range pieces {
			frames, _ = d.Append(frames, p)
		}
		frames = d.Flush(frames)
	}
}
