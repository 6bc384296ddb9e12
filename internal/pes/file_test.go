package pes

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// What comes first in a PES packet tells whether it may be a key frame.
func TestMayBeKey(t *testing.T) {
	start := func(b ...byte) []byte { return append([]byte{0, 0, 1}, b...) }
	tail := bytes.Repeat([]byte{7}, 20) // of the picture before
	for _, c := range []struct {
		name   string
		codec  codec.Codec
		b      []byte
		random bool // as the container says
		want   bool
	}{
		{"H.264 IDR", codec.H264, slices.Concat(start(9, 0xf0), start(0x65)), false, true},
		{"H.264 SPS", codec.H264, start(0x67), false, true},
		{"H.264 slice", codec.H264, slices.Concat(start(9, 0xf0), start(0x41)), true, false},
		{"H.264 recovery point", codec.H264, slices.Concat(start(6, 6, 1), start(0x41)), false, true},
		{"H.264 recovery point behind others", codec.H264, slices.Concat(start(6, 1, 1, 0, 6, 1), start(0x41)), true, true},
		{"H.264 SEI", codec.H264, slices.Concat(start(6, 5, 1), start(0x41)), false, false},
		{"H.264 unknown", codec.H264, start(6, 5, 1), true, true},
		{"H.265 IDR", codec.H265, start(19<<1, 1), false, true},
		{"H.265 VPS", codec.H265, start(32<<1, 1), false, true},
		{"H.265 slice", codec.H265, slices.Concat(start(35<<1, 1), start(1<<1, 1)), true, false},
		{"H.265 recovery point", codec.H265, slices.Concat(start(39<<1, 1), start(1<<1, 1)), true, true},
		{"MPEG-2 sequence", codec.MPEG2Video, start(0xb3), false, true},
		{"MPEG-2 picture", codec.MPEG2Video, start(0), true, false},
		{"MPEG-2 group", codec.MPEG2Video, start(0xb8), true, true},
		{"audio", codec.AAC, []byte{0xff}, false, true},
		{"opaque video", codec.SVACVideo, []byte{1, 2}, false, false},
		{"opaque video that is announced", codec.SVACVideo, []byte{1, 2}, true, true},
		{"cut", codec.H264, start(), false, false},
		{"behind the rest of a picture", codec.H264, slices.Concat(tail, start(9, 0xf0, 0, 0), start(0x67)), false, true},
		{"behind its slices", codec.H264, slices.Concat(tail, start(0x65, 0x40, 1, 1), start(9, 0xf0, 0, 0), start(0x67)), false, true},
		{"a slice of it", codec.H264, slices.Concat(tail, start(0x65, 0x40, 1, 1), start(0x41, 0x80, 1, 1), start(0x67)), false, false},
		{"nothing but it", codec.H264, slices.Concat(tail, start(0x65, 0x40, 1, 1)), false, false},
		{"H.265 behind its slices", codec.H265, slices.Concat(tail, start(19<<1, 1, 0x40), start(32<<1, 1, 0, 0)), false, true},
		{"MPEG-2 behind its slices", codec.MPEG2Video, slices.Concat(tail, start(2, 1, 1, 1), start(0xb3, 1, 1, 1)), false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, mayBeKey(c.codec, c.random, c.b))
		})
	}
}
