package rtp

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// The headers of OBUs: 30 frame, 28 metadata, 2c with extension, 10 temporal
// delimiter, 78 padding; 2 more with a size. Frames begin with 1f if they are key
// frames, with 3f if they are not. Seq1 is the sequence header without size.
var av1Cases = []videoCase{
	{name: "one OBU", packets: []string{"1M 10 303faa", "2M 00 (303fbb)"}, units: []string{"1 32023faa", "2 32023fbb"}},
	{name: "sequence header", packets: []string{"1M 28 (SEQ1) 301f"}, units: []string{"1KT SEQ1 32011f"}},
	{name: "sequence header without size", packets: []string{"1M 28 (Seq1) 301f"}, units: []string{"1KT SEQ1 32011f"}},
	{name: "another sequence header", packets: []string{"1M 28 (Seq1) 301f", "2M 28 (Seq2) 301f", "3M 10 303f"}, units: []string{"1KT SEQ1 32011f", "2KT SEQ2 32011f", "3 32013f"}},
	{name: "W of 0", packets: []string{"1M 00 (Seq1) (280155) (2c2055) (301f)"}, units: []string{"1KT SEQ1 2a020155 2e200155 32011f"}},
	{name: "W of 3", packets: []string{"1M 30 (Seq1) (280155) 301f"}, units: []string{"1KT SEQ1 2a020155 32011f"}},
	{name: "two packets", packets: []string{"1 10 303f", "1M 10 2055"}, units: []string{"1 32013f 220155"}},
	{name: "fragments", packets: []string{"1 50 303f", "1 d0 aabb", "1M 90 cc"}, units: []string{"1 32043faabbcc"}},
	{name: "fragments with lengths", packets: []string{"1 40 (2801) (30)", "1M 80 (3f) (2055)"}, units: []string{"1 2a0101 32013f 220155"}},
	{name: "delimiter and padding", packets: []string{"1M 00 (10) (303f) (7855)"}, units: []string{"1 32013f"}},
	{name: "with sizes already", packets: []string{"1M 20 (1200) 32023faa"}, units: []string{"1 32023faa"}},
	{name: "sizes in fragments", packets: []string{"1 50 3202", "1M 90 3faa"}, units: []string{"1 32023faa"}},
	{name: "only a delimiter", packets: []string{"1M 10 10", "2M 10 303f"}, units: []string{"2 32013f"}},
	{name: "no marker", packets: []string{"1 10 303f", "1 10 2055", "2 10 303f", "3 10 303f"}, units: []string{"1 32013f 220155", "2 32013f"}},
	{name: "nothing", packets: []string{"!1M 00", "!2M 10", "3M 28 (SEQ1) 301f"}, units: []string{"3KT SEQ1 32011f"}},
	{name: "fewer OBUs than W", packets: []string{"!1M 20 (303f)", "2M 10 303f"}, units: []string{"2C 32013f"}},
	{name: "length that lies", packets: []string{"!1M 00 05303f", "!2M 00 ffffffffffffffffff01 30", "!3M 00 80"}},
	{name: "forbidden bit", packets: []string{"!1M 10 b03f"}},
	{name: "size that lies", packets: []string{"!1M 10 32053f"}},
	{name: "OBU of nothing", packets: []string{"!1M 00 00"}},
	{name: "bad sequence header", packets: []string{"!1M 28 (08e0) 301f", "2M 10 303f"}, units: []string{"2C 32013f"}},
	{name: "without the beginning", packets: []string{"1M 90 aa", "2M 10 303f", "3M 28 (SEQ1) 301f"}, units: []string{"2C 32013f", "3KT SEQ1 32011f"}},
	{name: "without the end", packets: []string{"1M 50 303f", "2M 10 303f"}, units: []string{"2C 32013f"}},
	{name: "without going on", packets: []string{"1 50 303f", "1M 10 303f", "2M 10 303f"}, units: []string{"2C 32013f"}},
	{name: "loss", packets: []string{"1M 28 (SEQ1) 301f", "3LM 10 303f", "4M 28 (SEQ1) 301f", "5M 10 303f"}, units: []string{"1KT SEQ1 32011f", "3C 32013f", "4K SEQ1 32011f", "5 32013f"}},
	{name: "loss in an OBU", packets: []string{"1 50 303f", "1LM 90 aa", "2M 10 303f"}, units: []string{"2C 32013f"}},
	{name: "loss before a sequence header", packets: []string{"1LM 20 (SEQ1) 301f", "2M 10 303f"}, units: []string{"1KT SEQ1 32011f", "2 32013f"}},
	{name: "loss, perhaps of a beginning", packets: []string{"1LM 30 (2801) (SEQ1) 301f", "2LM 38 (2801) (SEQ1) 301f"}, units: []string{"1KCT 2a0101 SEQ1 32011f", "2K 2a0101 SEQ1 32011f"}},
}

