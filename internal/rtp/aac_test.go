package rtp_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

const (
	aac48   = "mpeg4-generic/48000/2"
	hbr     = "streamtype=5; mode=AAC-hbr; config=1190; sizelength=13; indexlength=3; indexdeltalength=3"
	guessed = "mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3"
)

// AU-headers of 16 bits: a size and three bits of index.
var aacCases = []unpackCase{
	{"one", aac48, hbr, []packetIn{{0, "m", unhex("0010 0018 aabbcc")}},
		[]unitOut{{0, 0, unhex("aabbcc")}}},
	{"three in a packet", aac48, hbr, []packetIn{{7, "m", unhex("0030 0008 0010 0018 01 0202 030303")}},
		[]unitOut{{7, 0, unhex("01")}, {7, 1024, unhex("0202")}, {7, 2048, unhex("030303")}}},
	{"several, no marker", aac48, hbr, []packetIn{{7, "", unhex("0020 0008 0008 01 02")}},
		[]unitOut{{7, 0, unhex("01")}, {7, 1024, unhex("02")}}},
	{"HE-AAC, clock of its output", "mpeg4-generic/44100/2", "mode=AAC-hbr; config=2b920800", []packetIn{{7, "m", unhex("0020 0008 0008 01 02")}},
		[]unitOut{{7, 0, unhex("01")}, {7, 2048, unhex("02")}}},
	{"960 samples", aac48, "config=1194", []packetIn{{7, "m", unhex("0020 0008 0008 01 02")}},
		[]unitOut{{7, 0, unhex("01")}, {7, 960, unhex("02")}}},
	{"an empty one between", aac48, hbr, []packetIn{{7, "m", unhex("0030 0008 0000 0008 01 03")}},
		[]unitOut{{7, 0, unhex("01")}, {7, 2048, unhex("03")}}},
	{"first index counted up", aac48, hbr, []packetIn{{0, "m", unhex("0010 000d aa")}},
		[]unitOut{{0, 0, unhex("aa")}}},
	{"filled up behind", aac48, hbr, []packetIn{{0, "m", unhex("0010 0008 aa ffff")}},
		[]unitOut{{0, 0, unhex("aa")}}},
	{"only a size", aac48, "mode=AAC-hbr; config=1190; sizeLength=13", []packetIn{{0, "m", unhex("000d 0010 aabb")}},
		[]unitOut{{0, 0, unhex("aabb")}}},
	{"AAC-lbr", "mpeg4-generic/22050/1", "mode=AAC-lbr; config=1388", []packetIn{{0, "m", unhex("0010 08 04 aabb cc")}},
		[]unitOut{{0, 0, unhex("aabb")}, {0, 1024, unhex("cc")}}},

	{"fragments", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0030 aabb")}, {0, "", unhex("0010 0030 cc")}, {0, "m", unhex("0010 0030 ddeeff")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{0, 0, unhex("aabbccddeeff")}, {1024, 0, unhex("01")}}},
	{"fragments with their own size", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0010 aabb")}, {0, "", unhex("0010 0008 cc")}, {0, "m", unhex("0010 0018 ddeeff")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{0, 0, unhex("aabbccddeeff")}, {1024, 0, unhex("01")}}},
	{"no marker ever", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0010 aabb")}, {1024, "", unhex("0010 0008 cc")}, {2048, "", unhex("0010 0010 dddd")},
		{3072, "", unhex("0010 0018 eeee")}, {3072, "", unhex("0010 0018 ee")}, {4096, "", unhex("0010 0008 ff")}},
		[]unitOut{{0, 0, unhex("aabb")}, {1024, 0, unhex("cc")}, {2048, 0, unhex("dddd")}, {3072, 0, unhex("eeeeee")}, {4096, 0, unhex("ff")}}},
	{"a fragment is lost", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0030 aabb")}, {0, "lxm", unhex("0010 0030 ddeeff")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"the first fragment is lost", aac48, hbr, []packetIn{
		{0, "l", unhex("0010 0030 cc")}, {0, "xm", unhex("0010 0030 ddeeff")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"the last fragment is lost", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0030 aabb")}, {1024, "lm", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"the last fragment does not come", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0030 aabb")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"a fragment with its own size is lost", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0010 aabb")}, {0, "m", unhex("0010 0008 cc")},
		{1024, "l", unhex("0010 0010 aabb")}, {1024, "m", unhex("0010 0008 cc")}, // they may be the last ones
		{2048, "m", unhex("0010 0008 01")}},
		[]unitOut{{0, 0, unhex("aabbcc")}, {2048, 0, unhex("01")}}},
	{"another size in the next fragment", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0030 aabb")}, {0, "xm", unhex("0010 0028 ddeeff")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
	{"more than the size in fragments", aac48, hbr, []packetIn{
		{0, "", unhex("0010 0018 aabb")}, {0, "xm", unhex("0010 0018 ddee")}, {1024, "m", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},

	{"nothing", aac48, hbr, []packetIn{{0, "m", nil}}, nil},
	{"a byte", aac48, hbr, []packetIn{{0, "mx", unhex("00")}}, nil},
	{"no AU-header", aac48, hbr, []packetIn{{0, "mx", unhex("0000 aabb")}}, nil},
	{"a short AU-header", aac48, hbr, []packetIn{{0, "mx", unhex("000f 0010 aabb")}}, nil},
	{"AU-headers beyond the end", aac48, hbr, []packetIn{{0, "mx", unhex("0030 0008 0010")}}, nil},
	{"more than there is", aac48, hbr, []packetIn{{0, "mx", unhex("0010 0020 aabb")}}, nil},
	{"more in the second than there is", aac48, hbr, []packetIn{{0, "mx", unhex("0020 0008 0020 aabb")}}, nil},
	{"interleaved", aac48, hbr, []packetIn{{0, "mx", unhex("0020 0008 0009 aabb")}}, nil},
	{"size of 32 bits", aac48, "config=1190; sizelength=32", []packetIn{{0, "mx", unhex("0020 ffffffff aabb")}, {0, "x", unhex("0020 ffffffff aabb")}}, nil},
	{"size of 32 bits and nothing behind", aac48, "config=1190; sizelength=32", []packetIn{{0, "mx", unhex("0020 0009aabb")}}, nil},
	{"257 of a byte", aac48, hbr, []packetIn{{0, "mx", append(append(unhex("1010"), bytes.Repeat(unhex("0008"), 257)...), make([]byte, 257)...)}}, nil},

	{"ADTS, as the configuration says", aac48, hbr, []packetIn{{0, "m", unhex("0010 0048 fff14c80013ffcaabb")}},
		[]unitOut{{0, 0, unhex("aabb")}}},
	{"ADTS tells the configuration", "mpeg4-generic/48000", guessed, []packetIn{{0, "m", unhex("0010 0048 fff14c80013ffcaabb")}},
		[]unitOut{{0, 0, unhex("aabb")}}},
	{"two ADTS frames", aac48, hbr, []packetIn{{0, "m", unhex("0010 0088 fff14c80013ffcaabb fff14c80011ffccc")}},
		[]unitOut{{0, 0, unhex("aabb")}, {0, 1024, unhex("cc")}}},
	{"ADTS frames without AU-headers", aac48, hbr, []packetIn{{0, "m", unhex("fff14c80013ffcaabb fff14c80011ffccc")}, {2048, "m", unhex("fff14c80011ffcdd")}},
		[]unitOut{{0, 0, unhex("aabb")}, {0, 1024, unhex("cc")}, {2048, 0, unhex("dd")}}},
	{"ADTS without AU-headers and markers", aac48, hbr, []packetIn{{0, "", unhex("fff14c80013ffcaabb")}, {1024, "", unhex("fff14c80011ffccc")}},
		[]unitOut{{0, 0, unhex("aabb")}, {1024, 0, unhex("cc")}}},
	{"ADTS without AU-headers, cut", aac48, hbr, []packetIn{{0, "mx", unhex("fff14c80013ffcaa")}}, nil},
	{"ADTS damaged", aac48, hbr, []packetIn{{0, "mx", unhex("0010 0048 fff14c80015ffcaabb")}}, nil},
	{"ADTS damaged, without a marker", aac48, hbr, []packetIn{{0, "", unhex("0010 0048 fff14c80015ffcaabb")}, {1024, "me", unhex("0010 0008 01")}},
		[]unitOut{{1024, 0, unhex("01")}}},
}

func TestAACUnpack(t *testing.T) {
	for _, c := range aacCases {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

// ADTS inside replaces a configuration that was guessed, and only that.
func TestAACGuess(t *testing.T) {
	i := slices.IndexFunc(aacCases, func(c unpackCase) bool { return c.name == "ADTS tells the configuration" })
	u := aacCases[i].run(t)[0]
	require.Equal(t, unhex("1190"), u.Track.Config)
	require.Equal(t, 2, u.Track.Channels)
	c := aacCases[i]
	c.rtpmap, c.fmtp = "mpeg4-generic/90000/1", "config=1588"
	u = c.run(t)[0]
	require.Equal(t, unhex("1588"), u.Track.Config)
	require.Equal(t, 90000, u.Track.ClockRate)
}

// Units of one packet do not keep each other in memory, a lone one is not copied.
func TestAACCopies(t *testing.T) {
	p := payload(97, codec.KindAudio, aac48, hbr)
	tr, err := p.Track(1)
	require.NoError(t, err)
	d, err := rtp.NewDepacketizer(p, tr)
	require.NoError(t, err)
	one := unhex("0010 0018 aabbcc")
	units, err := d.Append(nil, &rtp.Packet{Marker: true, Payload: one}, false)
	require.NoError(t, err)
	require.Same(t, &one[4], &units[0].Data[0])
	two := unhex("0020 0008 0008 01 02")
	units, err = d.Append(nil, &rtp.Packet{Marker: true, Payload: two}, false)
	require.NoError(t, err)
	two[6], two[7] = 0, 0
	require.Equal(t, unhex("01"), units[0].Data)
	require.Equal(t, unhex("02"), units[1].Data)

	units = units[:0]
	packet := &rtp.Packet{Marker: true, Payload: one}
	require.Zero(t, testing.AllocsPerRun(100, func() { units, _ = d.Append(units[:0], packet, false) }))
}

func TestAACPack(t *testing.T) {
	f := (testmedia.Stream{Audio: codec.AAC}).Take(1)[0]
	packer := func() *rtp.Packetizer {
		p, err := rtp.NewPacketizer(f.Track, rtp.PacketizerOptions{PayloadType: 97})
		require.NoError(t, err)
		return p
	}
	for _, size := range []int{0, 8192} {
		bad := *f
		bad.Data = make([]byte, size)
		_, err := packer().Append(nil, &bad)
		require.ErrorIs(t, err, rtp.ErrInvalid)
	}
	p, b := packer(), make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { b, _ = p.Append(b[:0], f) }))
}

func FuzzAACUnpack(f *testing.F) { fuzzUnpacker(f, aacCases) }
