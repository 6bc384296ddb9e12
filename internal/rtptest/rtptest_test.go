package rtptest

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/stretchr/testify/require"
)

// unhex decodes hexadecimal with spaces.
func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

const (
	pack2 = "000001ba 44 00 04 00 04 01 001fff f8"                    // clock 0
	pack3 = "000001ba 56 81 2e 95 ac 01 001fff fa ffff"               // stuffed
	pack1 = "000001ba 21 00 03 00 15 80 3fff"                         // MPEG-1
	audio = "000001c0 0004 8000 00 aa"                                // a PES packet
	empty = "000001be 0000"                                           // padding
	start = "000001bb 0006 800001 00 20 7f"                           // a system header
	code  = "000001e0 0009 8000 00 000001ba 44 00"                    // the start code of a pack within a packet
	clock = 1<<31 | 1<<29 | 0x81<<20 | 5<<15 | 2<<13 | 0x95<<5 | 0x15 // of pack3
)

func TestCutPS(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []Unit // nil: an error
	}{
		"nothing":     {"", []Unit{}},
		"one":         {pack2 + audio, []Unit{{0, unhex(t, pack2+audio)}}},
		"two":         {pack2 + start + audio + empty + pack1 + code + "000001b9", []Unit{{0, unhex(t, pack2+start+audio+empty)}, {0x8000 | 10, unhex(t, pack1+code+"000001b9")}}},
		"stuffing":    {pack3, []Unit{{clock, unhex(t, pack3)}}},
		"no pack":     {audio, nil},
		"cut packet":  {pack2 + audio[:18], nil},
		"cut length":  {pack2 + audio[:8], nil},
		"cut header":  {pack2[:20], nil},
		"no header":   {"000001ba 84 00 04 00 04 01 001fff f8", nil},
		"a slice":     {pack2 + "00000101 0001", nil},
		"something":   {pack2 + "47", nil},
		"long packet": {pack2 + "000001e0 ffff 800000", nil},
	} {
		got, err := CutPS(unhex(t, c.in))
		if c.want == nil {
			require.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		require.ElementsMatch(t, c.want, got, name)
	}
}

// transport returns a transport packet with this adaptation field.
func transport(t *testing.T, field string) []byte {
	b := append(unhex(t, "47010030"), unhex(t, field)...)
	return append(b, make([]byte, 188-len(b))...)
}

func TestCutTS(t *testing.T) {
	plain, first, second := transport(t, "00"), transport(t, "07 10 0000000a 80 00"), transport(t, "07 50 80000000 00 00")
	got, err := CutTS(slices.Concat(plain, first, plain, plain, second))
	require.NoError(t, err)
	require.Equal(t, []Unit{{21, slices.Concat(plain, first, plain, plain)}, {0, second}}, got)
	for _, b := range [][]byte{nil, plain, first[1:], append(bytes.Clone(first), make([]byte, 188)...)} {
		_, err := CutTS(b)
		require.Error(t, err)
	}
}

func FuzzCut(f *testing.F) {
	for _, s := range []string{pack2 + audio, pack1 + code, pack3 + start + empty} {
		b, _ := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0x47, 1, 0, 0x30, 7, 0x10, 0, 0, 0, 10, 0x80, 0}, 47))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, cut := range []func([]byte) ([]Unit, error){CutPS, CutTS} {
			units, err := cut(b)
			if err != nil {
				continue
			}
			var joined []byte
			for _, u := range units {
				joined = append(joined, u.Data...)
			}
			require.Equal(t, len(b), len(joined))
		}
	})
}

// The packets are what pion reads.
func TestSenderPackets(t *testing.T) {
	data := Garbage(5000, 1)
	s := Sender{SSRC: 0xdeadbeef, PayloadType: 96, Sequence: 65534}
	again := s
	var got []byte
	for i, b := range s.Packets(Unit{Timestamp: 7, Data: data}) {
		var p rtp.Packet
		require.NoError(t, p.Unmarshal(b))
		require.Equal(t, rtp.Header{
			Version: 2, Marker: i == 3, PayloadType: 96, SequenceNumber: 65534 + uint16(i), Timestamp: 7, SSRC: 0xdeadbeef,
		}, p.Header)
		require.LessOrEqual(t, len(p.Payload), 1400)
		got = append(got, p.Payload...)
	}
	require.Equal(t, data, got)
	require.Equal(t, uint16(2), s.Sequence)

	// Whole transport packets.
	units := []Unit{{Data: bytes.Repeat(transport(t, "00"), 8)}, {Data: transport(t, "00")}}
	again.Marker = MarkAll
	var sizes []int
	for _, b := range again.AllPackets(units) {
		sizes = append(sizes, len(b)-12)
		require.NotZero(t, b[1]&0x80)
	}
	require.Equal(t, []int{7 * 188, 188, 188}, sizes)
	again.Marker = MarkNever
	require.Zero(t, again.Packets(units[1])[0][1]&0x80)
}

