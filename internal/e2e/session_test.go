package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// A caller speaks RTSP by hand.
type caller struct {
	t       testing.TB
	conn    net.Conn
	r       *bufio.Reader
	seq     int
	session string
	packets [][]byte // interleaved ones that came since it was cleared, with their '$' and channel
}

func call(t testing.TB, addr string) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &caller{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// do sends a request and returns the status and headers of its response.
func (c *caller) do(method, url string, headers ...string) (status int, header map[string]string, body string) {
	c.t.Helper()
	c.seq++
	req := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, url, c.seq)
	for _, h := range headers {
		req += h + "\r\n"
	}
	if c.session != "" {
		req += "Session: " + c.session + "\r\n"
	}
	_, err := io.WriteString(c.conn, req+"\r\n")
	require.NoError(c.t, err)
	require.NoError(c.t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	for c.packet() {
	}
	line, err := c.r.ReadString('\n')
	require.NoError(c.t, err)
	_, err = fmt.Sscanf(line, "RTSP/1.0 %d", &status)
	require.NoError(c.t, err, line)
	header = map[string]string{}
	for {
		line, err = c.r.ReadString('\n')
		require.NoError(c.t, err)
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		header[strings.ToLower(name)] = value
	}
	require.Equal(c.t, strconv.Itoa(c.seq), header["cseq"])
	if id := header["session"]; id != "" {
		c.session, _, _ = strings.Cut(id, ";")
	}
	if n, _ := strconv.Atoi(header["content-length"]); n > 0 {
		b := make([]byte, n)
		_, err = io.ReadFull(c.r, b)
		require.NoError(c.t, err)
		body = string(b)
	}
	return status, header, body
}

// packet reads an interleaved packet, if one is next.
func (c *caller) packet() bool {
	c.t.Helper()
	b, err := c.r.Peek(1)
	require.NoError(c.t, err)
	if b[0] != '$' {
		return false
	}
	head, err := c.r.Peek(4)
	require.NoError(c.t, err)
	p := make([]byte, 4+int(head[2])<<8+int(head[3]))
	_, err = io.ReadFull(c.r, p)
	require.NoError(c.t, err)
	c.packets = append(c.packets, p)
	return true
}

// ok is do for a request that is answered with 200.
func (c *caller) ok(method, url string, headers ...string) (header map[string]string, body string) {
	c.t.Helper()
	status, header, body := c.do(method, url, headers...)
	require.Equal(c.t, 200, status, "%s %s", method, url)
	return header, body
}

// controls returns the URLs of the tracks an SDP has.
func controls(base, sdp string) (list []string) {
	for _, m := range regexp.MustCompile(`(?s)m=.*?a=control:(\S+)`).FindAllStringSubmatch(sdp, -1) {
		if strings.Contains(m[1], "://") {
			list = append(list, m[1])
		} else {
			list = append(list, strings.TrimSuffix(base, "/")+"/"+m[1])
		}
	}
	return list
}

// TestPauseAndPlay pauses a live stream by hand: nothing comes until it is
// played again, and then it goes on with a picture that can be decoded, as
// RTP-Info says.
func TestPauseAndPlay(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 5 * time.Second}
	hub := &source.Hub{}
	s := serve(t, hub)
	url := s.url("rtsp", "live/t")
	publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")

	v := call(t, s.addrs["rtsp"])
	v.ok("OPTIONS", url)
	header, sdp := v.ok("DESCRIBE", url, "Accept: application/sdp")
	for i, control := range controls(header["content-base"], sdp) {
		v.ok("SETUP", control, fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*i, 2*i+1))
	}
	for range 3 {
		v.packets = nil
		header, _ := v.ok("PLAY", url, "Range: npt=0.000-")
		require.Empty(t, v.packets, "packets while it was paused")
		infos := regexp.MustCompile(`seq=(\d+);rtptime=(\d+)`).FindAllStringSubmatch(header["rtp-info"], -1)
		require.Len(t, infos, 2, header["rtp-info"])
		firsts := map[byte][]byte{}
		for len(firsts) < 2 {
			require.True(t, v.packet(), "a packet")
			p := v.packets[len(v.packets)-1]
			if ch := p[1]; ch%2 == 0 && firsts[ch] == nil {
				firsts[ch] = p
			}
		}
		for i, info := range infos {
			p := firsts[byte(2*i)]
			require.Equal(t, info[1], fmt.Sprint(int(p[6])<<8|int(p[7])), "sequence of track %d", i)
			if i == 0 {
				require.Equal(t, info[2], fmt.Sprint(uint32(p[8])<<24|uint32(p[9])<<16|uint32(p[10])<<8|uint32(p[11])), "time of track %d", i)
			}
		}
		nal := firsts[0][16:] // after '$', channel, length and the header of RTP
		require.Contains(t, []byte{7, 5, 24}, nal[0]&31, "begins with parameter sets or a key frame")

		v.ok("PAUSE", url)
		v.packets = nil
		st := hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}).Stats()
		eventually(t, func() bool {
			return hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}).Stats().Publisher.Frames > st.Publisher.Frames+50
		}, "the stream goes on meanwhile")
	}
	v.ok("TEARDOWN", url)
}

// TestNothingIsLeft: sessions on UDP and TCP, ended properly or by hanging up at
// any point, leave no socket behind in the server.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", duration: 5 * time.Second}
	c.file(t)
	p, s := mediaserver(t)
	sockets := func() (n int) {
		dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Skip("not Linux")
		}
		for _, fd := range list {
			if to, _ := os.Readlink(filepath.Join(dir, fd.Name())); strings.HasPrefix(to, "socket:") {
				n++
			}
		}
		return n
	}
	url := s.url("rtsp", "live/t")
	pub := publish(t, c.file(t), s.url("rtmp", "live/t"), "-stream_loop", "-1")
	first := call(t, s.addrs["rtsp"])
	first.ok("DESCRIBE", url) // the stream is there
	before := sockets() - 1   // without the first
	first.conn.Close()

	rtp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer rtp.Close()
	port := rtp.LocalAddr().(*net.UDPAddr).Port
	for i := range 500 {
		v := call(t, s.addrs["rtsp"])
		header, sdp := v.ok("DESCRIBE", url)
		for j, control := range controls(header["content-base"], sdp) {
			transport := fmt.Sprintf("Transport: RTP/AVP;unicast;client_port=%d-%d", port, port+1)
			if i%4 == 3 {
				transport = fmt.Sprintf("Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d", 2*j, 2*j+1)
			}
			v.ok("SETUP", control, transport)
		}
		if i%5 != 4 {
			v.ok("PLAY", url)
		}
		if i%3 == 2 {
			v.ok("TEARDOWN", url)
		}
		v.conn.Close()
	}
	eventually(t, func() bool { return sockets() <= before }, "all sockets are closed")
	pub.kill()
}
