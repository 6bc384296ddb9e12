package rtp_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	latm44 = "MP4A-LATM/44100/2"
	apart  = "cpresent=0; config=400024203fc0" // LC, 44.1 kHz, stereo
)

// shifted returns b after the bits that head ends with: 1 for the same
// StreamMuxConfig, or 0 and a StreamMuxConfig.
func shifted(head string, bits int, b []byte) []byte {
	out := append(unhex(head), make([]byte, len(b)+1)...)
	at := bits / 8
	for _, v := range b {
		out[at] |= v >> (bits % 8)
		out[at+1] |= v << (8 - bits%8)
		at++
	}
	return out[:(bits+8*len(b)+7)/8]
}

// latmHead is 0 and the StreamMuxConfig of LC, 44.1 kHz, stereo, in 45 bits.
const latmHead = "200012101fe0"

var latmCases = []unpackCase{
	{"one", latm44, apart, []packetIn{{0, "m", unhex("03 aabbcc")}, {1024, "m", unhex("01 dd")}},
		[]unitOut{{0, 0, unhex("aabbcc")}, {1024, 0, unhex("dd")}}},
	{"a long one", latm44, apart, []packetIn{{0, "m", append(unhex("ff 01"), bytes.Repeat(unhex("aa"), 256)...)}},
		[]unitOut{{0, 0, bytes.Repeat(unhex("aa"), 256)}}},
	{"three in an element", latm44, "cpresent=0; config=420024203fc0", []packetIn{{7, "m", unhex("01aa 00 02bbcc")}},
		[]unitOut{{7, 0, unhex("aa")}, {7, 1024, unhex("bbcc")}}},
	{"clock of 90 kHz", "MP4A-LATM/90000", "cpresent=0; config=410024203fc0", []packetIn{{7, "m", unhex("01aa 02bbcc")}},
		[]unitOut{{7, 0, unhex("aa")}, {7, 2090, unhex("bbcc")}}},
	{"no configuration anywhere", "MP4A-LATM/16000/1", "cpresent=0; config=", []packetIn{{0, "m", unhex("03 aabbcc")}},
		[]unitOut{{0, 0, unhex("aabbcc")}}},
	{"fragments", latm44, apart, []packetIn{
		{0, "", unhex("06 aabb")}, {0, "", unhex("cc")}, {0, "m", unhex("ddeeff")}, {1024, "m", unhex("01 01")}},
		[]unitOut{{0, 0, unhex("aabbccddeeff")}, {1024, 0, unhex("01")}}},
	{"no marker ever", latm44, apart, []packetIn{
		{0, "", unhex("02 aabb")}, {1024, "", unhex("02 cc")}, {1024, "", unhex("dd")}, {2048, "", unhex("01 ee")}},
		[]unitOut{{0, 0, unhex("aabb")}, {1024, 0, unhex("ccdd")}}},
	{"a fragment is lost", latm44, apart, []packetIn{
		{0, "", unhex("04 aa")}, {0, "", unhex("bb")}, {0, "m", unhex("ccdd")},
		{1024, "", unhex("06 aabb")}, {1024, "l", unhex("cc")}, {1024, "m", unhex("0101")}, {2048, "m", unhex("01 01")}},
		[]unitOut{{0, 0, unhex("aabbccdd")}, {2048, 0, unhex("01")}}},
	{"whole elements are lost", latm44, apart, []packetIn{{0, "m", unhex("01 aa")}, {4096, "lm", unhex("01 bb")}},
		[]unitOut{{0, 0, unhex("aa")}, {4096, 0, unhex("bb")}}},
	{"element cut", latm44, apart, []packetIn{{0, "mx", unhex("03 aabb")}, {1024, "m", unhex("01 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"element cut, without a marker", latm44, apart, []packetIn{{0, "", unhex("03 aabb")}, {1024, "me", unhex("01 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"nothing", latm44, apart, []packetIn{{0, "m", nil}}, nil},
	{"in band", "MP4A-LATM/90000", "cpresent=1", []packetIn{
		{0, "mx", shifted("80", 1, unhex("01 99"))}, // not told yet
		{2090, "m", shifted(latmHead, 45, unhex("03 aabbcc"))},
		{4180, "m", shifted("80", 1, unhex("01 dd"))},
		{6269, "m", shifted(latmHead, 45, unhex("02 eeff"))},
	}, []unitOut{{2090, 0, unhex("aabbcc")}, {4180, 0, unhex("dd")}, {6269, 0, unhex("eeff")}}},
	{"in band, nonsense", "MP4A-LATM/90000", "", []packetIn{{0, "mx", unhex("7fffffff")}, {0, "mx", unhex("00")}}, nil},
	{"in band, besides", latm44, "cpresent=1; config=400024203fc0", []packetIn{{0, "m", shifted("80", 1, unhex("01 dd"))}},
		[]unitOut{{0, 0, unhex("dd")}}},
}

func TestLATMUnpack(t *testing.T) {
	for _, c := range latmCases {
		t.Run(c.name, func(t *testing.T) {
			units := c.run(t)
			for _, u := range units {
				require.Equal(t, codec.AAC, u.Track.Codec)
				require.Same(t, units[0].Track, u.Track)
				require.NotZero(t, u.Track.SampleRate)
			}
		})
	}
}

// A configuration in band makes another track.
func TestLATMChange(t *testing.T) {
	c := unpackCase{"", "MP4A-LATM/90000", "cpresent=1", []packetIn{
		{0, "m", shifted(latmHead, 45, unhex("01 aa"))},
		{2090, "m", shifted("200011901fe0", 45, unhex("01 bb"))},
	}, []unitOut{{0, 0, unhex("aa")}, {2090, 0, unhex("bb")}}}
	units := c.run(t)
	require.Equal(t, unhex("1210"), units[0].Track.Config)
	require.Equal(t, 44100, units[0].Track.SampleRate)
	require.Equal(t, unhex("1190"), units[1].Track.Config)
	require.Equal(t, 48000, units[1].Track.SampleRate)
	require.Equal(t, 90000, units[1].Track.ClockRate)
}

func FuzzLATMUnpack(f *testing.F) { fuzzUnpacker(f, latmCases) }
