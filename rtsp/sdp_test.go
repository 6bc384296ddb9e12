package rtsp

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// Parameters of a track as session descriptions have them.
const (
	h264FMTP = "packetization-mode=1;profile-level-id=64001F;sprop-parameter-sets=Z2QAH6zZQFAFuwEQAAADABAAAAMDIPGDGWA=,aOvjyyLA"
	h265FMTP = "sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwBdkRAJ;sprop-sps=QgEBAWAAAAMAkAAAAwAAAwBdoAKAgC0WWRESkwvAWgIAAAMAAgAAAwAyEA==;sprop-pps=RAHAc8GJ"
	aacFMTP  = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1190"
)

type sdpCase struct {
	name     string
	sdp      string // lines end with \n
	want     []string
	control  string
	duration time.Duration
	unusable int
	err      error
}

// describeMedia writes down what a test looks at.
func describeMedia(m *media) string {
	s := fmt.Sprintf("%v %v %s/%d %d %s", m.payload.Kind, m.track.Codec, m.payload.Encoding, m.payload.ClockRate, m.payload.Type, m.control)
	if m.backChannel {
		s += " back"
	}
	return s
}

// sdpCases are descriptions as servers and cameras of different makes write
// them: the shape is theirs, names and addresses are not.
var sdpCases = []sdpCase{
	{
		name: "by the book",
		sdp: "v=0\no=- 1700000000 1 IN IP4 192.0.2.7\ns=Session\nc=IN IP4 0.0.0.0\nt=0 0\na=control:*\na=range:npt=now-\n" +
			"m=video 0 RTP/AVP 96\nb=AS:2048\na=rtpmap:96 H264/90000\na=fmtp:96 " + h264FMTP + "\na=control:trackID=0\n" +
			"m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/48000/2\na=fmtp:97 " + aacFMTP + "\na=control:trackID=1\n",
		want:    []string{"video H264 H264/90000 96 trackID=0", "audio AAC MPEG4-GENERIC/48000 97 trackID=1"},
		control: "*",
	},
	{
		name: "nothing but what is needed",
		sdp:  "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
		want: []string{"video H264 H264/90000 96 "},
	},
	{
		name: "absolute controls, a session URL, a bad origin, b=AS:0",
		sdp: "v=0\no=- 16777216 16777216 IN IP4\ns=RTSP Session\ni=\nb=AS:0\nt=0 0\na=control:rtsp://192.0.2.7/Streaming/Channels/101/\n" +
			"m=video 0 RTP/AVP 96\nb=AS:0\na=control:rtsp://192.0.2.7/Streaming/Channels/101/trackID=1\na=rtpmap:96 H265/90000\na=fmtp:96 " + h265FMTP + "\n" +
			"a=Media_header:MEDIAINFO=494D4B48;\na=appversion:1.0\n",
		want:    []string{"video H265 H265/90000 96 rtsp://192.0.2.7/Streaming/Channels/101/trackID=1"},
		control: "rtsp://192.0.2.7/Streaming/Channels/101/",
	},
	{
		name: "carriage returns alone",
		sdp:  strings.ReplaceAll("v=0\nm=audio 0 RTP/AVP 8\na=control:a\n", "\n", "\r"),
		want: []string{"audio PCMA PCMA/8000 8 a"},
	},
	{
		name: "blanks, empty lines, lines that are none, the end of a C string",
		sdp:  "\n \nv=0\nnonsense\n=\na\n\n  m=video  0   RTP/AVP  96 \n a=rtpmap:96  H264 / 90000 \n a = control:nowhere\na=control: track1 \n\x00\x00",
		want: []string{"video H264 H264/90000 96 track1"},
	},
	{
		name: "odd case of names",
		sdp:  "m=Video 0 rtp/avp 96\na=RTPMAP:96 h264/90000\na=Control:t\nm=AUDIO 0 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n",
		want: []string{"video H264 h264/90000 96 t", "audio Opus opus/48000 97 "},
	},
	{
		name: "static payload types without rtpmap",
		sdp:  "m=video 0 RTP/AVP 26\na=control:v\nm=audio 0 RTP/AVP 0\na=control:a\nm=audio 0 RTP/AVP 14\na=control:b\n",
		want: []string{"video MJPEG JPEG/90000 26 v", "audio PCMU PCMU/8000 0 a", "audio MP3 MPA/90000 14 b"},
	},
	{
		name: "ports, or none",
		sdp: "m=video 42504/2 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:1\n" +
			"m=audio RTP/AVP 8\na=control:2\n" +
			"m=audio 0 0\na=control:3\n" +
			"m=audio 0 RTP/AVP/TCP 0\na=control:4\n",
		want: []string{"video H264 H264/90000 96 1", "audio PCMA PCMA/8000 8 2", "audio PCMU PCMU/8000 0 3", "audio PCMU PCMU/8000 0 4"},
	},
	{
		name: "no rtpmap for a dynamic type",
		sdp: "m=video 0 RTP/AVP 96\na=fmtp:96 packetization-mode=1\na=control:1\n" +
			"m=video 0 RTP/AVP 97\na=fmtp:97 " + h265FMTP + "\na=control:2\n" +
			"m=audio 0 RTP/AVP 98\na=control:3\n",
		want:     []string{"video H264 H264/90000 96 1", "video H265 H265/90000 97 2"},
		unusable: 1,
	},
	{
		name: "rtpmap and fmtp for another type than the media's",
		sdp:  "m=video 0 RTP/AVP 96\na=rtpmap:98 H264/90000\na=fmtp:98 " + h264FMTP + "\n",
		want: []string{"video H264 H264/90000 96 "},
	},
	{
		name: "no clock rate",
		sdp:  "m=video 0 RTP/AVP 96 98\na=rtpmap:96 H264\na=rtpmap:98 MetaData\n",
		want: []string{"video H264 H264/90000 96 "},
	},
	{
		name:     "clock rate 0",
		sdp:      "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0\na=control:1\nm=audio 0 RTP/AVP 0\na=control:2\n",
		want:     []string{"audio PCMU PCMU/8000 0 2"},
		unusable: 1,
	},
	{
		name: "attributes twice",
		sdp:  "m=video 0 RTP/AVP 96\na=control:1\na=control:2\na=rtpmap:96 H264/90000\na=rtpmap:96 H265/90000\na=fmtp:96 packetization-mode=1\na=fmtp:96 profile-level-id=64001F\n",
		want: []string{"video H264 H264/90000 96 1"},
	},
	{
		name: "a media twice",
		sdp:  "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:1\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:1\n",
		want: []string{"video H264 H264/90000 96 1"},
	},
	{
		name: "several formats of a media",
		sdp:  "m=audio 0 RTP/AVP 300 101 0 8\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=control:1\n",
		want: []string{"audio PCMU PCMU/8000 0 1"},
	},
	{
		name: "metadata and a back channel",
		sdp: "v=0\ns=ONVIF\nt=0 0\n" +
			"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:video\na=recvonly\n" +
			"m=audio 0 RTP/AVP 0\na=control:audio\na=recvonly\n" +
			"m=audio 0 RTP/AVP 0\na=control:back\na=sendonly\n" +
			"m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:meta\na=recvonly\n",
		want: []string{
			"video H264 H264/90000 96 video", "audio PCMU PCMU/8000 0 audio", "audio PCMU PCMU/8000 0 back back",
			"data opaque vnd.onvif.metadata/90000 107 meta",
		},
	},
	{
		name: "all directions as the server sees them",
		sdp:  "m=video 0 RTP/AVP 96\na=sendonly\na=rtpmap:96 H264/90000\n",
		want: []string{"video H264 H264/90000 96 "},
	},
	{
		name:     "a film",
		sdp:      "a=range:npt=0-62.5\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:1\n",
		want:     []string{"video H264 H264/90000 96 1"},
		duration: 62500 * time.Millisecond,
	},
	{
		name:     "a film, by its media, in hours",
		sdp:      "a=range:clock=20260101T000000Z-\nm=audio 0 RTP/AVP 8\na=range:npt=0:00:10-1:01:12.5\n",
		want:     []string{"audio PCMA PCMA/8000 8 "},
		duration: time.Hour + 62500*time.Millisecond,
	},
	{
		name: "times that are none",
		sdp:  "a=range:npt=NaN-Inf\nm=audio 0 RTP/AVP 8\na=range:npt=5-2\n",
		want: []string{"audio PCMA PCMA/8000 8 "},
	},
	{
		name: "an encoding that is not known",
		sdp:  "m=video 0 RTP/AVP 33\na=rtpmap:33 MP2T/90000\na=control:ts\nm=audio 0 RTP/AVP 99\na=rtpmap:99 speex/16000\na=fmtp:99 vbr=on\n",
		want: []string{"video opaque MP2T/90000 33 ts", "audio opaque speex/16000 99 "},
	},
	{
		name:     "encrypted, or not by RTP",
		sdp:      "m=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000\nm=application 0 TCP/TLS 1\nm=audio 0 RTP/AVPF 8\n",
		want:     []string{"audio PCMA PCMA/8000 8 "},
		unusable: 2,
	},
	{name: "nothing", err: errSDP},
	{name: "a web page", sdp: "<html>\n<body>a=b</body>\n</html>\n", err: errSDP},
	{name: "no payload type", sdp: "m=video 0 RTP/AVP\n", err: errSDP},
	{name: "no media line to speak of", sdp: "m=\n", err: errSDP},
	{name: "payload type 300", sdp: "m=video 0 RTP/AVP 300\na=rtpmap:300 H264/90000\n", err: errSDP},
	{name: "payload type -1", sdp: "m=video 0 RTP/AVP -1\na=rtpmap:-1 H264/90000\n", err: errSDP},
	{name: "only a clock rate of 0", sdp: "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/0\n", err: errSDP},
	{name: "a clock rate beyond all bounds", sdp: "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/99999999999\n", err: errSDP},
	{name: "a long line", sdp: "m=audio 0 RTP/AVP 0\na=x:" + strings.Repeat("x", maxSDPLine), err: errSDP},
	{name: "many medias", sdp: strings.Repeat("m=audio 0 RTP/AVP 0\n", maxMedias+1), err: errSDP},
	{name: "many medias that cannot be used", sdp: strings.Repeat("m=audio 0 RTP/AVP 300\n", 1000), err: errSDP},
}