func TestAV1Unpack(t *testing.T) { testUnpack(t, codec.AV1, av1Cases) }

func FuzzAV1Unpack(f *testing.F) { fuzzUnpack(f, codec.AV1, av1Cases) }

func TestAV1Pack(t *testing.T) {
	track, other := testmedia.Track(1, codec.AV1), testmedia.Track2(1, codec.AV1)
	p, err := NewPacketizer(track, PacketizerOptions{MaxSize: 256})
	require.NoError(t, err)
	x := func(n int) string { return strings.Repeat("55", n) }
	for _, c := range []struct {
		name  string
		track *codec.Track
		flags codec.Flags
		obus  []string // without size fields
		want  []string // payloads, of up to 244 bytes
	}{
		{"one", track, 0, []string{"303f"}, []string{"10 303f"}},
		{"two", track, 0, []string{"2801", "303f"}, []string{"20 (2801) 303f"}},
		{"three", track, 0, []string{"2801", "2801", "303f"}, []string{"30 (2801) (2801) 303f"}},
		{"four", track, 0, []string{"2801", "2801", "2801", "303f"}, []string{"00 (2801) (2801) (2801) (303f)"}},
		{"key", track, codec.FlagKey, []string{"Seq1", "301f"}, []string{"28 (Seq1) 301f"}},
		{"key without sequence header", track, codec.FlagKey, []string{"301f"}, []string{"28 (Seq1) 301f"}},
		{"other parameters", other, 0, []string{"303f"}, []string{"20 (Seq2) 303f"}},
		{"the same again", other, 0, []string{"303f"}, []string{"10 303f"}},
		{"delimiter and padding", other, 0, []string{"10", "2801", "303f", "7855"}, []string{"20 (2801) 303f"}},
		{"full", other, 0, []string{"303f" + x(241)}, []string{"10 303f" + x(241)}},
		{"one byte more", other, 0, []string{"303f" + x(242)}, []string{"50 303f" + x(241), "90 55"}},
		{"two full", other, 0, []string{"28" + x(242), "30" + x(242)}, []string{"10 28" + x(242), "10 30" + x(242)}},
		{"no room for the length", other, 0, []string{"28" + x(241), "303f"}, []string{"10 28" + x(241), "10 303f"}},
		{"room for it, but no more", other, 0, []string{"28" + x(240), "303f"}, []string{"00 (28" + x(240) + ")", "10 303f"}},
		{"a fragment after others", other, 0, []string{"2801", "30" + x(241)}, []string{"60 (2801) 30" + x(239), "90 5555"}},
		{"a fragment after three", other, 0, []string{"2801", "2801", "2801", "30" + x(299)}, []string{"40 (2801) (2801) (2801) (30" + x(231) + ")", "90" + x(68)}},
		{"extension", other, 0, []string{"2c20" + x(300)}, []string{"50 2c20" + x(241), "90" + x(59)}},
	} {
		var data []byte
		for _, o := range c.obus {
			data = (&obuWriter{data}).sized(unhex(o))
		}
		wire, err := p.Append(nil, &codec.Frame{Track: c.track, Flags: c.flags, Data: data})
		require.NoError(t, err, c.name)
		var got []string
		for _, b := range Datagrams(wire) {
			got = append(got, string(b[headerSize:]))
		}
		var want []string
		for _, s := range c.want {
			want = append(want, string(unhex(s)))
		}
		require.Equal(t, want, got, c.name)
	}
}

// What follows damage in a configuration is left out.
func TestAV1BadConfig(t *testing.T) {
	track := testmedia.Track(1, codec.AV1)
	bad := *track
	bad.Config = append(slices.Clip(track.Config), 0x32, 0xff)
	p, err := NewPacketizer(track, PacketizerOptions{})
	require.NoError(t, err)
	wire, err := p.Append(nil, &codec.Frame{Track: &bad, Flags: codec.FlagKey, Data: unhex("32011f")})
	require.NoError(t, err)
	require.Equal(t, unhex("28 (Seq1) 301f"), wire[frameSize+headerSize:])
}

func TestAV1Describe(t *testing.T) {
	p, ok := Describe(testmedia.Track(1, codec.AV1), 96)
	require.True(t, ok)
	require.Equal(t, "AV1", p.Encoding)
	require.Equal(t, "profile=0; level-idx=5; tier=0", p.FMTP())
	track, err := p.Track(1)
	require.NoError(t, err)
	require.Empty(t, track.Config)
	p, ok = Describe(track, 96)
	require.True(t, ok)
	require.Empty(t, p.FMTP())
}

// The lengths that an OBU may have have sizes of their own.
func TestLEBSize(t *testing.T) {
	for n, size := range map[int]int{0: 1, 127: 1, 128: 2, 16383: 2, 16384: 3, 65535: 3} {
		require.Equal(t, size, lebSize(n))
	}
}
