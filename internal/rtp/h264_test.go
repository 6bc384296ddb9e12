package rtp

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

var h264Cases = []videoCase{
	{name: "single NAL units", packets: []string{"1M 6588aa", "2M 4188bb", "3M 0188"}, units: []string{"1K 6588aa", "2 4188bb", "3D 0188"}},
	{name: "slices", packets: []string{"1 6588", "1M 6541", "2 4188", "2M 4141"}, units: []string{"1K 6588|6541", "2 4188|4141"}},
	{name: "STAP-A", packets: []string{"1M 78 0002 6588 0003 654199"}, units: []string{"1K 6588|654199"}},
	{name: "STAP-A of known sets", packets: []string{"1 78 [SPS1] [PPS1]", "1M 6588"}, units: []string{"1K 6588"}},
	{name: "STAP-A of new sets", packets: []string{"1 78 [SPS2] [PPS2]", "1M 6588", "2M 4188"}, units: []string{"1KT 6588", "2 4188"}},
	{name: "STAP-A with padding", packets: []string{"1M 78 0002 6588 0000 0000"}, units: []string{"1K 6588"}},
	{name: "STAP-A cut", packets: []string{"!1M 78 0002 6588 00", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "STAP-A with a length that lies", packets: []string{"!1 78 0003 6588", "1M 6541", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "STAP-A of nothing", packets: []string{"1 78", "1M 6588"}, units: []string{"1K 6588"}},
	{name: "STAP-B", packets: []string{"1M 79 1234 0002 6588 0002 6541"}, units: []string{"1K 6588|6541"}},
	{name: "STAP-B cut", packets: []string{"!1M 79 12", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "MTAP", packets: []string{"1M 6588", "!2M 1a 0000 0005 00 0000 4188", "!3M 1b 00", "4M 4188", "5M 6588"}, units: []string{"1K 6588", "4C 4188", "5K 6588"}},
	{name: "FU-A", packets: []string{"1 7c85 88", "1 7c05 aabb", "1M 7c45 cc"}, units: []string{"1K 6588aabbcc"}},
	{name: "FU-A with start and end at once", packets: []string{"1M 7cc5 88aa"}, units: []string{"1K 6588aa"}},
	{name: "FU-A with an empty end", packets: []string{"1 7c85 88", "1M 7c45"}, units: []string{"1K 6588"}},
	{name: "FU-A without end", packets: []string{"1 7c85 88", "1M 7c05 aa", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "FU-A without end nor marker", packets: []string{"1 7c85 88", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "FU-A without start", packets: []string{"1 7c05 88", "1M 7c45 aa", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "FU-A that starts twice", packets: []string{"1 7c85 88", "1 7c85 88", "1M 7c45 aa", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "FU-A that another unit interrupts", packets: []string{"1 7c85 88", "1 0601", "1M 7c45 aa", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "FU-A that goes on as another type", packets: []string{"1 7c85 88", "1M 7c41 aa", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "FU-A cut", packets: []string{"!1M 7c", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "FU-B", packets: []string{"1 7d85 1234 88", "1M 7c45 aa"}, units: []string{"1K 6588aa"}},
	{name: "FU-B cut", packets: []string{"!1 7d85 12", "1M 7c45 aa", "2M 6588"}, units: []string{"2K 6588"}},
	{name: "types that are none", packets: []string{"1 6588", "!1 1e00", "!1 1f", "!1 00 88", "1M 6541"}, units: []string{"1K 6588|6541"}},
	{name: "forbidden bit", packets: []string{"1 6588", "!1M e541", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "delimiters, filler", packets: []string{"1 09f0", "1 6588", "1M 0cffff80"}, units: []string{"1K 6588|0cffff80"}},

	{name: "no marker", packets: []string{"1 6588", "1 6541", "2 4188", "3 4188"}, units: []string{"1K 6588|6541", "2 4188"}},
	{name: "sets with a time of their own", packets: []string{"1M SPS2", "1M PPS2", "2M 6588", "3M 4188", "4M 4188"}, units: []string{"2KT 6588", "3 4188", "4 4188"}},
	{name: "SEI with a time of its own", packets: []string{"1M 6588", "2M 060101aa80", "3M 4188"}, units: []string{"1K 6588", "3 060101aa80|4188"}},
	{name: "marker on every unit", packets: []string{"1M SPS1", "1M PPS1", "1M 6588", "1M 6541", "2M 4188", "2M 4141", "3M 6588", "3M 6541", "4M 4188"}, units: []string{"1K 6588|6541", "2 4188|4141", "3K 6588|6541"}},
	{name: "marker on every unit, one slice", packets: []string{"1M SPS1", "1M PPS1", "1M 6588", "2M 4188", "3M 4188", "4M 4188"}, units: []string{"1K 6588", "2 4188", "3 4188", "4 4188"}},
	{name: "marker on every slice", packets: []string{"1M 6588", "1M 6541", "2M 4188", "2M 4141", "3M 6588", "3M 6541", "4M 4188"}, units: []string{"1K 6588", "2C 4188|4141", "3K 6588|6541"}},
	{name: "marker on every slice, SEI between", packets: []string{"1M 6588", "1M 060101aa80", "1M 6541", "2M 6588", "2M 6541", "3M 4188"}, units: []string{"1K 6588", "2K 6588|6541"}},
	{name: "two fields", packets: []string{"1 6588", "1M 6188", "2 4188", "2M 4188"}, units: []string{"1K 6588|6188", "2 4188|4188"}},
	{name: "two fields, each with marker", packets: []string{"1M 6588", "1M 6188", "2M 4188"}, units: []string{"1K 6588", "1 6188", "2 4188"}},
	{name: "two pictures of a time while markers are not believed", packets: []string{"1M SPS1", "1M PPS1", "1M 6588", "1M 4188", "2M 4188", "3M 4188"}, units: []string{"1K 6588", "1 4188", "2 4188", "3 4188"}},
	{name: "begins within a picture", packets: []string{"1 6541", "1M 6542", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},

	{name: "Annex B", packets: []string{"1 00000001 SPS2 000001 PPS2 000001 6588", "1M 000001 6541"}, units: []string{"1KT 6588|6541"}},
	{name: "start codes inside", packets: []string{"1 SPS2 00000001 PPS2 000001 6588", "1M 7cc5 41 00000001 6542 aa"}, units: []string{"1KT 6588|6541|6542aa"}},
	{name: "start code inside fragments", packets: []string{"1 7c87 Sps2", "1 7c07 00000001 PPS2 00", "1M 7c47 0001 6588aa"}, units: []string{"1KT 6588aa"}},
	{name: "zeros after sets", packets: []string{"1 SPS1 0000", "1 PPS1 00", "1M 6588"}, units: []string{"1K 6588"}},
	{name: "SPS that is none", packets: []string{"1 6764", "!1M 6588", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "recovery point", packets: []string{"1M 6588", "3LM 4188", "4 060601c480", "4M 4188", "5M 4188"}, units: []string{"1K 6588", "3C 4188", "4K 060601c480|4188", "5 4188"}},

	{name: "loss of a picture", packets: []string{"1M 6588", "3LM 4188", "4M 4188", "5M 6588", "6M 4188"}, units: []string{"1K 6588", "3C 4188", "4C 4188", "5K 6588", "6 4188"}},
	{name: "loss in fragments", packets: []string{"1 7c85 88", "1LM 7c45 aa", "2M 4188", "3M 6588"}, units: []string{"2C 4188", "3K 6588"}},
	{name: "loss at the end and the beginning", packets: []string{"1 7c85 88", "2L 7c01 aa", "2M 7c41 aa", "3M 4188", "4M 6588"}, units: []string{"3C 4188", "4K 6588"}},
	{name: "loss of slices", packets: []string{"1 6588", "1LM 6541", "2LM 4141", "3M 4188", "4M 6588"}, units: []string{"3C 4188", "4K 6588"}},
	{name: "loss before a key picture", packets: []string{"1M 6588", "2LM 6588", "3M 4188"}, units: []string{"1K 6588", "2K 6588", "3 4188"}},
	{name: "loss of sets, perhaps", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2LM 6588", "3M 4188", "4 SPS1", "4 PPS1", "4M 6588", "5M 4188"}, units: []string{"1K 6588", "2KC 6588", "3C 4188", "4K 6588", "5 4188"}},
	{name: "loss of the SPS", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2L PPS1", "2M 6588"}, units: []string{"1K 6588", "2KC 6588"}},
	{name: "loss of a set with a time of its own", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2 SPS2", "2L 060101aa80", "3M 6588"}, units: []string{"1K 6588", "3KC 6588"}},
	{name: "loss of a set with a time and a marker of its own", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2 SPS2", "2LM 060101aa80", "3M 6588"}, units: []string{"1K 6588", "3KC 6588"}},
	{name: "loss before sets", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2L SPS1", "2 PPS1", "2M 6588"}, units: []string{"1K 6588", "2K 6588"}},
	{name: "loss before a delimiter", packets: []string{"1 SPS1", "1 PPS1", "1M 6588", "2L 09f0", "2M 6588"}, units: []string{"1K 6588", "2K 6588"}},
	{name: "loss at the very beginning", packets: []string{"1LM 6588", "2M 4188", "3M 6588", "4LM 6588"}, units: []string{"1KC 6588", "2C 4188", "3K 6588", "4K 6588"}},
}

func TestH264Unpack(t *testing.T) { testUnpack(t, codec.H264, h264Cases) }

func FuzzH264Unpack(f *testing.F) { fuzzUnpack(f, codec.H264, h264Cases) }

// What is aggregated is what fits, and how that looks.
func TestH264Pack(t *testing.T) {
	track, other := testmedia.Track(1, codec.H264), testmedia.Track2(1, codec.H264)
	p, err := NewPacketizer(track, PacketizerOptions{MaxSize: 256})
	require.NoError(t, err)
	pack := func(tr *codec.Track, flags codec.Flags, nalus ...string) (payloads []string) {
		var data []byte
		for _, nalu := range nalus {
			data = append(append(data, 0, 0, 0, byte(len(nalu))), nalu...)
		}
		wire, err := p.Append(nil, &codec.Frame{Track: tr, Flags: flags, Data: data})
		require.NoError(t, err)
		for _, b := range Datagrams(wire) {
			payloads = append(payloads, string(b[headerSize:]))
		}
		return payloads
	}
	small, large := "\x01\x88", "\x21"+strings.Repeat("x", 236)
	tooLarge := "\x41" + strings.Repeat("y", 244)

	require.Equal(t, []string{small}, pack(track, 0, small))
	require.Equal(t, []string{"\x18\x00\x02" + small + "\x00\x02" + small}, pack(track, 0, small, small))
	require.Equal(t, []string{"\x38\x00\xed" + large + "\x00\x02" + small}, pack(track, 0, large, small), "just as long as a packet")
	require.Equal(t, []string{large + "x", small}, pack(track, 0, large+"x", small), "one byte longer")
	require.Equal(t, []string{string(unhex("78 [SPS1] [PPS1] [6588]"))}, pack(track, codec.FlagKey, "\x65\x88"))
	require.Equal(t, []string{"\x5c\x81" + strings.Repeat("y", 242), "\x5c\x41yy"}, pack(track, 0, tooLarge))
	require.Equal(t, []string{string(unhex("78 [SPS2] [PPS2] [0188]"))}, pack(other, 0, small), "parameters that changed")
	require.Equal(t, []string{small}, pack(other, 0, small))
	require.Equal(t, []string{small}, pack(testmedia.Track2(1, codec.H264), 0, small), "equal parameters")
}

func TestH264Describe(t *testing.T) {
	track := testmedia.Track(1, codec.H264)
	p, ok := Describe(track, 96)
	require.True(t, ok)
	require.Equal(t, "H264", p.Encoding)
	require.Equal(t, 90000, p.ClockRate)
	enc := base64.StdEncoding.EncodeToString
	require.Equal(t, "packetization-mode=1; profile-level-id=64001F; sprop-parameter-sets="+enc(unhex("SPS1"))+","+enc(unhex("PPS1")), p.FMTP())

	p, ok = Describe(&codec.Track{ID: 1, Codec: codec.H264, ClockRate: 90000}, 96)
	require.True(t, ok, "sets come in the stream")
	require.Equal(t, "packetization-mode=1", p.FMTP())
}

// Cameras write their parameter sets in many ways.
func TestH264Sprop(t *testing.T) {
	track := testmedia.Track(1, codec.H264)
	sps, pps := unhex("SPS1"), unhex("PPS1")
	enc := base64.StdEncoding.EncodeToString
	for _, c := range []struct {
		name, sprop string
		ready       bool
	}{
		{"plain", enc(sps) + "," + enc(pps), true},
		{"PPS1 first", enc(pps) + "," + enc(sps), true},
		{"blanks", " " + enc(sps) + " , " + enc(pps) + " ", true},
		{"no padding", strings.TrimRight(enc(sps), "=") + "," + enc(pps), true},
		{"zeros after them", enc(append(slices.Clip(sps), 0, 0, 0)) + "," + enc(append(slices.Clip(pps), 0)), true},
		{"start codes", enc(append([]byte{0, 0, 0, 1}, sps...)) + "," + enc(append([]byte{0, 0, 1}, pps...)), true},
		{"all in one", enc(slices.Concat([]byte{0, 0, 0, 1}, sps, []byte{0, 0, 0, 1}, pps)), true},
		{"empty ones", "," + enc(sps) + ",," + enc(pps) + ",", true},
		{"no PPS1", enc(sps), false},
		{"bad base64", "%%%%," + enc(pps), false},
		{"bad SPS", enc(sps[:3]) + "," + enc(pps), false},
		{"nothing", "", false},
	} {
		p := Payload{Type: 96, Kind: codec.KindVideo, Encoding: "h264", ClockRate: 90000, Params: []Parameter{{"Sprop-Parameter-Sets", c.sprop}}}
		got, err := p.Track(1)
		require.NoError(t, err, c.name)
		require.Equal(t, c.ready, got.Ready(), c.name)
		if c.ready {
			require.Equal(t, track.Config, got.Config, c.name)
			continue
		}
		// The stream brings what is missing.
		d, err := NewDepacketizer(&p, got)
		require.NoError(t, err)
		units, err := d.Append(nil, &Packet{Payload: unhex("78 [SPS1] [PPS1] [6588]"), Marker: true}, false)
		require.NoError(t, err)
		require.Len(t, units, 1)
		require.True(t, units[0].Track.Ready(), c.name)
		require.Equal(t, track.Config, units[0].Track.Config, c.name)
	}
}

func TestH264TooManyUnits(t *testing.T) {
	for _, payload := range [][]byte{
		slices.Concat([]byte{0x78}, slices.Repeat(unhex("[06]"), 500)),
		slices.Concat([]byte{0, 0, 1, 6}, slices.Repeat([]byte{0, 0, 1, 6}, 499)),
	} {
		d, _ := newTestDepacketizer(t, codec.H264, nil)
		refused := 0
		for range 20 {
			if _, err := d.Append(nil, &Packet{Payload: payload}, false); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
				refused++
			}
		}
		require.Equal(t, 1, refused)
	}
	d, _ := newTestDepacketizer(t, codec.H264, nil)
	refused := 0
	for range 2 * maxNALUs {
		if _, err := d.Append(nil, &Packet{Payload: []byte{0x7c, 0xc6, 1}}, false); err != nil {
			refused++
		}
	}
	require.Equal(t, 1, refused)
}