// Access units come out of the depacketizers of pion as they went in.
func TestSenderNALUs(t *testing.T) {
	nalus := [][]byte{append([]byte{0x67, 1}, Garbage(20, 1)...), append([]byte{0x65, 1}, Garbage(5000, 2)...), {0x41, 1, 2}}
	var want []byte
	for _, n := range nalus {
		want = append(append(want, 0, 0, 0, 1), n...)
	}
	for name, c := range map[string]struct {
		packets func(s *Sender, nalus [][]byte, timestamp uint32) [][]byte
		d       rtp.Depacketizer
	}{
		"H264": {(*Sender).H264, &codecs.H264Packet{}},
		"H265": {(*Sender).H265, &codecs.H265Depacketizer{}},
	} {
		var got []byte
		packets := c.packets(&Sender{}, nalus, 9)
		for i, b := range packets {
			var p rtp.Packet
			require.NoError(t, p.Unmarshal(b))
			require.Equal(t, i == len(packets)-1, p.Marker)
			require.LessOrEqual(t, len(p.Payload), maxPayload)
			part, err := c.d.Unmarshal(p.Payload)
			require.NoError(t, err, name)
			got = append(got, part...)
		}
		require.Equal(t, want, got, name)
		require.Len(t, packets, 1+4+1)
	}
}

func TestSenderGoodbye(t *testing.T) {
	packets, err := rtcp.Unmarshal((&Sender{SSRC: 5}).Goodbye())
	require.NoError(t, err)
	require.Equal(t, []rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 5, ProfileExtensions: []byte{}}, &rtcp.Goodbye{Sources: []uint32{5}},
	}, packets)
}

func TestFraming(t *testing.T) {
	packets := [][]byte{{1, 2}, {}, {3}}
	require.Equal(t, "00020102"+"0000"+"000103", hex.EncodeToString(RFC4571(packets)))
	require.Equal(t, "240500020102"+"24050000"+"2405000103", hex.EncodeToString(Interleaved(packets, 5)))
}

func TestFaults(t *testing.T) {
	var packets [][]byte
	for i := range 1000 {
		packets = append(packets, []byte{byte(i >> 8), byte(i)})
	}
	require.Equal(t, packets, Faults{}.Apply(packets))
	number := func(p []byte) int { return int(p[0])<<8 | int(p[1]) }

	lost := Faults{Seed: 1, Loss: 0.05}.Apply(packets)
	require.InDelta(t, 950, len(lost), 30)
	require.True(t, slices.IsSortedFunc(lost, bytes.Compare))
	require.Equal(t, lost, Faults{Seed: 1, Loss: 0.05}.Apply(packets))
	require.NotEqual(t, lost, Faults{Seed: 2, Loss: 0.05}.Apply(packets))

	twice := Faults{Duplicate: 0.1}.Apply(packets)
	require.InDelta(t, 1100, len(twice), 40)
	require.Equal(t, packets, slices.CompactFunc(twice, bytes.Equal))

	mixed := Faults{Reorder: 0.2, Distance: 4}.Apply(packets)
	require.Len(t, mixed, 1000)
	moved := 0
	for i, p := range mixed {
		if i != number(p) {
			moved++
		}
		require.InDelta(t, i, number(p), 4)
	}
	require.Greater(t, moved, 100)
	slices.SortFunc(mixed, bytes.Compare)
	require.Equal(t, packets, mixed)

	strange := Faults{Garbage: 0.1}.Apply(packets)
	require.InDelta(t, 1100, len(strange), 40)

	spoilt := Faults{Spoil: 0.1}.Apply(packets)
	require.Len(t, spoilt, 1000)
	differ := 0
	for i := range spoilt {
		if !bytes.Equal(spoilt[i], packets[i]) {
			differ++
		}
		require.Equal(t, i, number(packets[i]), "the caller's are as they were")
	}
	require.InDelta(t, 100, differ, 40)
}