func TestParseSDP(t *testing.T) {
	for _, c := range sdpCases {
		for _, end := range []string{"\n", "\r\n"} {
			t.Run(c.name, func(t *testing.T) {
				p, err := parseSDP([]byte(strings.ReplaceAll(c.sdp, "\n", end)))
				require.ErrorIs(t, err, c.err)
				if c.err != nil {
					return
				}
				var got []string
				for i := range p.medias {
					require.Equal(t, i+1, p.medias[i].track.ID)
					got = append(got, describeMedia(&p.medias[i]))
				}
				require.Equal(t, c.want, got)
				require.Equal(t, c.control, p.control)
				require.Equal(t, c.duration, p.duration)
				require.Len(t, p.unusable, c.unusable)
			})
		}
	}
}

func TestParseSDPParameters(t *testing.T) {
	p, err := parseSDP([]byte(sdpCases[0].sdp))
	require.NoError(t, err)
	require.Equal(t, "Session", p.name)
	require.Equal(t, 2048, p.medias[0].bandwidth)
	require.Equal(t, 1280, p.medias[0].track.Width)
	require.True(t, p.medias[0].track.Ready())
	require.Equal(t, 48000, p.medias[1].track.SampleRate)
	require.True(t, p.medias[1].track.Ready())
	require.Equal(t, 2, p.medias[1].payload.Channels)
}

