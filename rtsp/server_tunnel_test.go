package rtsp

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A tunnelledConn is a peer's side of a tunnel as a connection.
type tunnelledConn struct {
	net.Conn // of the GET
	post     net.Conn
}

// Write sends each call's bytes as base64 of their own, in two pieces.
func (c tunnelledConn) Write(b []byte) (int, error) {
	s := base64.StdEncoding.EncodeToString(b)
	for _, part := range []string{s[:len(s)/3], s[len(s)/3:]} {
		if _, err := c.post.Write([]byte(part)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// half sends the request of one half of a tunnel and returns the status that is
// answered.
func half(t *testing.T, nc net.Conn, method, cookie string) int {
	t.Helper()
	_, err := fmt.Fprintf(nc, "%s /live/cam HTTP/1.0\r\nx-sessioncookie: %s\r\nAccept: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\r\n", method, cookie)
	require.NoError(t, err)
	return answered(t, nc)
}

// answered returns the status of an answer of HTTP, up to its empty line.
func answered(t *testing.T, nc net.Conn) int {
	t.Helper()
	var b []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(b), "\r\n\r\n") {
		_, err := io.ReadFull(nc, one)
		require.NoError(t, err)
		b = append(b, one[0])
	}
	in := wire.NewReader(strings.NewReader(string(b)), 64, wire.Limits{HTTP: true})
	item, err := in.Next()
	require.NoError(t, err)
	return item.(*wire.Response).Status
}

func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", strings.Split(url, "/")[2])
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
	return nc
}

// dig makes a tunnel.
func dig(t *testing.T, url, cookie string) *testPeer {
	t.Helper()
	get, post := dial(t, url), dial(t, url)
	require.Equal(t, 200, half(t, get, "GET", cookie))
	require.Equal(t, 200, half(t, post, "POST", cookie))
	return newTestPeer(t, tunnelledConn{get, post})
}

// TestServerTunnel plays through a tunnel, on the port of RTSP.
func TestServerTunnel(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s) + "cam"
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	p := dig(t, url, "cookie")
	p.do(200, "OPTIONS", url)
	p.do(461, "SETUP", url+"/trackID=0", "Transport", "RTP/AVP;unicast;client_port=5000-5001")
	_, r := p.play(url)
	p.starts(r.Header.Get("RTP-Info"))
	p.do(200, "GET_PARAMETER", url)
	p.do(200, "TEARDOWN", url)
	p.requireClosed()
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)

	// Each end of a tunnel is the end of both halves.
	for i := range 4 {
		p := dig(t, url, fmt.Sprint(i))
		if i%2 == 0 {
			p.play(url)
		}
		c := p.nc.(tunnelledConn)
		if i < 2 {
			require.NoError(t, c.post.Close())
		} else {
			require.NoError(t, c.Conn.Close())
		}
		require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	}

	// The end of the stream is that of the tunnel.
	p = dig(t, url, "more")
	p.play(url)
	require.NoError(t, f.pub.Close())
	p.requireClosed()
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
}

// TestServerTunnelErrors: limits T7.
func TestServerTunnelErrors(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s) + "cam"
	nc := dial(t, url)
	require.Equal(t, 200, half(t, nc, "GET", "one")) // it waits
	for _, c := range []struct {
		name, method, cookie string
		status               int
	}{
		{"the same cookie", "GET", "one", 400},
		{"no GET", "POST", "two", 400},
		{"no cookie", "GET", "", 400},
		{"a long cookie", "GET", strings.Repeat("a", 1000), 400},
		{"another method", "HEAD", "three", 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := dial(t, url)
			require.Equal(t, c.status, half(t, nc, c.method, c.cookie))
			requireClosed(t, nc)
		})
	}

	// POST on the connection of the GET; both in a tunnel; garbage for base64.
	_, err := fmt.Fprintf(nc, "POST / HTTP/1.0\r\nx-sessioncookie: one\r\n\r\n")
	require.NoError(t, err)
	requireClosed(t, nc)
	for _, rest := range []string{"GET / HTTP/1.0\r\nx-sessioncookie: x\r\n\r\n", "POST / HTTP/1.0\r\nx-sessioncookie: x\r\n\r\n"} {
		p := dig(t, url, "four")
		_, err = p.nc.Write([]byte(rest))
		require.NoError(t, err)
		p.requireClosed()
	}
	p := dig(t, url, "five")
	_, err = p.nc.(tunnelledConn).post.Write([]byte("!!!!"))
	require.NoError(t, err)
	p.requireClosed()

	// A tunnel within a session.
	feed(t, hub, "cam", testStream).write(t, 50)
	p = dialPeer(t, url)
	p.do(200, "DESCRIBE", url)
	require.Equal(t, 400, half(t, p.nc, "GET", "six"))
	p.requireClosed()
}

// TestServerHalfTunnel: half a tunnel has 10 s, and so has a whole one until PLAY.
func TestServerHalfTunnel(t *testing.T) {
	s := &Server{Handler: &source.Hub{}}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		began := time.Now()
		get := dialMemory(t, ln)
		require.Equal(t, 200, half(t, get, "GET", "cookie"))
		requireClosed(t, get)
		require.Equal(t, 10*time.Second, time.Since(began))

		began = time.Now()
		get, post := dialMemory(t, ln), dialMemory(t, ln)
		require.Equal(t, 200, half(t, get, "GET", "cookie"))
		require.Equal(t, 200, half(t, post, "POST", "cookie"))
		p := newTestPeer(t, tunnelledConn{get, post})
		p.do(200, "OPTIONS", "*")
		requireClosed(t, get)
		requireClosed(t, post)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}
