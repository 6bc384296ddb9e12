package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/media"
)

func TestEdge(t *testing.T) {
	const begin = "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n"
	const a = "#EXT-X-PART:DURATION=0.2,URI=\"s7.mp4\",BYTERANGE=\"10@0\",INDEPENDENT=YES\n"
	const b = "#EXT-X-PART:DURATION=0.2,URI=\"s7.mp4\",BYTERANGE=\"5@10\"\n"
	for _, c := range []struct {
		text      string
		msn, part int
		parts     []hlsPart
	}{
		{begin, 7, 0, nil},
		{begin + a + b, 7, 2, []hlsPart{{"s7.mp4", 10, 0}, {"s7.mp4", 5, 10}}},
		{begin + a + b + "#EXTINF:0.4,\ns7.mp4\n", 8, 0, []hlsPart{{"s7.mp4", 10, 0}, {"s7.mp4", 5, 10}}},
		{begin + "#EXTINF:0.4,\ns7.mp4\n" + b, 8, 1, []hlsPart{{"s7.mp4", 5, 10}}},
	} {
		msn, part, parts, err := edge([]byte(c.text))
		require.NoError(t, err)
		require.Equal(t, []any{c.msn, c.part, c.parts}, []any{msn, part, parts}, c.text)
	}
	_, _, _, err := edge([]byte("#EXTM3U\n"))
	require.Error(t, err)

	all := []hlsPart{{"s7.mp4", 10, 0}, {"s7.mp4", 5, 10}, {"s8.mp4", 5, 0}}
	require.Equal(t, all[2:], newParts(all, "s7.mp4@10"))
	require.Equal(t, all[2:], newParts(all, "gone"), "the last one")
	require.Empty(t, newParts(all, "s8.mp4@0"))
	require.Equal(t, "bytes=10-14", all[1].header())
}

func TestReadStamps(t *testing.T) {
	var s media.Stream
	var b []byte
	for n := uint32(0); n < 3; {
		p := s.Next()
		if p.Type == media.TagVideo {
			media.Stamp(p.Body, n, int64(100+n))
			n++
		}
		b = append(b, p.Body...)
	}
	require.Equal(t, []stamp{{0, 100}, {1, 101}, {2, 102}}, readStamps(b))
}

func TestServingRatio(t *testing.T) {
	s := serving{Ours: []float64{3, 1, 2}, Theirs: []float64{1, 1, 4}}
	require.Equal(t, 1.0, s.ratio())
	require.Equal(t, []float64{3, 1, 2}, slices.Clone(s.Ours), "the turns keep their order")
}
