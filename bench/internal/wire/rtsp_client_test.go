package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rtspServer answers each request with what reply returns for it.
func rtspServer(conn net.Conn, reply func(method, url string, header textproto.MIMEHeader) string) {
	for r := textproto.NewReader(bufio.NewReader(conn)); ; {
		line, err := r.ReadLine()
		if err != nil {
			return
		}
		header, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		n, _ := strconv.Atoi(header.Get("Content-Length"))
		if _, err := io.CopyN(io.Discard, r.R, int64(n)); err != nil {
			return
		}
		f := strings.Fields(line)
		io.WriteString(conn, reply(f[0], f[1], header))
	}
}

// rtspOK returns a good answer. Lines end with \r\n.
func rtspOK(h textproto.MIMEHeader, lines, body string) string {
	return fmt.Sprintf("RTSP/1.0 200 OK\r\nCSeq: %s\r\nSession: abc;timeout=60\r\n%sContent-Length: %d\r\n\r\n%s",
		h.Get("CSeq"), lines, len(body), body)
}

const testSDP = "v=0\r\na=control:*\r\nm=application 0 RTP/AVP 98\r\na=control:trackID=9\r\n" +
	"m=video 0 RTP/AVP 96\r\na=control:trackID=0\r\nm=audio 0 RTP/AVP 97\r\na=control:rtsp://other/trackID=1\r\n"

func TestPlayRTSP(t *testing.T) {
	var urls []string
	conn := serve(t, func(c net.Conn) {
		rtspServer(c, func(method, url string, h textproto.MIMEHeader) string {
			urls = append(urls, method+" "+url+" "+h.Get("Session"))
			switch method {
			case "DESCRIBE":
				return "RTSP/1.0 200 OK\r\nContent-Base: rtsp://x/live/y/\r\nContent-Length: " + strconv.Itoa(len(testSDP)) + "\r\n\r\n" + testSDP
			case "SETUP": // channels are the server's to choose
				channel := strings.Count(strings.Join(urls, " "), "SETUP") + 3
				return rtspOK(h, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d;ssrc=1\r\n", channel, channel+1), "")
			}
			return rtspOK(h, "", "") + string(appendRTP(appendRTP(nil, 5, true, 1, 1, []byte("a")), 4, true, 1, 1, []byte{0x65, 0}))
		})
	})
	var got []string
	s, err := PlayRTSP(conn, "/live/y", nil, func(m Message) { got = append(got, line(m)) })
	require.NoError(t, err)
	for buf := make([]byte, 4096); len(got) < 2; {
		n, err := conn.Read(buf)
		require.NoError(t, err)
		require.NoError(t, s.Scan(buf[:n]))
	}
	require.Equal(t, []string{"8 1", "9 2 key"}, got)
	require.Equal(t, []string{
		"DESCRIBE rtsp://" + conn.RemoteAddr().String() + "/live/y ",
		"SETUP rtsp://x/live/y/trackID=0 ",
		"SETUP rtsp://other/trackID=1 abc",
		"PLAY rtsp://x/live/y abc",
	}, urls)
}

func TestPlayRTSPByUDP(t *testing.T) {
	conn := serve(t, func(c net.Conn) {
		rtspServer(c, func(method, _ string, h textproto.MIMEHeader) string {
			switch method {
			case "DESCRIBE":
				return rtspOK(h, "", testSDP)
			case "SETUP":
				return rtspOK(h, "Transport: "+h.Get("Transport")+";server_port=30000-30001\r\n", "")
			}
			return "RTSP/1.0 455 Method Not Valid in This State\r\n\r\n"
		})
	})
	var types []byte
	s, err := PlayRTSP(conn, "/live/y", func(track *RTPTrack) (int, error) {
		types = append(types, track.typ)
		return 5000, nil
	}, func(Message) {})
	require.NoError(t, err)
	require.Equal(t, []byte{typeVideo, typeAudio}, types)
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	require.ErrorContains(t, s.Scan(buf[:n]), "PLAY: status 455")
}

func TestPlayRTSPFails(t *testing.T) {
	for _, c := range []struct{ name, describe, setup, err string }{
		{"missing", "RTSP/1.0 404 Not Found\r\n\r\n", "", "DESCRIBE: status 404"},
		{"no media", "RTSP/1.0 200 OK\r\n\r\n", "", "no media"},
		{"garbage", "SSH-2.0\r\n\r\n", "", "no RTSP response"},
		{"no channels", "", "RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast\r\n\r\n", "SETUP: Transport"},
		{"refused", "", "RTSP/1.0 461 Unsupported Transport\r\n\r\n", "SETUP: status 461"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := serve(t, func(conn net.Conn) {
				rtspServer(conn, func(method, _ string, h textproto.MIMEHeader) string {
					switch {
					case method == "SETUP":
						return c.setup
					case c.describe == "":
						return rtspOK(h, "", testSDP)
					}
					return c.describe
				})
			})
			_, err := PlayRTSP(conn, "/live/y", nil, func(Message) {})
			require.ErrorContains(t, err, c.err)
		})
	}
}
