package rtp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// mp3 and mp2 are a frame of 384 bytes, 24 ms.
var (
	mp3 = (testmedia.Stream{Audio: codec.MP3}).Take(1)[0].Data
	mp2 = (testmedia.Stream{Audio: codec.MP2}).Take(1)[0].Data
)

// join returns the parts as one new slice.
func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

const mpa = "MPA/90000"

var mpegAudioCases = []unpackCase{
	{"one", mpa, "", []packetIn{{0, "", join(unhex("00000000"), mp3)}}, []unitOut{{0, 0, mp3}}},
	{"three in a packet", mpa, "", []packetIn{{9, "m", join(unhex("00000000"), mp3, mp3, mp3)}},
		[]unitOut{{9, 0, mp3}, {9, 2160, mp3}, {9, 4320, mp3}}},
	{"another clock", "mp3/48000", "", []packetIn{{9, "", join(unhex("00000000"), mp3, mp3)}}, []unitOut{{9, 0, mp3}, {9, 1152, mp3}}},
	{"no header", "mp3/90000", "", []packetIn{{9, "", join(mp3, mp3)}}, []unitOut{{9, 0, mp3}, {9, 2160, mp3}}},
	{"filled up behind", mpa, "", []packetIn{{9, "", join(unhex("00000000"), mp3, make([]byte, 5))}}, []unitOut{{9, 0, mp3}}},
	{"fragments", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {9, "", join(unhex("00000064"), mp3[100:300])}, {9, "", join(unhex("0000012c"), mp3[300:])},
		{18, "", join(unhex("00000000"), mp3)}},
		[]unitOut{{9, 0, mp3}, {18, 0, mp3}}},
	{"fragment behind a frame", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3, mp3[:100])}, {9, "", join(unhex("00000064"), mp3[100:])}},
		[]unitOut{{9, 0, mp3}, {9, 2160, mp3}}},
	{"a fragment is lost", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {9, "l", join(unhex("0000012c"), mp3[300:])}, {18, "", join(unhex("00000000"), mp3)}},
		[]unitOut{{18, 0, mp3}}},
	{"a fragment in the wrong place", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {9, "", join(unhex("00000065"), mp3[100:])}, {18, "", join(unhex("00000000"), mp3)}},
		[]unitOut{{18, 0, mp3}}},
	{"a fragment of another time", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {10, "", join(unhex("00000064"), mp3[100:])}, {18, "", join(unhex("00000000"), mp3)}},
		[]unitOut{{18, 0, mp3}}},
	{"the last fragment does not come", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {18, "", join(unhex("00000000"), mp3)}},
		[]unitOut{{18, 0, mp3}}},
	{"more than the frame in fragments", mpa, "", []packetIn{
		{9, "", join(unhex("00000000"), mp3[:100])}, {9, "", join(unhex("00000064"), mp3[100:], mp3)}},
		[]unitOut{{9, 0, mp3}}},
	{"free format", mpa, "", []packetIn{{9, "", unhex("00000000 fffb0444 aabb")}}, []unitOut{{9, 0, unhex("fffb0444 aabb")}}},
	{"layer II", mpa, "", []packetIn{{0, "", join(unhex("00000000"), mp2)}}, []unitOut{{0, 0, mp2}}},
	{"nothing", mpa, "", []packetIn{{0, "m", nil}}, nil},
	{"only a header", mpa, "", []packetIn{{0, "m", unhex("00000000")}}, nil},
	{"short", mpa, "", []packetIn{{0, "x", unhex("000000")}}, nil},
	{"no frame", mpa, "", []packetIn{{0, "x", unhex("00000000 12345678")}}, nil},
	{"half a frame header", mpa, "", []packetIn{{0, "x", unhex("00000000 fffb")}}, nil},
	{"layer I", mpa, "", []packetIn{{0, "x", unhex("00000000 ffff9044")}}, nil},
}

func TestMPEGAudioUnpack(t *testing.T) {
	for _, c := range mpegAudioCases {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

// The frames tell rate, channels and layer; the clock stays that of packets.
func TestMPEGAudioTrack(t *testing.T) {
	units := (&unpackCase{"", mpa, "", []packetIn{
		{0, "", join(unhex("00000000"), mp3)}, {1, "", join(unhex("00000000"), mp3)}, {2, "", join(unhex("00000000"), mp2)},
	}, []unitOut{{0, 0, mp3}, {1, 0, mp3}, {2, 0, mp2}}}).run(t)
	require.Equal(t, &codec.Track{ID: 1, Codec: codec.MP3, ClockRate: 90000, SampleRate: 48000, Channels: 2}, units[0].Track)
	require.Same(t, units[0].Track, units[1].Track)
	require.Equal(t, codec.MP2, units[2].Track.Codec)
}

func TestMPEGAudioPack(t *testing.T) {
	track := testmedia.Track(1, codec.MP3)
	pack := func(data []byte) ([][]byte, error) {
		p, err := rtp.NewPacketizer(track, rtp.PacketizerOptions{MaxSize: 1000})
		require.NoError(t, err)
		b, err := p.Append(nil, &codec.Frame{Track: track, Data: data})
		var payloads [][]byte
		for _, packet := range rtp.Datagrams(b) {
			require.LessOrEqual(t, len(packet), 1000)
			payloads = append(payloads, packet[12:])
		}
		return payloads, err
	}
	big := join(unhex("fffbe444"), make([]byte, 956)) // 320 kbit/s
	for _, c := range []struct {
		name     string
		data     []byte
		payloads [][]byte // nil: an error
	}{
		{"one", mp3, [][]byte{join(unhex("00000000"), mp3)}},
		{"three, two of which go together", join(mp3, mp3, mp3), [][]byte{join(unhex("00000000"), mp3, mp3), join(unhex("00000000"), mp3)}},
		{"a big one between", join(mp3, big, mp3), [][]byte{join(unhex("00000000"), mp3), join(unhex("00000000"), big), join(unhex("00000000"), mp3)}},
		{"a tag behind", join(mp3, []byte("TAG...")), [][]byte{join(unhex("00000000"), mp3)}},
		{"free format", unhex("fffb0444 aabb"), [][]byte{unhex("00000000 fffb0444 aabb")}},
		{"nothing", nil, nil},
		{"no frame", []byte("TAG..."), nil},
		{"cut", mp3[:383], nil},
	} {
		got, err := pack(c.data)
		if c.payloads == nil {
			require.ErrorIs(t, err, rtp.ErrInvalid, c.name)
			require.Empty(t, got)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.payloads, got, c.name)
	}
	// Only the frames tell the layer: MPA is announced for both.
	p, err := rtp.NewPacketizer(&codec.Track{Codec: codec.MP3, ClockRate: 90000}, rtp.PacketizerOptions{})
	require.NoError(t, err)
	_, err = p.Append(nil, (testmedia.Stream{Audio: codec.MP2}).Take(1)[0])
	require.NoError(t, err)
	_, err = p.Append(nil, (testmedia.Stream{Audio: codec.AAC}).Take(1)[0])
	require.ErrorIs(t, err, rtp.ErrInvalid)
	p, err = rtp.NewPacketizer(track, rtp.PacketizerOptions{})
	require.NoError(t, err)
	f, b := &codec.Frame{Track: track, Data: mp3}, make([]byte, 0, 4096)
	require.Zero(t, testing.AllocsPerRun(100, func() { b, _ = p.Append(b[:0], f) }))
}

func FuzzMPEGAudioUnpack(f *testing.F) { fuzzUnpacker(f, mpegAudioCases) }
