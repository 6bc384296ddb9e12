package rtsp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var transportCases = []struct {
	name, in string
	want     []transport // nil: errNoTransport, or
	bad      bool        // any other error
	out      string      // of the first; "" means in
}{
	{"ffmpeg, TCP", "RTP/AVP/TCP;unicast;interleaved=0-1", []transport{{carrier: overTCP, channels: pair{true, 0, 1}}}, false, ""},
	{"ffmpeg, UDP", "RTP/AVP/UDP;unicast;client_port=25652-25653", []transport{{carrier: overUDP, clientPorts: pair{true, 25652, 25653}}}, false, ""},
	{"ffmpeg, publishing", "RTP/AVP/TCP;unicast;interleaved=2-3;mode=record", []transport{{carrier: overTCP, channels: pair{true, 2, 3}, record: true}}, false, ""},
	{"VLC", "RTP/AVP;unicast;client_port=54200-54201", []transport{{carrier: overUDP, clientPorts: pair{true, 54200, 54201}}}, false, "RTP/AVP/UDP;unicast;client_port=54200-54201"},
	{"GStreamer", "RTP/AVP;unicast;client_port=40000-40001,RTP/AVP;multicast,RTP/AVP/TCP;unicast;interleaved=0-1", []transport{
		{carrier: overUDP, clientPorts: pair{true, 40000, 40001}}, {carrier: overMulticast}, {carrier: overTCP, channels: pair{true, 0, 1}},
	}, false, "RTP/AVP/UDP;unicast;client_port=40000-40001"},
	{"quotes, blanks and case", ` rtp/avp/tcp ; Unicast ; Interleaved = 0-1 ; mode="PLAY"`, []transport{{carrier: overTCP, channels: pair{true, 0, 1}}}, false, "RTP/AVP/TCP;unicast;interleaved=0-1"},
	{"mode of RFC 2326's examples", `RTP/AVP;unicast;mode=receive;client_port=1-2`, []transport{{carrier: overUDP, clientPorts: pair{true, 1, 2}, record: true}}, false, "RTP/AVP/UDP;unicast;client_port=1-2;mode=record"},
	{"one port", "RTP/AVP;client_port=5000", []transport{{carrier: overUDP, clientPorts: pair{true, 5000, 5001}}}, false, "RTP/AVP/UDP;unicast;client_port=5000-5001"},
	{"unknown parameters", "RTP/AVP/TCP;unicast;append;layers=2;blocksize=1400", []transport{{carrier: overTCP}}, false, "RTP/AVP/TCP;unicast"},
	{"answer, UDP", "RTP/AVP/UDP;unicast;client_port=5000-5001;server_port=30000-30001;ssrc=0123ABCD", []transport{{carrier: overUDP, clientPorts: pair{true, 5000, 5001}, serverPorts: pair{true, 30000, 30001}, ssrc: "0123ABCD"}}, false, ""},
	{"answer, multicast", "RTP/AVP;multicast;destination=239.0.0.1;source=10.0.0.1;port=30000-30001;ttl=16;ssrc=0123ABCD", []transport{{carrier: overMulticast, destination: "239.0.0.1", source: "10.0.0.1", groupPorts: pair{true, 30000, 30001}, ttl: 16, ssrc: "0123ABCD"}}, false, ""},

	{"none", "", nil, false, ""},
	{"SRTP", "RTP/SAVP/TCP;unicast;interleaved=0-1", nil, false, ""},
	{"RAW", "RAW/RAW/UDP;unicast;client_port=5000-5001", nil, false, ""},
	{"SRTP and TCP", "RTP/SAVP;unicast;client_port=7-8,RTP/AVP/TCP;interleaved=254-255", []transport{{carrier: overTCP, channels: pair{true, 254, 255}}}, false, "RTP/AVP/TCP;unicast;interleaved=254-255"},
	{"channels 255-256", "RTP/AVP/TCP;unicast;interleaved=255-256", nil, true, ""},
	{"channel 255", "RTP/AVP/TCP;unicast;interleaved=255", nil, true, ""},
	{"channels reversed", "RTP/AVP/TCP;unicast;interleaved=1-0", nil, true, ""},
	{"negative channel", "RTP/AVP/TCP;unicast;interleaved=-1-0", nil, true, ""},
	{"port 0", "RTP/AVP;unicast;client_port=0-1", nil, true, ""},
	{"port 65535-65536", "RTP/AVP;unicast;client_port=65535-65536", nil, true, ""},
	{"port 65535", "RTP/AVP;unicast;client_port=65535", nil, true, ""},
	{"port 10^20", "RTP/AVP;unicast;client_port=100000000000000000000-1", nil, true, ""},
	{"ports reversed", "RTP/AVP;unicast;client_port=5001-5000", nil, true, ""},
	{"no port", "RTP/AVP;unicast;client_port=", nil, true, ""},
	{"port of letters", "RTP/AVP;unicast;client_port=a-b", nil, true, ""},
	{"nonsense in one of two", "RTP/AVP/TCP;interleaved=0-1,RTP/AVP;client_port=0-0", nil, true, ""},
}

func TestTransport(t *testing.T) {
	for _, c := range transportCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseTransports(c.in)
			switch {
			case c.bad:
				require.Error(t, err)
				require.NotErrorIs(t, err, errNoTransport)
			case c.want == nil:
				require.ErrorIs(t, err, errNoTransport)
			default:
				require.NoError(t, err)
				require.Equal(t, c.want, got)
				out := c.out
				if out == "" {
					out = c.in
				}
				require.Equal(t, out, string(got[0].append(nil)))
			}
		})
	}
}

func FuzzTransport(f *testing.F) {
	for _, c := range transportCases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := parseTransports(in)
		if err != nil {
			return
		}
		for _, x := range got {
			if x.destination != "" || x.source != "" || x.ssrc != "" {
				continue // any text
			}
			again, err := parseTransports(string(x.append(nil)))
			require.NoError(t, err)
			require.Equal(t, []transport{x}, again)
		}
	})
}
