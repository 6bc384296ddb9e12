package codec_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// requireOrder checks that the counts of frames tell the order of their PTS.
func requireOrder(t *testing.T, frames []*codec.Frame) {
	t.Helper()
	type picture struct {
		sequence, count int
		pts             time.Duration
	}
	var o codec.PictureOrder
	var list []picture
	sequence := 0
	for i, f := range frames {
		count, first, ok := o.Count(f)
		require.True(t, ok, "frame %d", i)
		if first {
			require.True(t, f.Key(), "frame %d", i)
			sequence++
		}
		list = append(list, picture{sequence, count, f.PTS})
	}
	slices.SortStableFunc(list, func(a, b picture) int {
		return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.count, b.count))
	})
	for i, p := range list[1:] {
		require.Greater(t, p.pts, list[i].pts, "%v frame %d in order of presentation: %+v behind %+v", frames[0].Track.Codec, i+1, p, list[i])
	}
}

func TestPictureOrder(t *testing.T) {
	for c, path := range clips {
		t.Run(c.String(), func(t *testing.T) { requireOrder(t, readFrames(t, c, path)) })
	}
	for _, c := range []codec.Codec{codec.H264, codec.H265} {
		for b := range 4 {
			s := testmedia.Stream{Video: c, BFrames: b, GOP: 20 * time.Second, Change: 2} // counts wrap
			requireOrder(t, s.Take(60*time.Second))
		}
	}
}

// Counts are told from wherever one begins.
func TestPictureOrderFromTheMiddle(t *testing.T) {
	for c, path := range clips {
		frames := readFrames(t, c, path)
		for i := range frames[:len(frames)-2] {
			if i == 0 || frames[i].PTS > frames[i-1].PTS { // a picture that others are relative to
				requireOrder(t, frames[i:i+2])
			}
		}
	}
}

func TestPictureOrderUnknown(t *testing.T) {
	var o codec.PictureOrder
	for _, f := range []*codec.Frame{
		{Track: &codec.Track{Codec: codec.H264}, Data: []byte{0, 0, 0, 4, 0x65, 0x88, 0x84, 0}},
		{Track: &codec.Track{Codec: codec.H265}, Data: []byte{0, 0, 0, 4, 0x26, 0x01, 0xaf, 0}},
		{Track: &codec.Track{Codec: codec.AAC}, Data: []byte{0, 0, 0, 4, 0x65, 0x88, 0x84, 0}},
	} {
		_, _, ok := o.Count(f)
		require.False(t, ok)
	}
	for c, path := range clips {
		f := *readFrames(t, c, path)[0]
		for nalu := range f.NALUs() {
			for n := range min(len(nalu), 8) { // cut slices
				g := f
				g.Data = append([]byte{0, 0, 0, byte(n)}, nalu[:n]...)
				o.Count(&g)
			}
		}
	}
}

func FuzzPictureOrder(f *testing.F) {
	for c, path := range clips {
		for _, s := range readFrames(f, c, path)[:8] {
			f.Add(c == codec.H265, s.Track.Config, s.Data)
		}
	}
	f.Fuzz(func(t *testing.T, h265 bool, config, data []byte) {
		tr, err := videoTrack(h265, config)
		if err != nil {
			return
		}
		var o codec.PictureOrder
		for range 3 {
			o.Count(&codec.Frame{Track: tr, Data: data})
		}
	})
}