// A long but legal description is read, however many attributes it has.
func TestParseSDPMany(t *testing.T) {
	var b strings.Builder
	for i := range maxMedias {
		fmt.Fprintf(&b, "m=audio 0 RTP/AVP 0\na=control:%d\n", i)
		for b.Len() < (i+1)*8000 {
			b.WriteString("a=fmtp:0 x=y\n")
		}
	}
	p, err := parseSDP([]byte(b.String()))
	require.NoError(t, err)
	require.Len(t, p.medias, maxMedias)
}

func TestAppendSDP(t *testing.T) {
	p := presentation{medias: []media{
		{payload: rtp.Payload{Type: 96, Kind: codec.KindVideo, Encoding: "H264", ClockRate: 90000, Params: rtp.ParseParams("packetization-mode=1")}, bandwidth: 500},
		{payload: rtp.Payload{Type: 97, Kind: codec.KindAudio, Encoding: "opus", ClockRate: 48000, Channels: 2}, control: "sound"},
		{payload: rtp.Payload{Type: 98, Encoding: "x\r\na=y", ClockRate: 90000}},
	}}
	const head = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=MediaKit\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
	const medias = "a=control:*\r\n" +
		"m=video 0 RTP/AVP 96\r\nb=AS:500\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:trackID=0\r\n" +
		"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:sound\r\n" +
		"m=application 0 RTP/AVP 98\r\na=rtpmap:98 xa=y/90000\r\na=control:trackID=2\r\n"
	require.Equal(t, head+"a=range:npt=now-\r\n"+medias, string(p.appendSDP(nil)))
	p.duration = 1500 * time.Millisecond
	require.Equal(t, head+"a=range:npt=0-1.500\r\n"+medias, string(p.appendSDP(nil)))
}

