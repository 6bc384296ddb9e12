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
	vp9Key  = "82498342004ff02cf6" // 1280x720
	vp9Key2 = "824983420027f01676" // 640x360
)

var vp9Cases = []videoCase{
	{name: "one packet", packets: []string{"1M 0c" + vp9Key, "2M 4c 8600"}, units: []string{"1KT " + vp9Key, "2 8600"}},
	{name: "fragments", packets: []string{"1 08" + vp9Key, "1 00 aa", "1M 04 bb"}, units: []string{"1KT " + vp9Key + "aabb"}},
	{name: "picture ID", packets: []string{"1M 8c 7f" + vp9Key, "2M cc ffff 8600"}, units: []string{"1KT " + vp9Key, "2 8600"}},
	{name: "layer indices", packets: []string{"1M 2c 00 55" + vp9Key, "2M 7c 00 03 05 06 8600"}, units: []string{"1KT " + vp9Key, "2 8600"}},
	{name: "flexible mode", packets: []string{"1M 9c 01" + vp9Key, "2M dc 02 02 8600", "3M dc 03 03 03 03 8600"}, units: []string{"1KT " + vp9Key, "2 8600", "3 8600"}},
	{name: "spatial layers", packets: []string{"1 2c 00 55" + vp9Key, "1M 2c 02 55 8600", "2M 2c 02 55 8600", "3M 2c 00 55" + vp9Key}, units: []string{"1KT " + vp9Key + "8600", "3K " + vp9Key}},
	{name: "scalability structure", packets: []string{"1M 0e 38 0500 02d0 0280 0168 02 04 01 08 01 02" + vp9Key}, units: []string{"1KT " + vp9Key}},
	{name: "structure without anything", packets: []string{"1M 0e 00" + vp9Key}, units: []string{"1KT " + vp9Key}},
	{name: "cut", packets: []string{"!1M 0c", "!2M 8c 80 00", "!3M 2c 00 00", "!4M dc 00 03 03 03", "!5M 0e f8", "!6M 0e 08 ff", "7M 0c" + vp9Key}, units: []string{"7KT " + vp9Key}},
	{name: "another size", packets: []string{"1M 0c" + vp9Key, "2M 0c" + vp9Key2}, units: []string{"1KT " + vp9Key, "2KT " + vp9Key2}},
	{name: "key frame that is none", packets: []string{"!1M 0c 82000000", "2M 4c 8600"}, units: []string{"2C 8600"}},
	{name: "no marker", packets: []string{"1 0c" + vp9Key, "2 4c 8600", "3 4c 8600"}, units: []string{"1KT " + vp9Key, "2 8600"}},
	{name: "loss of the beginning", packets: []string{"1M 0c" + vp9Key, "2LM 44 aa", "3M 4c 8600", "4M 0c" + vp9Key}, units: []string{"1KT " + vp9Key, "3C 8600", "4K " + vp9Key}},
	{name: "loss of the lower layer", packets: []string{"1M 0c" + vp9Key, "2LM 6c 02 55 8600", "3M 4c 8600"}, units: []string{"1KT " + vp9Key, "3C 8600"}},
}

func TestVP9Unpack(t *testing.T) { testUnpack(t, codec.VP9, vp9Cases) }

func FuzzVP9Unpack(f *testing.F) { fuzzUnpack(f, codec.VP9, vp9Cases) }

func TestVP9Pack(t *testing.T) {
	track := testmedia.Track(1, codec.VP9)
	p, err := NewPacketizer(track, PacketizerOptions{})
	require.NoError(t, err)
	for _, c := range []struct {
		flags codec.Flags
		size  int
		want  []byte // descriptors
	}{
		{codec.FlagKey, 5, []byte{0x0c}},
		{0, 3000, []byte{0x48, 0x40, 0x44}},
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

func TestVP9Describe(t *testing.T) {
	p, ok := Describe(testmedia.Track(1, codec.VP9), 96)
	require.True(t, ok)
	require.Equal(t, "profile-id=0", p.FMTP())
	unknown, err := codec.NewVP9Track(1, nil)
	require.NoError(t, err)
	p, ok = Describe(unknown, 96)
	require.True(t, ok)
	require.Empty(t, p.FMTP())

	for _, value := range []string{"", "0", "2", "x"} { // a profile is no configuration: that comes with the key frame
		p.Params = []Parameter{{"profile-id", value}}
		track, err := p.Track(1)
		require.NoError(t, err)
		require.Empty(t, track.Config)
		require.True(t, track.Ready())
	}
}

// Descriptors are read as another implementation does.
func TestVP9DescriptorWitness(t *testing.T) {
	agreed := 0
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "payload")
		d, err := parseVP9(b)
		var w codecs.VP9Packet
		payload, werr := w.Unmarshal(b)
		if werr != nil || len(payload) == 0 { // it also refuses more layers and references than there can be
			return
		}
		agreed++
		require.NoError(t, err)
		require.Equal(t, payload, b[d.size:])
		require.Equal(t, w.B && (!w.L || w.SID == 0), d.start)
	})
	require.NotZero(t, agreed)
}
