package rtp_test

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// unhex decodes hexadecimal digits, spaces allowed.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// payload returns the Payload of SDP attributes.
func payload(number uint8, kind codec.Kind, rtpmap, fmtp string) *rtp.Payload {
	p := &rtp.Payload{Type: number, Kind: kind, Params: rtp.ParseParams(fmtp)}
	parts := strings.Split(rtpmap, "/")
	p.Encoding = parts[0]
	if len(parts) > 1 {
		p.ClockRate, _ = strconv.Atoi(parts[1])
	}
	if len(parts) > 2 {
		p.Channels, _ = strconv.Atoi(parts[2])
	}
	return p
}

// rtpmap is the reverse of payload.
func rtpmap(p *rtp.Payload) string {
	s := fmt.Sprintf("%s/%d", p.Encoding, p.ClockRate)
	if p.Channels > 0 {
		s += "/" + strconv.Itoa(p.Channels)
	}
	return s
}

var paramCases = []struct {
	fmtp string
	want []rtp.Parameter
	out  string
}{
	{"", nil, ""},
	{"packetization-mode=1; sprop-parameter-sets=Z0IAKeNQ,aM48gA==",
		[]rtp.Parameter{{Name: "packetization-mode", Value: "1"}, {Name: "sprop-parameter-sets", Value: "Z0IAKeNQ,aM48gA=="}},
		"packetization-mode=1; sprop-parameter-sets=Z0IAKeNQ,aM48gA=="},
	{" a = 1 ;b=2;;  ; c= ;", []rtp.Parameter{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}, {Name: "c"}}, "a=1; b=2; c"},
	{"0-15,66", []rtp.Parameter{{Name: "0-15,66"}}, "0-15,66"},
	{"111/111", []rtp.Parameter{{Name: "111/111"}}, "111/111"},
	{"DecoderTag=h3c-v3 RTCP=0", []rtp.Parameter{{Name: "DecoderTag", Value: "h3c-v3 RTCP=0"}}, "DecoderTag=h3c-v3 RTCP=0"},
	{"=1;a=b", []rtp.Parameter{{Name: "a", Value: "b"}}, "a=b"},
	{"a=1\r\nm=video 0 RTP/AVP 96;b=2\x00;c=3", []rtp.Parameter{{Name: "c", Value: "3"}}, "c=3"},
}

func TestParseParams(t *testing.T) {
	for _, c := range paramCases {
		p := rtp.Payload{Params: rtp.ParseParams(c.fmtp)}
		require.Equal(t, c.want, p.Params, "%q", c.fmtp)
		require.Equal(t, c.out, p.FMTP(), "%q", c.fmtp)
	}
	p := rtp.Payload{Params: rtp.ParseParams("SizeLength=13; a=1; A=2")}
	require.Equal(t, "13", p.Param("sizelength"))
	require.Equal(t, "1", p.Param("A"))
	require.Empty(t, p.Param("b"))

	bomb := strings.Repeat("a=1;", 100_000)
	require.Len(t, rtp.ParseParams(bomb), 64)
}

func FuzzParseParams(f *testing.F) {
	for _, c := range paramCases {
		f.Add(c.fmtp)
	}
	for _, c := range payloadCases {
		f.Add(c.fmtp)
	}
	f.Fuzz(func(t *testing.T, fmtp string) {
		p := rtp.Payload{Params: rtp.ParseParams(fmtp)}
		out := p.FMTP()
		require.False(t, strings.ContainsAny(out, "\r\n\x00"), "%q", out)
		again := rtp.Payload{Params: rtp.ParseParams(out)}
		require.Equal(t, p, again)
		for _, param := range p.Params {
			require.NotEmpty(t, param.Name)
		}
	})
}

