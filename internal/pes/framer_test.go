package pes

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// framed returns what PES packets have of a frame; nil if there is no form for it.
func framed(t *testing.T, x *Framer, f *codec.Frame) []byte {
	t.Helper()
	p, ok := x.Frame(f)
	if !ok {
		return nil
	}
	b := []byte{}
	for piece := range p.Pieces() {
		b = append(b, piece...)
	}
	if p.Size > 0 { // else there may be the beginning of a NAL unit, which is not written
		require.Len(t, b, p.Size)
	}
	return b[:p.Size]
}

func TestFramer(t *testing.T) {
	sets := func(t *codec.Track, b string) string {
		for _, set := range t.ParameterSets() {
			b += "\x00\x00\x00\x01" + string(set)
		}
		return b
	}
	h264, h265 := testmedia.Track(1, codec.H264), testmedia.Track(1, codec.H265)
	const aud264, aud265 = "\x00\x00\x00\x01\x09\xf0", "\x00\x00\x00\x01\x46\x01\x50"
	const slice = "\x00\x00\x00\x02\x65\x88"
	const annexB = "\x00\x00\x00\x01\x65\x88"
	opus, aac := testmedia.Track(1, codec.Opus), testmedia.Track(1, codec.AAC)
	type frame struct {
		data string
		key  bool
		want string // "" is nothing
	}
	for _, c := range []struct {
		track   *codec.Track
		control bool
		frames  []frame
	}{
		{h264, true, []frame{
			{slice, false, sets(h264, aud264) + annexB}, // the first one
			{slice, false, aud264 + annexB},
			{slice + slice, true, sets(h264, aud264) + annexB + annexB},
			{slice + "\x00\x00\x01", false, aud264 + annexB}, // what is cut is left out
			{"\x00\x00\x01", true, ""},
			{"", true, ""},
		}},
		{h265, false, []frame{{slice, true, sets(h265, aud265) + annexB}, {slice, false, aud265 + annexB}}},
		{&codec.Track{Codec: codec.H264}, false, []frame{{slice, true, aud264 + annexB}}},
		{&codec.Track{Codec: codec.H264, Wire: Wire}, false, []frame{{slice, true, slice}}},
		{&codec.Track{Codec: codec.MPEG2Video}, true, []frame{{"picture", true, "picture"}, {"", true, ""}}},
		{testmedia.Track(1, codec.PCMA), true, []frame{{"sound", true, "sound"}}},
		{opus, true, []frame{{"sound", true, "\x7f\xe0\x05sound"}}},
		{opus, false, []frame{{"sound", true, "sound"}}},
		{aac, false, []frame{
			{"sound", true, "\xff\xf1\x4c\x80\x01\x9f\xfcsound"},
			{string(make([]byte, 8184)), true, "\xff\xf1\x4c\x83\xff\xff\xfc" + string(make([]byte, 8184))},
			{string(make([]byte, 8185)), true, ""},
			{"more", true, "\xff\xf1\x4c\x80\x01\x7f\xfcmore"},
		}},
	} {
		x := NewFramer(c.track, c.control)
		for i, f := range c.frames {
			frame := &codec.Frame{Track: c.track, Data: []byte(f.data)}
			if f.key {
				frame.Flags = codec.FlagKey
			}
			require.Equal(t, f.want, string(framed(t, &x, frame)), "%v, frame %d", c.track, i)
		}
	}
}

// ADTS headers are those that the codec package makes.
func TestFramerADTS(t *testing.T) {
	track := testmedia.Track2(1, codec.AAC)
	x := NewFramer(track, false)
	for n := 1; n < 8185; n += 13 {
		f := &codec.Frame{Track: track, Data: bytes.Repeat([]byte{1}, n)}
		want, err := codec.AppendADTS(nil, track, f.Data)
		require.NoError(t, err)
		require.Equal(t, want, framed(t, &x, f))
	}
}
