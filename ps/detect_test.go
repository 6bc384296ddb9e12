package ps

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// hexBytes returns what is written in hexadecimal, with spaces.
func hexBytes(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Beginnings of what devices send.
var (
	packHikvision = hexBytes("000001ba 7d98305c0401 028f63 fe ffff00e379c0") // six bytes of stuffing
	packDahua     = hexBytes("000001ba 46e5c5ac1401 0057e3 f8")
	packNoMarkers = hexBytes("000001ba 404004004000 000000 f8") // of a vendor that sets two of the marker bits
	packMPEG1     = hexBytes("000001ba 2100010001 801b83")
	systemHeader  = hexBytes("000001bb 0012 8180d1 04e17f e0e080 c0c008 bde080 bfe080")
	streamMap     = hexBytes("000001bc 005a f9ff 0024")
	pesVideo      = hexBytes("000001e0 05b2 8c80 0a 2127ef5a51 ffffff ff f8 00000001 6764001f")
	pesOpen       = hexBytes("000001e0 0000 8c80 05 2127ef5a51 00000001 6764001f")
	pesAudio      = hexBytes("000001c0 0150 8c80 0d 2127ef5a51 ffffffffffffff f8 d5d5d5d5")
	midPicture    = hexBytes("9b1f 3bd0 44f1 81e7 70a5 2c5e 118f ba5f 99aa 03")

	patPacket = hexBytes("4740001000 00b00d0001c100000001f0002ab104b2") + strings.Repeat("\xff", 188-21)
	tsPacket  = hexBytes("47410030 07500000 7bcc 7e00 000001e0 0000 84c0 0a") + strings.Repeat("x", 188-21)
)

// sets returns the parameter sets of a codec.
func sets(c codec.Codec) []string {
	var nalus []string
	for _, b := range testmedia.Track(1, c).ParameterSets() {
		nalus = append(nalus, string(b))
	}
	return nalus
}

// aggregate puts NAL units together in a payload behind a header.
func aggregate(header string, nalus []string) string {
	for _, n := range nalus {
		header += string([]byte{byte(len(n) >> 8), byte(len(n))}) + n
	}
	return header
}

// adts returns frames of AAC.
func adts(n int) string {
	var b []byte
	for range n {
		b, _ = codec.AppendADTS(b, testmedia.Track(1, codec.AAC), []byte("\x21\x1bsome frame"))
	}
	return string(b)
}

// detectCases are first packets.
var detectCases = []struct {
	name    string
	pt      uint8
	payload string
	o       ReceiveOptions
	want    Payload
	certain bool
	form    string // encoding
}{
	{"nothing", 96, "", ReceiveOptions{}, 0, false, ""},
	{"one byte", 96, "\x00", ReceiveOptions{}, 0, false, ""},
	{"midst of a picture", 96, midPicture, ReceiveOptions{}, 0, false, ""},

	{"pack of Hikvision", 96, packHikvision + pesVideo, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack of Dahua", 96, packDahua + systemHeader, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack without marker bits", 96, packNoMarkers + pesVideo, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack of MPEG-1", 96, packMPEG1 + systemHeader, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack and no more", 96, packDahua[:6], ReceiveOptions{}, PayloadPS, true, ""},
	{"pack with an unusual type", 104, packDahua, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack with the type of H264", 98, packDahua, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack with the type of G711", 8, packDahua, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack in the middle", 96, midPicture + packDahua, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack of MPEG-1 in the middle", 96, midPicture + packMPEG1, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack in the middle without marker bits", 96, midPicture + packNoMarkers, ReceiveOptions{}, 0, false, ""},
	{"pack in the middle behind a false one", 96, midPicture + packNoMarkers + packDahua, ReceiveOptions{}, PayloadPS, true, ""},
	{"pack cut", 96, midPicture + packDahua[:9], ReceiveOptions{}, 0, false, ""},
	{"system header first", 96, systemHeader, ReceiveOptions{}, PayloadPS, true, ""},
	{"stream map first", 96, streamMap, ReceiveOptions{}, PayloadPS, true, ""},
	{"stream map with a lying size", 96, hexBytes("000001bc ffff f9ff"), ReceiveOptions{}, 0, false, ""},
	{"video without a pack", 96, pesVideo, ReceiveOptions{}, PayloadPS, true, ""},
	{"video without a pack, and without a length", 96, pesOpen, ReceiveOptions{}, PayloadPS, true, ""},
	{"audio without a pack", 96, pesAudio, ReceiveOptions{}, PayloadPS, true, ""},
	{"start code of a slice", 96, hexBytes("00000161 9a5b 8000"), ReceiveOptions{}, 0, false, ""},
	{"PES header longer than its packet", 96, hexBytes("000001e0 0004 8c80 f0"), ReceiveOptions{}, 0, false, ""},

	{"transport packet", 96, tsPacket, ReceiveOptions{}, PayloadTS, true, ""},
	{"transport packets", 33, patPacket + tsPacket + tsPacket, ReceiveOptions{}, PayloadTS, true, ""},
	{"transport packets with the type of PS", 96, strings.Repeat(tsPacket, 7), ReceiveOptions{Types: PayloadTypes{PS: 96}}, PayloadTS, true, ""},
	{"transport packets that are not aligned", 33, patPacket[20:] + tsPacket + tsPacket[:100], ReceiveOptions{}, PayloadTS, true, ""},
	{"transport packets that are not aligned, of another type", 96, patPacket[20:] + tsPacket + tsPacket[:100], ReceiveOptions{}, 0, false, ""},
	{"sync byte but no packets", 33, tsPacket + strings.Repeat("x", 188), ReceiveOptions{}, 0, false, ""},
	{"sync byte of a packet in error", 96, "\x47\xff" + tsPacket[2:], ReceiveOptions{}, 0, false, ""},

	{"PCMU", 0, strings.Repeat("\xff", 160), ReceiveOptions{}, PayloadES, false, "PCMU"},
	{"PCMA", 8, strings.Repeat("\xd5", 160), ReceiveOptions{}, PayloadES, false, "PCMA"},
	{"PCMA that looks like a transport packet", 8, tsPacket, ReceiveOptions{}, PayloadES, false, "PCMA"},
	{"G722", 9, strings.Repeat("\xfa", 160), ReceiveOptions{}, PayloadES, false, "G722"},
	{"G723", 4, strings.Repeat("\x00", 24), ReceiveOptions{}, PayloadES, false, "G723"},
	{"G729", 18, strings.Repeat("\x01", 20), ReceiveOptions{}, PayloadES, false, "G729"},
	{"MP3", 14, "\x00\x00\x00\x00\xff\xfb", ReceiveOptions{}, PayloadES, false, "MPA"},
	{"comfort noise", 13, "\x40", ReceiveOptions{}, 0, false, ""},
	{"type that is free", 20, "\x40\x40\x40", ReceiveOptions{}, 0, false, ""},
	{"RTCP", 72, "\x00\x00\x00\x00", ReceiveOptions{}, 0, false, ""},
	{"Opus", 100, "\xfc\xff\xfe", ReceiveOptions{}, PayloadES, false, "opus"},
	{"Opus by another type", 111, "\xfc\xff\xfe", ReceiveOptions{Types: PayloadTypes{Opus: 111}}, PayloadES, false, "opus"},
	{"type that Opus no longer has", 100, "\xfc\xff\xfe", ReceiveOptions{Types: PayloadTypes{Opus: 111}}, 0, false, ""},

	{"H264 slice", 98, "\x41\x9a\x24\x6c", ReceiveOptions{}, PayloadES, false, "H264"},
	{"H264 fragment", 98, "\x7c\x85\x88\x84", ReceiveOptions{}, PayloadES, false, "H264"},
	{"H264 fragment that begins and ends", 98, "\x7c\xc5\x88\x84", ReceiveOptions{}, 0, false, ""},
	{"H264 cut", 98, "\x41", ReceiveOptions{}, 0, false, ""},
	{"H264 forbidden bit", 98, "\xe7\x64\x00", ReceiveOptions{}, 0, false, ""},
	{"H264 sequence parameter set", 98, sets(codec.H264)[0], ReceiveOptions{}, PayloadES, true, "H264"},
	{"H264 sequence parameter set among others", 98, aggregate("\x78", sets(codec.H264)), ReceiveOptions{}, PayloadES, true, "H264"},
	{"H264 sequence parameter set of type 96", 96, sets(codec.H264)[0], ReceiveOptions{}, PayloadES, true, "H264"},
	{"H264 sequence parameter set of the type of PS", 96, sets(codec.H264)[0], ReceiveOptions{Types: PayloadTypes{PS: 96}}, 0, false, ""},
	{"H264 slice of type 96", 96, "\x41\x9a\x24\x6c", ReceiveOptions{}, 0, false, ""},
	{"H264 others that are cut", 98, aggregate("\x78", sets(codec.H264)[1:]) + "\x00\x09x", ReceiveOptions{}, 0, false, ""},
	{"H265 fragment", 99, "\x62\x01\x93\xaf", ReceiveOptions{}, PayloadES, false, "H265"},
	{"H265 slice", 99, "\x02\x01\xd0", ReceiveOptions{}, PayloadES, false, "H265"},
	{"H265 of an upper layer", 99, "\x03\x01\xd0", ReceiveOptions{}, 0, false, ""},
	{"H265 parameter sets", 99, aggregate("\x60\x01", sets(codec.H265)), ReceiveOptions{}, PayloadES, true, "H265"},
	{"H265 with the type of H264", 98, sets(codec.H265)[1], ReceiveOptions{}, PayloadES, true, "H265"},
	{"H264 with the type of H265", 99, sets(codec.H264)[0], ReceiveOptions{}, PayloadES, true, "H264"},
	{"ADTS", 97, adts(1), ReceiveOptions{}, PayloadES, false, "mpeg4-generic"},
	{"ADTS, several", 97, adts(3), ReceiveOptions{}, PayloadES, false, "mpeg4-generic"},
	{"ADTS cut", 97, adts(3)[:20], ReceiveOptions{}, 0, false, ""},

	{"PS is wanted", 98, "\x41\x9a\x24\x6c", ReceiveOptions{Payload: PayloadPS}, 0, false, ""},
	{"PS is wanted and comes", 98, packDahua, ReceiveOptions{Payload: PayloadPS}, PayloadPS, true, ""},
	{"TS is wanted, PS comes", 96, packDahua, ReceiveOptions{Payload: PayloadTS}, 0, false, ""},
	{"TS is wanted and comes cut", 96, patPacket[20:] + tsPacket + tsPacket[:100], ReceiveOptions{Payload: PayloadTS}, PayloadTS, true, ""},
	{"ES is wanted, PS comes", 96, packDahua, ReceiveOptions{Payload: PayloadES}, 0, false, ""},
	{"ES is wanted and comes", 96, sets(codec.H264)[0], ReceiveOptions{Payload: PayloadES, Types: PayloadTypes{PS: 96}}, PayloadES, true, "H264"},
}

func TestInspect(t *testing.T) {
	for _, c := range detectCases {
		t.Run(c.name, func(t *testing.T) {
			f := inspect(&rtp.Packet{PayloadType: c.pt, Payload: []byte(c.payload)}, &c.o)
			require.Equal(t, c.want, f.payload)
			require.Equal(t, c.certain, f.certain)
			require.Equal(t, c.form, f.form.Encoding)
		})
	}
}

// FuzzInspect: nothing panics, and what is found is something that can be received.
func FuzzInspect(f *testing.F) {
	for _, c := range detectCases {
		f.Add(c.pt, []byte(c.payload), uint8(c.o.Payload))
	}
	f.Fuzz(func(t *testing.T, pt uint8, b []byte, want uint8) {
		o := ReceiveOptions{Payload: Payload(want % 4)}
		found := inspect(&rtp.Packet{PayloadType: pt & 0x7f, Payload: b}, &o)
		if found.payload == PayloadAuto {
			require.Equal(t, finding{}, found)
			return
		}
		require.True(t, o.Payload == PayloadAuto || o.Payload == found.payload)
		d := newDecoder(&found, &o, nil)
		if e, ok := d.(*elementaryDecoder); ok {
			require.Equal(t, 1, e.count)
		}
	})
}