// What we describe is read as what it was, for every codec that can be sent.
func TestSDPRoundTrip(t *testing.T) {
	for _, c := range []codec.Codec{
		codec.H264, codec.H265, codec.AV1, codec.VP8, codec.VP9,
		codec.AAC, codec.Opus, codec.PCMA, codec.PCMU, codec.MP3, codec.L16,
	} {
		for _, want := range []*codec.Track{testmedia.Track(1, c), testmedia.Track2(1, c)} {
			pl, ok := rtp.Describe(want, 96)
			require.True(t, ok, want)
			p := presentation{medias: []media{{payload: pl}}}
			again, err := parseSDP(p.appendSDP(nil))
			require.NoError(t, err, want)
			require.Len(t, again.medias, 1)
			got := again.medias[0].track
			require.Equal(t, want.Codec, got.Codec)
			require.Equal(t, pl.ClockRate, got.ClockRate, want)
			if c != codec.MP3 { // its frames tell
				require.Equal(t, want.Channels, got.Channels, want)
				require.Equal(t, want.SampleRate, got.SampleRate, want)
			}
			if want.NeedsConfig() {
				require.Equal(t, want.Config, got.Config)
			}
			require.Equal(t, trackControl(0), again.medias[0].control)
		}
	}
}

func TestNPT(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true},
		{" 12.25 ", 12250 * time.Millisecond, true},
		{"1:02:03.5", time.Hour + 2*time.Minute + 3500*time.Millisecond, true},
		{"now", 0, false},
		{"", 0, false},
		{"-1", 0, false},
		{"NaN", 0, false},
		{"Inf", 0, false},
		{"1e300", 0, false},
		{"1:", 0, false},
	} {
		got, ok := parseNPT(c.text)
		require.Equal(t, c.ok, ok, c.text)
		require.Equal(t, c.want, got, c.text)
		if ok {
			again, ok := parseNPT(formatNPT(got))
			require.True(t, ok)
			require.Equal(t, got, again)
		}
	}
}

// FuzzSDP: no description ends the process, and what we make of one is read
// again as the same.
func FuzzSDP(f *testing.F) {
	for _, c := range sdpCases {
		f.Add([]byte(c.sdp))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseSDP(b)
		if err != nil {
			return // refusing is fine
		}
		if n := len(p.medias); n == 0 || n > maxMedias {
			t.Fatal(n, "medias")
		}
		for i := range p.medias {
			p.medias[i].control = strconv.Itoa(i) // as ours are: different
			p.medias[i].backChannel = false
		}
		again, err := parseSDP(p.appendSDP(nil))
		if err != nil {
			t.Fatalf("%v of\n%s", err, p.appendSDP(nil))
		}
		if len(again.medias) != len(p.medias) {
			t.Fatalf("%d medias came back as %d:\n%s", len(p.medias), len(again.medias), p.appendSDP(nil))
		}
		for i := range p.medias {
			got, want := describeMedia(&again.medias[i]), describeMedia(&p.medias[i])
			if got != want {
				t.Fatalf("%s came back as %s", want, got)
			}
		}
	})
}
