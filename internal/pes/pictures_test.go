package pes

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

func TestUnitKind(t *testing.T) {
	for _, c := range []struct {
		name  string
		codec codec.Codec
		wire  []byte // from the 1 of the start code on
		want  part
		ok    bool
	}{
		{"H.264 slice", codec.H264, []byte{1, 0x41, 0x9a, 0}, partPicture, true},
		{"H.264 second slice", codec.H264, []byte{1, 0x41, 0x5a, 0}, partOther, true},
		{"H.264 IDR", codec.H264, []byte{1, 0x65, 0x88, 0}, partPicture, true},
		{"H.264 SPS", codec.H264, []byte{1, 0x67, 0x42, 0}, partPrefix, true},
		{"H.264 delimiter", codec.H264, []byte{1, 9, 0xf0, 0}, partPrefix, true},
		{"H.264 filler", codec.H264, []byte{1, 12, 0xff, 0}, partOther, true},
		{"H.265 slice", codec.H265, []byte{1, 2, 1, 0x80}, partPicture, true},
		{"H.265 second slice", codec.H265, []byte{1, 2, 1, 0x40}, partOther, true},
		{"H.265 IDR", codec.H265, []byte{1, 0x26, 1, 0xaf}, partPicture, true},
		{"H.265 VPS", codec.H265, []byte{1, 0x40, 1, 0xc}, partPrefix, true},
		{"H.265 suffix SEI", codec.H265, []byte{1, 40 << 1, 1, 0}, partOther, true},
		{"MPEG-2 picture", codec.MPEG2Video, []byte{1, 0, 0, 0}, partPicture, true},
		{"MPEG-2 group", codec.MPEG2Video, []byte{1, 0xb8, 0, 0}, partPrefix, true},
		{"MPEG-2 slice", codec.MPEG2Video, []byte{1, 1, 0, 0}, partOther, true},
		{"too short", codec.H264, []byte{1, 0x67, 0x42}, partOther, false},
		{"nothing", codec.H264, nil, partOther, false},
	} {
		got, ok := unitKind(c.codec, c.wire)
		require.Equal(t, c.want, got, c.name)
		require.Equal(t, c.ok, ok, c.name)
	}
}

func TestGoesOn(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{nil, false}, {[]byte{0}, false}, {[]byte{0, 0}, false}, {make([]byte, 20), false},
		{[]byte{0, 0, 1, 0x67}, false}, {[]byte{0, 0, 0, 1}, false}, {[]byte{0, 0, 0, 0, 1}, false},
		{[]byte{1}, true}, {[]byte{0, 1}, true}, {[]byte{0, 0, 2}, true}, {[]byte{0x88, 0, 0, 1}, true},
	} {
		require.Equal(t, c.want, GoesOn(c.b), "% x", c.b)
	}
}

// An mpeg2 is a picture of MPEG-2 video, of that type: 1 is I, 2 is P, 3 is B.
func mpeg2(kind byte, size int) []byte {
	var b []byte
	if kind == 1 {
		b = []byte{0, 0, 1, 0xb3, 0x28, 1, 0x68, 0x33, 0, 0, 1, 0xb8, 0, 8, 0, 0x40}
	}
	b = append(b, 0, 0, 1, 0, 0, kind<<3|7, 0xff, 0xf8, 0, 0, 1, 1)
	return append(b, bytes.Repeat([]byte{kind<<4 | 7}, size)...)
}

// Pictures in packets that are cut anywhere, of which most have no time: they come
// one by one, and where pictures are reordered the times are as they should be.
func TestLoosePictures(t *testing.T) {
	type picture struct {
		kind     byte
		pts, dts int64 // of 25 a second
	}
	var list []picture
	var es []byte
	var at []int
	for gop := range int64(10) {
		for i, kind := range []byte{1, 2, 3, 3, 2, 3, 3} {
			pts := []int64{1, 4, 2, 3, 7, 5, 6}[i]
			list = append(list, picture{kind, gop*7 + pts, gop*7 + int64(i)})
			at = append(at, len(es))
			es = append(es, mpeg2(kind, 400*int(4-kind))...)
		}
	}
	const size = 1700
	var a Assembler
	a.SetStreams([]Entry{{Key: 7, Content: Content{Codec: codec.MPEG2Video}}})
	s := a.Stream(7)
	timed := 0
	for from := 0; from < len(es); from += size {
		h := Header{ID: IDVideo}
		to := min(from+size, len(es))
		if i := slices.IndexFunc(at, func(p int) bool { return p >= from && p < to }); i >= 0 {
			h.HasPTS, h.PTS, h.DTS = true, uint64(list[i].pts*3600), uint64(list[i].dts*3600)
			timed++
		}
		s.Begin(&h, false, es[from:min(from+7, to)])
		s.Add(es[min(from+7, to):to])
	}
	a.Flush()
	require.Len(t, a.Frames, len(list))
	require.Less(t, timed, len(list))
	for i, f := range a.Frames {
		end := len(es)
		if i+1 < len(at) {
			end = at[i+1]
		}
		require.Equal(t, es[at[i]:end], f.Data)
		require.Equal(t, list[i].kind == 1, f.Key())
		require.Equal(t, time.Duration(list[i].dts)*40*time.Millisecond, f.DTS, i)
		if i > 28 { // once it is known how far pictures are ahead
			require.Equal(t, time.Duration(list[i].pts)*40*time.Millisecond, f.PTS, i)
		}
	}
	require.Zero(t, a.Pending())
}

// What comes first after bytes were lost may be the rest of a picture: it is not
// taken for one, or it is marked.
func TestLoseInPicture(t *testing.T) {
	key := []byte("\x00\x00\x00\x01\x67\x42\xc0\x0a\xda\x0f\x0a\x68\x40\x00\x00\x03\x00\x40\x00\x00\x0c\xa3\xc4\x89\xe0\x00\x00\x00\x01\x68\xce\x3c\x80\x00\x00\x00\x01\x65\x88\x81\x02\x03")
	slice := func(first byte) []byte { return []byte{0, 0, 0, 1, 0x41, first, 1, 2, 3, 4} }
	for _, c := range []struct {
		name  string
		first []byte
		came  int // of it and the picture after
		whole bool
	}{
		{"a picture", slice(0x9a), 2, true},
		{"a second slice", slice(0x5a), 2, false},
		{"the middle of one", []byte{8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, 1, true},
	} {
		var a Assembler
		a.SetStreams([]Entry{{Key: 1, Content: Content{Codec: codec.H264}}})
		s := a.Stream(1)
		packet := func(pts uint64, b []byte) { s.Begin(&Header{ID: IDVideo, HasPTS: true, PTS: pts, DTS: pts}, false, b) }
		packet(0, key)
		packet(3600, slice(0x9a))
		s.Lose()
		require.Len(t, a.Frames, 2, c.name)
		require.False(t, a.Frames[0].Has(codec.FlagCorrupt))
		require.True(t, a.Frames[1].Has(codec.FlagCorrupt))
		a.Frames = nil
		packet(7200, c.first)
		packet(10800, slice(0x9a))
		a.Flush()
		require.Len(t, a.Frames, c.came, c.name)
		require.Equal(t, c.whole, !a.Frames[0].Has(codec.FlagCorrupt), c.name)
		require.False(t, a.Frames[c.came-1].Has(codec.FlagCorrupt))
	}
}