// payloadCases are what cameras and programs write, as far as audio and opaque
// payloads go.
var payloadCases = []struct {
	name   string
	number uint8
	kind   codec.Kind
	rtpmap string // "": none
	fmtp   string

	codec  codec.Codec
	rate   int // Hz; SampleRate
	chans  int
	config string
	wire   string // of an opaque track
	fails  bool
}{
	{name: "Hikvision AAC", number: 104, kind: codec.KindAudio, rtpmap: "mpeg4-generic/16000/1",
		fmtp:  "profile-level-id=15; streamtype=5; mode=AAC-hbr; config=1408;SizeLength=13; IndexLength=3; IndexDeltaLength=3; Profile=1;",
		codec: codec.AAC, rate: 16000, chans: 1, config: "1408"},
	{name: "Hikvision AAC, its fmtp numbered wrongly", number: 104, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/16000",
		codec: codec.AAC, rate: 16000, chans: 1, config: "1408"},
	{name: "Hikvision PCMA", number: 8, kind: codec.KindAudio, rtpmap: "PCMA/8000", codec: codec.PCMA, rate: 8000, chans: 1},
	{name: "Hikvision G.722.1", number: 98, kind: codec.KindAudio, rtpmap: "G7221/16000", fmtp: "bitrate=24000", chans: 0, wire: "rtp"},
	{name: "Hikvision G.726", number: 98, kind: codec.KindAudio, rtpmap: "G726-16/8000", codec: codec.ADPCM, wire: "rtp"},
	{name: "Hikvision metadata", number: 107, kind: codec.KindData, rtpmap: "vnd.onvif.metadata/90000", wire: "rtp"},
	{name: "Dahua AAC", number: 97, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/48000",
		fmtp:  "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1188",
		codec: codec.AAC, rate: 48000, chans: 1, config: "1188"},
	{name: "Dahua PCMA without rtpmap", number: 8, kind: codec.KindAudio, codec: codec.PCMA, rate: 8000, chans: 1},
	{name: "Dahua PCM", number: 97, kind: codec.KindAudio, rtpmap: "L16/16000", codec: codec.L16, rate: 16000, chans: 1},
	{name: "Dahua back channel", number: 115, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/48000", codec: codec.AAC, rate: 48000, chans: 1, config: "1188"},
	{name: "Axis AAC", number: 97, kind: codec.KindAudio, rtpmap: "mpeg4-generic/16000/1",
		fmtp:  "profile-level-id=15; mode=AAC-hbr;config=1408;SizeLength=13;IndexLength=3;IndexDeltaLength=3;Profile=1;",
		codec: codec.AAC, rate: 16000, chans: 1, config: "1408"},
	{name: "Axis G.726", number: 97, kind: codec.KindAudio, rtpmap: "G726-32/8000", codec: codec.ADPCM, wire: "rtp"},
	{name: "Reolink AAC", number: 97, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/16000",
		fmtp:  "streamtype=5;profile-level-id=15;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408;profile=1;",
		codec: codec.AAC, rate: 16000, chans: 1, config: "1408"},
	{name: "Uniview PCMU", number: 0, kind: codec.KindAudio, rtpmap: "PCMU/8000/1", codec: codec.PCMU, rate: 8000, chans: 1},
	{name: "Uniview metadata", number: 107, kind: codec.KindData, rtpmap: "vnd.onvif.metadata/90000", fmtp: "DecoderTag=h3c-v3 RTCP=0", wire: "rtp"},
	{name: "AMS32 AAC", number: 97, kind: codec.KindAudio, rtpmap: "mpeg4-generic/48000/2",
		fmtp:  "streamtype=3;profile-level-id=14;mode=AAC-hbr;config=1190;sizeLength=13",
		codec: codec.AAC, rate: 48000, chans: 2, config: "1190"},
	{name: "a camera's LATM", number: 97, kind: codec.KindAudio, rtpmap: "MP4A-LATM/16000/1",
		fmtp:  "profile-level-id=1709392648;cpresent=0;config=",
		codec: codec.AAC, rate: 16000, chans: 1, config: "1408"},
	{name: "ffmpeg AAC", number: 97, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/48000/2",
		fmtp:  "profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=119056E500",
		codec: codec.AAC, rate: 48000, chans: 2, config: "119056e500"},
	{name: "ffmpeg LATM", number: 97, kind: codec.KindAudio, rtpmap: "MP4A-LATM/44100/2",
		fmtp:  "profile-level-id=41;cpresent=0;config=400024203fc0",
		codec: codec.AAC, rate: 44100, chans: 2, config: "1210"},
	{name: "ffmpeg Opus", number: 97, kind: codec.KindAudio, rtpmap: "opus/48000/2", fmtp: "sprop-stereo=1",
		codec: codec.Opus, rate: 48000, chans: 2, config: "00020138 0000bb80 000000"},
	{name: "ffmpeg MP3", number: 14, kind: codec.KindAudio, codec: codec.MP3},
	{name: "ffmpeg G.722", number: 9, kind: codec.KindAudio, codec: codec.G722, wire: "rtp"},
	{name: "ffmpeg MPEG-TS", number: 33, kind: codec.KindVideo, wire: "rtp"},
	{name: "ffmpeg MPEG-2 video", number: 32, kind: codec.KindVideo, wire: "rtp"},
	{name: "ffmpeg AC-3", number: 97, kind: codec.KindAudio, rtpmap: "ac3/48000/2", chans: 2, wire: "rtp"},
	{name: "GStreamer AAC", number: 96, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/44100/2",
		fmtp:  "streamtype=5;profile-level-id=2;mode=AAC-hbr;config=121056e500;sizelength=13;indexlength=3;indexdeltalength=3",
		codec: codec.AAC, rate: 44100, chans: 2, config: "121056e500"},
	{name: "GStreamer LATM, cut", number: 96, kind: codec.KindAudio, rtpmap: "MP4A-LATM/44100", fmtp: "cpresent=0;config=40002410",
		codec: codec.AAC, rate: 44100, chans: 1, config: "1208"},
	{name: "GStreamer Opus, mono", number: 96, kind: codec.KindAudio, rtpmap: "OPUS/48000/2", fmtp: "sprop-maxcapturerate=48000;sprop-stereo=0",
		codec: codec.Opus, rate: 48000, chans: 1, config: "00010138 0000bb80 000000"},
	{name: "GStreamer L16", number: 96, kind: codec.KindAudio, rtpmap: "L16/48000/2", codec: codec.L16, rate: 48000, chans: 2},
	{name: "GStreamer PCMA at 16 kHz", number: 96, kind: codec.KindAudio, rtpmap: "PCMA/16000", codec: codec.PCMA, rate: 16000, chans: 1},
	{name: "VLC MP3", number: 14, kind: codec.KindAudio, rtpmap: "MPA/90000/2", codec: codec.MP3},
	{name: "mp3", number: 96, kind: codec.KindAudio, rtpmap: "mp3/90000", codec: codec.MP3},
	{name: "live555 AAC", number: 96, kind: codec.KindAudio, rtpmap: "MPEG4-GENERIC/24000/2",
		fmtp:  "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1310",
		codec: codec.AAC, rate: 24000, chans: 2, config: "1310"},
	{name: "live555 robust MP3", number: 96, kind: codec.KindAudio, rtpmap: "MPA-ROBUST/90000", wire: "rtp"},

	{name: "AAC_hbr", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/8000", fmtp: "mode=AAC_hbr;config=1588", codec: codec.AAC, rate: 8000, chans: 1, config: "1588"},
	{name: "AAC-lbr", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/22050/1", fmtp: "streamtype=5; mode=AAC-lbr; config=1388; sizeLength=6; indexLength=2; indexDeltaLength=2", codec: codec.AAC, rate: 22050, chans: 1, config: "1388"},
	{name: "HE-AAC", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/44100/2", fmtp: "mode=AAC-hbr;config=2b920800", codec: codec.AAC, rate: 22050, chans: 2, config: "2b920800"},
	{name: "configuration in quotes", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/8000", fmtp: `config="1588"`, codec: codec.AAC, rate: 8000, chans: 1, config: "1588"},
	{name: "configuration cut", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/44100/2", fmtp: "mode=AAC-hbr;config=12", codec: codec.AAC, rate: 44100, chans: 2, config: "1210"},
	{name: "configuration no hex", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/44100/2", fmtp: "mode=AAC-hbr;config=121", codec: codec.AAC, rate: 44100, chans: 2, config: "1210"},
	{name: "no configuration to guess", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/44100/7", fmtp: "mode=AAC-hbr", fails: true},
	{name: "CELP", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/16000/1", fmtp: "streamtype=5; mode=CELP-cbr; config=440E00; constantSize=27", chans: 1, wire: "rtp"},
	{name: "MPEG-4 video", number: 96, kind: codec.KindVideo, rtpmap: "mpeg4-generic/90000", fmtp: "streamtype=4; sizeLength=16", wire: "rtp"},
	{name: "interleaved AAC", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/48000/2", fmtp: "mode=AAC-hbr; config=1190; sizeLength=13; CTSDeltaLength=16", chans: 2, wire: "rtp"},
	{name: "sizes of 100 bits", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/48000/2", fmtp: "mode=AAC-hbr; config=1190; sizeLength=100", chans: 2, wire: "rtp"},
	{name: "sizes of -1 bits", number: 96, kind: codec.KindAudio, rtpmap: "mpeg4-generic/48000/2", fmtp: "mode=AAC-hbr; config=1190; sizeLength=-1", chans: 2, wire: "rtp"},
	{name: "LATM in band", number: 96, kind: codec.KindAudio, rtpmap: "MP4A-LATM/90000", fmtp: "cpresent=1", codec: codec.AAC},
	{name: "LATM, nothing said", number: 96, kind: codec.KindAudio, rtpmap: "MP4A-LATM/90000", codec: codec.AAC},
	{name: "LATM of two layers", number: 96, kind: codec.KindAudio, rtpmap: "MP4A-LATM/90000", fmtp: "cpresent=0; config=400124203fc0", wire: "rtp"},
	{name: "LATM of CELP", number: 96, kind: codec.KindAudio, rtpmap: "MP4A-LATM/16000", fmtp: "config=4000881a00000000", wire: "rtp"},
	{name: "Opus, nothing said", number: 96, kind: codec.KindAudio, rtpmap: "opus/48000/2", codec: codec.Opus, rate: 48000, chans: 2, config: "00020138 0000bb80 000000"},
	{name: "Opus of six channels", number: 96, kind: codec.KindAudio, rtpmap: "multiopus/48000/6", fmtp: "channel_mapping=0,4,1,2,3,5;coupled_streams=2;num_streams=4", chans: 6, wire: "rtp"},
	{name: "static L16", number: 10, kind: codec.KindAudio, codec: codec.L16, rate: 44100, chans: 2},
	{name: "static L16, mono", number: 11, kind: codec.KindAudio, codec: codec.L16, rate: 44100, chans: 1},
	{name: "static PCMU", number: 0, kind: codec.KindAudio, codec: codec.PCMU, rate: 8000, chans: 1},
	{name: "static type without its clock", number: 0, kind: codec.KindAudio, rtpmap: "PCMU", codec: codec.PCMU, rate: 8000, chans: 1},
	{name: "static type with another meaning", number: 0, kind: codec.KindAudio, rtpmap: "PCMA/8000", codec: codec.PCMA, rate: 8000, chans: 1},
	{name: "static G.723", number: 4, kind: codec.KindAudio, codec: codec.G723, wire: "rtp"},
	{name: "static DVI4", number: 17, kind: codec.KindAudio, codec: codec.ADPCM, wire: "rtp"},
	{name: "static G.728", number: 15, kind: codec.KindAudio, codec: codec.G728, wire: "rtp"},
	{name: "static G.729", number: 18, kind: codec.KindAudio, codec: codec.G729, wire: "rtp"},
	{name: "static GSM", number: 3, kind: codec.KindAudio, wire: "rtp"},
	{name: "static H.263", number: 34, kind: codec.KindVideo, wire: "rtp"},
	{name: "H.266", number: 96, kind: codec.KindVideo, rtpmap: "H266/90000", codec: codec.H266, wire: "rtp"},
	{name: "G729 in a data section", number: 96, kind: codec.KindData, rtpmap: "G729/8000", wire: "rtp"},
	{name: "telephone events", number: 101, kind: codec.KindAudio, rtpmap: "telephone-event/8000", fmtp: "0-15", wire: "rtp"},

	{name: "clock 0", number: 96, kind: codec.KindAudio, rtpmap: "PCMA/0", fails: true},
	{name: "no clock", number: 96, kind: codec.KindAudio, rtpmap: "opus", fails: true},
	{name: "negative clock", number: 96, kind: codec.KindAudio, rtpmap: "opus/-1", fails: true},
	{name: "dynamic type without rtpmap", number: 96, kind: codec.KindAudio, fails: true},
	{name: "type not assigned", number: 20, kind: codec.KindAudio, fails: true},
	{name: "type 128", number: 128, kind: codec.KindAudio, rtpmap: "PCMA/8000", fails: true},
	{name: "1000 channels", number: 96, kind: codec.KindAudio, rtpmap: "L16/48000/1000", fails: true},
	{name: "-1 channels", number: 96, kind: codec.KindAudio, rtpmap: "L16/48000/-1", fails: true},
	{name: "control characters in the name", number: 96, kind: codec.KindAudio, rtpmap: "x\r\nm=video/8000", fails: true},
	{name: "space in the name", number: 96, kind: codec.KindAudio, rtpmap: "x y/8000", fails: true},
}

func TestPayloadTrack(t *testing.T) {
	for _, c := range payloadCases {
		t.Run(c.name, func(t *testing.T) {
			p := payload(c.number, c.kind, c.rtpmap, c.fmtp)
			tr, err := p.Track(7)
			if c.fails {
				require.ErrorIs(t, err, rtp.ErrInvalid)
				require.Nil(t, tr)
				return
			}
			require.NoError(t, err)
			want := &codec.Track{
				ID: 7, Codec: c.codec, ClockRate: p.ClockRate,
				SampleRate: c.rate, Channels: c.chans, Wire: c.wire,
			}
			if c.config != "" {
				want.Config = unhex(c.config)
			}
			if c.wire != "" {
				want.WireKind, want.Name, want.Params = c.kind, p.Encoding, p.FMTP()
			}
			require.Equal(t, want, tr)
			require.Equal(t, c.kind, tr.Kind())
			_, err = rtp.NewDepacketizer(p, tr)
			require.NoError(t, err)

			d, ok := rtp.Describe(tr, 99)
			if tr.NeedsConfig() && tr.Config == nil {
				require.False(t, ok)
				return
			}
			require.True(t, ok)
			if c.wire != "" { // untouched
				require.Equal(t, p.Kind, d.Kind)
				require.Equal(t, rtpmap(p), rtpmap(&d))
				require.Equal(t, p.FMTP(), d.FMTP())
			}
			again, err := d.Track(7)
			require.NoError(t, err)
			require.True(t, tr.SameConfig(again), "%+v, %+v", tr, again)
			require.Equal(t, tr.Kind(), again.Kind())
		})
	}
}

// A static type without rtpmap is described as one with it.
func TestPayloadIsCompleted(t *testing.T) {
	for number, want := range map[uint8]string{
		0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 10: "L16/44100/2", 11: "L16/44100", 14: "MPA/90000",
		26: "JPEG/90000", 32: "MPV/90000", 33: "MP2T/90000",
	} {
		p := &rtp.Payload{Type: number, Kind: codec.KindAudio}
		tr, err := p.Track(1)
		require.NoError(t, err)
		require.Equal(t, want, rtpmap(p))
		d, ok := rtp.Describe(tr, 96)
		require.True(t, ok)
		require.Equal(t, number, d.Type, want)
		require.Equal(t, want, rtpmap(&d))
	}
}

var describeCases = []struct {
	track  *codec.Track
	number uint8
	rtpmap string // "": not carried
	fmtp   string
}{
	{testmedia.Track(1, codec.AAC), 97, "mpeg4-generic/48000/2", "streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1190"},
	{testmedia.Track(1, codec.Opus), 97, "opus/48000/2", "sprop-stereo=1"},
	{testmedia.Track2(1, codec.Opus), 97, "opus/48000/2", "sprop-stereo=0"},
	{codec.NewOpusTrack(1, 6), 97, "", ""},
	{testmedia.Track(1, codec.PCMA), 8, "PCMA/8000", ""},
	{testmedia.Track(1, codec.PCMU), 0, "PCMU/8000", ""},
	{testmedia.Track2(1, codec.PCMA), 97, "PCMA/16000", ""},
	{codec.NewG711Track(1, codec.PCMU, 8000, 2), 97, "PCMU/8000/2", ""},
	{testmedia.Track(1, codec.MP3), 14, "MPA/90000", ""},
	{testmedia.Track2(1, codec.MP2), 14, "MPA/90000", ""},
	{testmedia.Track(1, codec.L16), 97, "L16/48000/2", ""},
	{testmedia.Track2(1, codec.L16), 10, "L16/44100/2", ""},
	{codec.NewL16Track(1, 44100, 1), 11, "L16/44100", ""},
	{testmedia.Track(1, codec.MJPEG), 26, "JPEG/90000", ""},
	{testmedia.Track(1, codec.AC3), 97, "", ""},
	{&codec.Track{Codec: codec.AAC}, 97, "", ""},
	{&codec.Track{Codec: codec.PCMA}, 97, "", ""},
	{&codec.Track{Codec: codec.H266}, 97, "", ""},
	{&codec.Track{Codec: codec.G729, Wire: "flv", Name: "G729", ClockRate: 8000}, 97, "", ""},
	{&codec.Track{Wire: "rtp", ClockRate: 8000}, 97, "", ""},
	{&codec.Track{Wire: "rtp", Name: "X"}, 97, "", ""},
	{&codec.Track{Wire: "rtp", WireKind: codec.KindData, Name: "X", ClockRate: 1000, Params: "a=1;b"}, 97, "X/1000", "a=1; b"},
	{&codec.Track{Wire: "rtp", Codec: codec.G729, Name: "G729", ClockRate: 8000, Channels: 1}, 18, "G729/8000/1", ""},
}

func TestDescribe(t *testing.T) {
	for _, c := range describeCases {
		p, ok := rtp.Describe(c.track, 97)
		if c.rtpmap == "" {
			require.False(t, ok, "%v", c.track)
			_, err := rtp.NewPacketizer(c.track, rtp.PacketizerOptions{PayloadType: 97})
			require.ErrorIs(t, err, rtp.ErrInvalid)
			continue
		}
		require.True(t, ok, "%v", c.track)
		require.Equal(t, c.number, p.Type, "%v", c.track)
		require.Equal(t, c.track.Kind(), p.Kind)
		require.Equal(t, c.rtpmap, rtpmap(&p))
		require.Equal(t, c.fmtp, p.FMTP())
	}

	// AAC has the clock of its samples, or of the output of SBR.
	he, err := codec.TrackFromConfig(1, codec.AAC, unhex("2b920800"))
	require.NoError(t, err)
	for clock, want := range map[int]int{22050: 22050, 44100: 44100, 90000: 22050, 0: 22050} {
		he.ClockRate = clock
		p, ok := rtp.Describe(he, 97)
		require.True(t, ok)
		require.Equal(t, want, p.ClockRate)
	}
}

// What is described is read by gortsplib as it is meant.
func TestDescribeWitness(t *testing.T) {
	for _, c := range describeCases {
		p, ok := rtp.Describe(c.track, 97)
		if !ok || c.track.Wire != "" {
			continue
		}
		text := "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n" +
			fmt.Sprintf("m=%v 0 RTP/AVP %d\r\na=rtpmap:%[2]d %[3]s\r\na=fmtp:%[2]d %[4]s\r\n", p.Kind, p.Type, rtpmap(&p), p.FMTP())
		sd, err := sdpunmarshaler.Unmarshal([]byte(text))
		require.NoError(t, err)
		var session description.Session
		require.NoError(t, session.Unmarshal2(sd), text)
		f := session.Medias[0].Formats[0]
		require.Equal(t, p.ClockRate, f.ClockRate(), "%v", c.track)
		require.Equal(t, p.Type, f.PayloadType())
		switch f := f.(type) {
		case *format.MPEG4Audio:
			config, err := f.Config.Marshal()
			require.NoError(t, err)
			require.Equal(t, c.track.Config, config)
		case *format.Opus:
			require.Equal(t, c.track.Channels, f.ChannelCount)
		case *format.G711:
			require.Equal(t, c.track.Codec == codec.PCMU, f.MULaw)
			require.Equal(t, c.track.Channels, f.ChannelCount)
		case *format.LPCM:
			require.Equal(t, 16, f.BitDepth)
			require.Equal(t, c.track.Channels, f.ChannelCount)
		case *format.MPEG1Audio, *format.MJPEG:
		default:
			t.Fatalf("%v became %T", c.track, f)
		}
	}
}

func FuzzPayloadTrack(f *testing.F) {
	for _, c := range payloadCases {
		f.Add(c.number, uint8(c.kind), c.rtpmap, c.fmtp)
	}
	f.Add(uint8(96), uint8(codec.KindVideo), "H264/90000", "packetization-mode=1; profile-level-id=64001E; sprop-parameter-sets=Z2QAHqwrUFAX/Kg=,aO48MA==")
	f.Add(uint8(98), uint8(codec.KindVideo), "H265/90000", "profile-id=1;sprop-sps=QgEBAWAAAAMAAAMAAAMAAAMAlqABaCAGWfeNrkkya5YwCAAAAwAIAAADAPBA;sprop-pps=RAHgdoaNAwYMZA==;sprop-vps=QAEMAf//AWAAAAMAAAMAAAMAAAMAlqwJ")
	f.Fuzz(func(t *testing.T, number, kind uint8, rtpmapLine, fmtp string) {
		p := payload(number, codec.Kind(kind%3), rtpmapLine, fmtp)
		tr, err := p.Track(1)
		if err != nil {
			require.ErrorIs(t, err, rtp.ErrInvalid)
			return
		}
		require.Equal(t, p.ClockRate, tr.ClockRate)
		_, err = rtp.NewDepacketizer(p, tr)
		require.NoError(t, err)
		d, ok := rtp.Describe(tr, 96)
		if !ok {
			return
		}
		_, err = rtp.NewPacketizer(tr, rtp.PacketizerOptions{PayloadType: 96})
		require.NoError(t, err)
		again, err := d.Track(1)
		require.NoError(t, err)
		require.Equal(t, tr.Codec, again.Codec)
		if tr.Wire != "" {
			require.Equal(t, tr, again)
		}
	})
}
