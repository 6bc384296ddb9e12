package rtp

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// The types in the first byte: 26 IDR, 02 TRAIL_R, 00 TRAIL_N, 2a CRA, 12
// RASL_R, 4e SEI, 46 delimiter; 60 AP, 62 FU, 64 PACI.
var h265Cases = []videoCase{
	{name: "single NAL units", packets: []string{"1M 260180aa", "2M 020180bb", "3M 000180"}, units: []string{"1K 260180aa", "2 020180bb", "3D 000180"}},
	{name: "slices", packets: []string{"1 260180", "1M 260141", "2 020180", "2M 020141"}, units: []string{"1K 260180|260141", "2 020180|020141"}},
	{name: "temporal layers", packets: []string{"1M 260180", "2M 000280", "3M 020280"}, units: []string{"1K 260180", "2D 000280", "3 020280"}},
	{name: "AP", packets: []string{"1M 6001 [260180] [26014199]"}, units: []string{"1K 260180|26014199"}},
	{name: "AP of known sets", packets: []string{"1 6001 [hVPS1] [hSPS1] [hPPS1]", "1M 260180"}, units: []string{"1K 260180"}},
	{name: "AP of new sets", packets: []string{"1 6001 [hVPS2] [hSPS2] [hPPS2]", "1M 260180", "2M 020180"}, units: []string{"1KT 260180", "2 020180"}},
	{name: "AP with a unit cut", packets: []string{"1M 6001 [26] [260180]"}, units: []string{"1K 260180"}},
	{name: "AP cut", packets: []string{"!1M 6001 [260180] 00", "2M 020180", "3M 260180"}, units: []string{"2C 020180", "3K 260180"}},
	{name: "AP with a length that lies", packets: []string{"!1M 6001 0004 260180", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "FU", packets: []string{"1 620193 80", "1 620113 aabb", "1M 620153 cc"}, units: []string{"1K 260180aabbcc"}},
	{name: "FU with start and end at once", packets: []string{"1M 6201d3 80aa"}, units: []string{"1K 260180aa"}},
	{name: "FU without end", packets: []string{"1 620193 80", "1M 620113 aa", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "FU without start", packets: []string{"1M 620153 aa", "2M 020180", "3M 260180"}, units: []string{"2C 020180", "3K 260180"}},
	{name: "FU that goes on in another layer", packets: []string{"1 620193 80", "1M 620253 aa", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "FU cut", packets: []string{"!1M 6201", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "payload cut", packets: []string{"!1M 26", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "PACI", packets: []string{"1M 6401 2620 aabb 80cc", "2 6401 6200 93 80", "2M 6401 6200 53 dd"}, units: []string{"1K 260180cc", "2K 260180dd"}},
	{name: "PACI cut", packets: []string{"!1M 6401 26", "!2M 6401 2620 aa", "!3M 6401 6400 8000", "4M 260180"}, units: []string{"4K 260180"}},
	{name: "types that are none", packets: []string{"1 260180", "!1 660180", "!1M 7e0180"}, units: []string{"1K 260180"}},
	{name: "forbidden bit", packets: []string{"1 260180", "!1M a60141", "2M 260180"}, units: []string{"2K 260180"}},
	{name: "delimiters, SEI", packets: []string{"1 460150", "1 4e0101aa80", "1M 260180"}, units: []string{"1K 4e0101aa80|260180"}},
	{name: "sets with a time of their own", packets: []string{"1M hVPS2", "1M hSPS2", "1M hPPS2", "2M 260180", "3M 020180", "4M 020180"}, units: []string{"2KT 260180", "3 020180", "4 020180"}},
	{name: "marker on every unit", packets: []string{"1M hVPS1", "1M hSPS1", "1M hPPS1", "1M 260180", "1M 260141", "2M 020180", "2M 020141", "3M 260180"}, units: []string{"1K 260180|260141", "2 020180|020141"}},
	{name: "Annex B", packets: []string{"1M 00000001 hVPS2 00000001 hSPS2 000001 hPPS2 000001 260180"}, units: []string{"1KT 260180"}},

	{name: "loss", packets: []string{"1M 260180", "3LM 020180", "4M 260180", "5M 020180"}, units: []string{"1K 260180", "3C 020180", "4K 260180", "5 020180"}},
	{name: "loss of sets, perhaps", packets: []string{"1 hVPS1", "1 hSPS1", "1 hPPS1", "1M 260180", "2L hSPS1", "2 hPPS1", "2M 260180", "3L hVPS1", "3M 260180"}, units: []string{"1K 260180", "2KC 260180", "3K 260180"}},
	{name: "leading pictures", packets: []string{"1M 2a0180", "2M 120180", "3LM 020180", "4M 2a0180", "5M 120180", "6M 020180", "7M 2a0180", "8M 120180"}, units: []string{"1K 2a0180", "2 120180", "3C 020180", "4K 2a0180", "5C 120180", "6 020180", "7K 2a0180", "8 120180"}},

	{name: "DONL", packets: []string{"1M 2601 1234 80aa"}, units: []string{"1K 260180aa"}, params: []Parameter{{"sprop-max-don-diff", "2"}}},
	{name: "DONL in AP", packets: []string{"1M 6001 1234 [260180] 00 [260141] 01 [26014299]"}, units: []string{"1K 260180|260141|26014299"}, params: []Parameter{{"sprop-max-don-diff", "2"}}},
	{name: "DONL in FU", packets: []string{"1 620193 1234 80", "1M 620153 aa"}, units: []string{"1K 260180aa"}, params: []Parameter{{"sprop-max-don-diff", "2"}}},
	{name: "DONL cut", packets: []string{"!1M 260112", "!2M 600112", "!3M 62019312", "4M 26010000 80"}, units: []string{"4K 260180"}, params: []Parameter{{"sprop-max-don-diff", "2"}}},
}

func TestH265Unpack(t *testing.T) { testUnpack(t, codec.H265, h265Cases) }

func FuzzH265Unpack(f *testing.F) { fuzzUnpack(f, codec.H265, h265Cases) }

func TestH265Pack(t *testing.T) {
	track := testmedia.Track(1, codec.H265)
	p, err := NewPacketizer(track, PacketizerOptions{MaxSize: 256})
	require.NoError(t, err)
	pack := func(flags codec.Flags, nalus ...string) (payloads []string) {
		var data []byte
		for _, nalu := range nalus {
			data = append(append(data, 0, 0, 0, byte(len(nalu))), nalu...)
		}
		wire, err := p.Append(nil, &codec.Frame{Track: track, Flags: flags, Data: data})
		require.NoError(t, err)
		for _, b := range Datagrams(wire) {
			payloads = append(payloads, string(b[headerSize:]))
		}
		return payloads
	}
	small, fits := "\x02\x0a\x80", "\x02\x0a\x80"+strings.Repeat("x", 241)
	require.Equal(t, []string{small}, pack(0, small))
	require.Equal(t, []string{fits}, pack(0, fits))
	require.Equal(t, []string{"\x60\x09\x00\x03" + small + "\x00\x03\x02\x11\x41"}, pack(0, small, "\x02\x11\x41"), "the lowest layer and TID")
	require.Equal(t, []string{"\x62\x0a\x81\x80" + strings.Repeat("x", 240), "\x62\x0a\x41xy"}, pack(0, fits+"y"))
	require.Equal(t, []string{string(unhex("6001 [hVPS1] [hSPS1] [hPPS1] [260180]"))}, pack(codec.FlagKey, "\x26\x01\x80"))
}

func TestH265Describe(t *testing.T) {
	enc := base64.StdEncoding.EncodeToString
	p, ok := Describe(testmedia.Track(1, codec.H265), 96)
	require.True(t, ok)
	require.Equal(t, "H265", p.Encoding)
	require.Equal(t, "sprop-vps="+enc(unhex("hVPS1"))+"; sprop-sps="+enc(unhex("hSPS1"))+"; sprop-pps="+enc(unhex("hPPS1")), p.FMTP())

	p, ok = Describe(&codec.Track{ID: 1, Codec: codec.H265}, 96)
	require.True(t, ok, "sets come in the stream")
	require.Empty(t, p.FMTP())

	p = Payload{Type: 96, Kind: codec.KindVideo, Encoding: "HEVC", ClockRate: 90000, Params: ParseParams("sprop-sps=" + enc(unhex("hSPS1")) + ";sprop-pps=!!;sprop-vps=" + enc(unhex("hVPS1")))}
	track, err := p.Track(1)
	require.NoError(t, err)
	require.False(t, track.Ready())
	require.Equal(t, 1280, track.Width)
}
