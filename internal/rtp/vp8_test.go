package rtp

import (
	"testing"

	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

const (
	vp8Key  = "d087019d012a0005d002" // 1280x720
	vp8Key2 = "10ae009d012a80026801" // 640x360
)

var vp8Cases = []videoCase{
	{name: "one packet", packets: []string{"1M 10" + vp8Key, "2M 10 1100", "3M 30 1100"}, units: []string{"1KT " + vp8Key, "2 1100", "3D 1100"}},
	{name: "fragments", packets: []string{"1 10" + vp8Key, "1 00 aa", "1M 00 bb"}, units: []string{"1KT " + vp8Key + "aabb"}},
	{name: "partitions", packets: []string{"1 10" + vp8Key, "1 11 aa", "1M 12 bb"}, units: []string{"1KT " + vp8Key + "aabb"}},
	{name: "picture ID of 7 bits", packets: []string{"1M 90 80 7f" + vp8Key}, units: []string{"1KT " + vp8Key}},
	{name: "picture ID of 15 bits", packets: []string{"1M 90 80 ffff" + vp8Key}, units: []string{"1KT " + vp8Key}},
	{name: "everything", packets: []string{"1M 90 f0 8001 55 66" + vp8Key}, units: []string{"1KT " + vp8Key}},
	{name: "nothing of the extension", packets: []string{"1M 90 00" + vp8Key}, units: []string{"1KT " + vp8Key}},
	{name: "KEYIDX without TID", packets: []string{"1M 90 10 66" + vp8Key}, units: []string{"1KT " + vp8Key}},
	{name: "another size", packets: []string{"1M 10" + vp8Key, "2M 10" + vp8Key, "3M 10" + vp8Key2}, units: []string{"1KT " + vp8Key, "2K " + vp8Key, "3KT " + vp8Key2}},
	{name: "cut", packets: []string{"!1M 10", "!2M 90", "!3M 90 80", "!4M 90 80 80 00", "!5M 90 f0 7f 55 66", "6M 10" + vp8Key}, units: []string{"6KT " + vp8Key}},
	{name: "key frame that is none", packets: []string{"!1M 10 1000", "2M 10 1100", "3M 10" + vp8Key}, units: []string{"2C 1100", "3KT " + vp8Key}},
	{name: "no marker", packets: []string{"1 10" + vp8Key, "1 00 aa", "2 10 1100", "3 10 1100"}, units: []string{"1KT " + vp8Key + "aa", "2 1100"}},
	{name: "begins within a frame", packets: []string{"1 00 aa", "1M 01 bb", "2M 10 1100", "3M 10" + vp8Key}, units: []string{"2C 1100", "3KT " + vp8Key}},
	{name: "loss of the beginning", packets: []string{"1M 10" + vp8Key, "2LM 00 aa", "3M 10 1100", "4M 10" + vp8Key}, units: []string{"1KT " + vp8Key, "3C 1100", "4K " + vp8Key}},
	{name: "loss in the middle", packets: []string{"1 10" + vp8Key, "1LM 00 aa", "2M 10 1100"}, units: []string{"2C 1100"}},
	{name: "loss of the end", packets: []string{"1 10" + vp8Key, "2LM 10 1100", "3M 10" + vp8Key}, units: []string{"2C 1100", "3KT " + vp8Key}},
}

func TestVP8Unpack(t *testing.T) { testUnpack(t, codec.VP8, vp8Cases) }

func FuzzVP8Unpack(f *testing.F) { fuzzUnpack(f, codec.VP8, vp8Cases) }

func TestVP8Pack(t *testing.T) {
	track := testmedia.Track(1, codec.VP8)
	p, err := NewPacketizer(track, PacketizerOptions{})
	require.NoError(t, err)
	for _, c := range []struct {
		flags codec.Flags
		size  int
		want  []byte // descriptors
	}{
		{0, 5, []byte{0x10}},
		{codec.FlagDisposable, 3000, []byte{0x30, 0x20, 0x20}},
	} {
		wire, err := p.Append(nil, &codec.Frame{Track: track, Flags: c.flags, Data: make([]byte, c.size)})
		require.NoError(t, err)
		var got []byte
		for _, b := range Datagrams(wire) {
			got = append(got, b[headerSize])
		}
		require.Equal(t, c.want, got)
	}
}

func TestVP8Describe(t *testing.T) {
	p, ok := Describe(testmedia.Track(1, codec.VP8), 97)
	require.True(t, ok)
	require.Equal(t, Payload{Type: 97, Kind: codec.KindVideo, Encoding: "VP8", ClockRate: 90000}, p)
	track, err := p.Track(3)
	require.NoError(t, err)
	require.True(t, track.Ready())
	require.Equal(t, 3, track.ID)
}

// Descriptors are read as another implementation does.
func TestVP8DescriptorWitness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 12).Draw(t, "payload")
		d, err := parseVP8(b)
		var w codecs.VP8Packet
		payload, werr := w.Unmarshal(b)
		if werr != nil || len(payload) == 0 { // it takes a descriptor without payload
			require.ErrorIs(t, err, ErrInvalid)
			return
		}
		require.NoError(t, err)
		require.Equal(t, payload, b[d.size:])
		require.Equal(t, w.S == 1 && w.PID == 0, d.start)
		require.Equal(t, w.N == 1, d.disposable)
	})
}
