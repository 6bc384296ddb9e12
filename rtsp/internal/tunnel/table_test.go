package tunnel

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// A server echoes, in upper case, what it is told through tunnels.
type server struct {
	Table
	ln    net.Listener
	tls   *tls.Config
	until time.Duration
	all   sync.WaitGroup

	mu   sync.Mutex
	errs []error // of Get and Post
}

func (s *server) serve() {
	s.all.Go(func() {
		for {
			nc, err := s.ln.Accept()
			if err != nil {
				return
			}
			if s.tls != nil {
				nc = tls.Server(nc, s.tls)
			}
			s.all.Go(func() { s.conn(nc) })
		}
	})
}

func (s *server) stop() {
	_ = s.ln.Close()
	s.all.Wait()
}

func (s *server) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err)
}

func (s *server) conn(nc net.Conn) {
	defer nc.Close()
	var until time.Time
	if s.until > 0 {
		until = time.Now().Add(s.until)
	}
	_ = nc.SetDeadline(until)
	in := wire.NewReader(nc, 4096, wire.Limits{HTTP: true})
	item, err := in.Next()
	if err != nil {
		return
	}
	req := item.(*wire.Request)
	if req.Method == wire.MethodPost {
		err = s.Post(nc, in, req)
	} else {
		var c *Conn
		if c, err = s.Get(nc, in, req, until); err == nil {
			defer c.Close()
			if c.NetConn() != nc || c.RemoteAddr() != nc.RemoteAddr() || c.LocalAddr() != nc.LocalAddr() {
				err = errors.New("not the connection of the GET")
			}
			_ = c.SetDeadline(time.Time{})
			echo(c)
		}
	}
	s.note(err)
	var refused *wire.Error
	if errors.As(err, &refused) {
		_, _ = nc.Write((&wire.Response{Status: refused.Status, Proto: wire.HTTP10}).Append(nil))
	}
}

func echo(c *Conn) {
	b := make([]byte, 100)
	for {
		n, err := c.Read(b)
		if n > 0 {
			_, _ = c.Write([]byte(strings.ToUpper(string(b[:n]))))
		}
		if err != nil {
			return
		}
	}
}

// A client is one connection.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func newClient(t *testing.T, nc net.Conn) *client {
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{nc, t, bufio.NewReader(nc)}
}

func (c *client) say(format string, args ...any) {
	_, err := fmt.Fprintf(c, format, args...)
	require.NoError(c.t, err)
}

// status reads a response, whose body is left to be read.
func (c *client) status() int {
	res, err := http.ReadResponse(c.in, nil)
	require.NoError(c.t, err)
	if res.StatusCode == http.StatusOK {
		require.Equal(c.t, contentType, res.Header.Get("Content-Type"))
		require.Equal(c.t, "no-store", res.Header.Get("Cache-Control"))
		require.Equal(c.t, "MediaKit", res.Header.Get("Server"))
		_, err = http.ParseTime(res.Header.Get("Date"))
		require.NoError(c.t, err)
	}
	return res.StatusCode
}

func (c *client) expect(s string) {
	b := make([]byte, len(s))
	_, err := io.ReadFull(c.in, b)
	require.NoError(c.t, err)
	require.Equal(c.t, s, string(b))
}

func (c *client) expectEnd() {
	rest, err := io.ReadAll(c.in)
	require.NoError(c.t, err)
	require.Empty(c.t, rest)
}

func request(method, cookie string) string {
	return method + " /live/cam HTTP/1.0\r\nx-sessioncookie: " + cookie + "\r\nContent-Length: 32767\r\n\r\n"
}

// startTCP starts a server on loopback.
func startTCP(t *testing.T, config *tls.Config) (s *server, dial func(from string) *client) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s = &server{ln: ln, tls: config, Table: Table{Server: "MediaKit"}}
	s.serve()
	t.Cleanup(s.stop)
	return s, func(from string) *client {
		d := net.Dialer{}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		nc, err := d.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		if config != nil {
			nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		}
		return newClient(t, nc)
	}
}

func testTLS(t *testing.T) *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	return &tls.Config{Certificates: s.TLS.Certificates}
}

func TestTunnel(t *testing.T) {
	for name, config := range map[string]*tls.Config{"TCP": nil, "TLS": testTLS(t)} {
		t.Run(name, func(t *testing.T) {
			s, dial := startTCP(t, config)
			get, post := dial(""), dial("")
			get.say("%s", request("GET", "abc"))
			require.Equal(t, 200, get.status())
			post.say("%s%s", request("POST", "abc"), encode("hello ")[:5]) // the rest comes by itself
			require.Equal(t, 200, post.status())
			post.say("%s", encode("hello ")[5:]+encode("w")+"\r\n"+encode("orld"))
			get.expect("HELLO WORLD")

			// The cookie is free again.
			get2, post2 := dial(""), dial("")
			get2.say("%s", request("GET", "abc"))
			require.Equal(t, 200, get2.status())
			post2.say("%s", request("POST", "abc")+encode("two"))
			get2.expect("TWO")

			// Whichever ends first, the others end, too.
			require.NoError(t, get.Close())
			require.Equal(t, 200, post2.status())
			post.expectEnd()
			require.NoError(t, post2.Close())
			get2.expectEnd()
			s.stop()
			require.Equal(t, []error{nil, nil, nil, nil}, s.errs)
			require.Empty(t, s.waits)
		})
	}
}

// TestSpeakingOnBoth: what comes on the GET's connection ends a tunnel.
func TestSpeakingOnBoth(t *testing.T) {
	s, dial := startTCP(t, nil)
	get, post := dial(""), dial("")
	get.say("%s", request("GET", "abc"))
	require.Equal(t, 200, get.status())
	post.say("%s", request("POST", "abc")+encode("a"))
	get.expect("A")
	get.say("x")
	get.expectEnd()
	s.stop()
}

// TestGarbageInTunnel: what is not base64 ends a tunnel.
func TestGarbageInTunnel(t *testing.T) {
	_, dial := startTCP(t, nil)
	get, post := dial(""), dial("")
	get.say("%s", request("GET", "abc"))
	require.Equal(t, 200, get.status())
	post.say("%s", request("POST", "abc")+encode("abc")+"\x00")
	get.expect("ABC")
	get.expectEnd()
	require.Equal(t, 200, post.status())
	post.expectEnd()
}

// TestRefused: row T7.
func TestRefused(t *testing.T) {
	s, dial := startTCP(t, nil)
	s.Max = 2
	refused := func(c *client, req string, status int) {
		c.say("%s", req)
		require.Equal(t, status, c.status())
		c.expectEnd()
	}
	refused(dial(""), "GET / HTTP/1.0\r\n\r\n", 400)
	refused(dial(""), "POST / HTTP/1.0\r\n\r\n", 400)
	refused(dial(""), request("GET", ""), 400)
	refused(dial(""), request("GET", "a\r\nX-SessionCookie: b"), 400)
	refused(dial(""), request("GET", strings.Repeat("x", 257)), 400)
	refused(dial(""), request("POST", "nobody"), 400)

	get := dial("")
	get.say("%s", request("GET", "abc"))
	require.Equal(t, 200, get.status())
	refused(dial(""), request("GET", "abc"), 400)
	refused(dial("127.0.0.2"), request("POST", "abc"), 400)

	other := dial("")
	other.say("%s", request("GET", "other"))
	require.Equal(t, 200, other.status())
	refused(dial(""), request("GET", "third"), 503)

	// Its own connection is not the other half, which makes room.
	refused(other, request("POST", "other")+encode("x"), 400)
	third := dial("")
	third.say("%s", request("GET", "third"))
	require.Equal(t, 200, third.status())

	// Who was there first gets what he came for.
	post := dial("")
	post.say("%s", request("POST", "abc")+encode("x"))
	get.expect("X")

	require.NoError(t, third.Close()) // a half that goes makes room, too
	require.NoError(t, get.Close())
	s.stop()
	require.Empty(t, s.waits)
}

// TestMost: row T7. No more than 1,024 wait.
func TestMost(t *testing.T) {
	var table Table
	for i := range 1024 {
		require.NoError(t, table.add(fmt.Sprint(i), &half{}))
	}
	err := table.add("one more", &half{})
	var refused *wire.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 503, refused.Status)
	require.Len(t, table.waits, 1024)
}

// TestHalves: row T7. A half is closed after 10 s, or when the connection's time
// is over.
func TestHalves(t *testing.T) {
	for _, c := range []struct{ until, timeout, want time.Duration }{
		{0, 0, 10 * time.Second},
		{time.Minute, 0, 10 * time.Second},
		{3 * time.Second, 0, 3 * time.Second},
		{0, 5 * time.Second, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ln := memnet.Listen(64 << 10)
			s := &server{ln: ln, until: c.until, Table: Table{Server: "MediaKit", Timeout: c.timeout}}
			s.serve()
			dial := func() *client {
				nc, err := ln.Dial(context.Background())
				require.NoError(t, err)
				return newClient(t, nc)
			}
			began := time.Now()
			get := dial()
			get.say("%s", request("GET", "abc"))
			require.Equal(t, 200, get.status())
			get.expectEnd()
			require.Equal(t, c.want, time.Since(began))

			post := dial() // too late
			post.say("%s", request("POST", "abc"))
			require.Equal(t, 400, post.status())
			post.expectEnd()

			// One that was made lives on.
			get, post = dial(), dial()
			_ = get.SetDeadline(time.Time{})
			_ = post.SetDeadline(time.Time{})
			get.say("%s", request("GET", "abc"))
			require.Equal(t, 200, get.status())
			time.Sleep(c.want - time.Nanosecond)
			post.say("%s", request("POST", "abc"))
			require.Equal(t, 200, post.status())
			time.Sleep(time.Hour)
			post.say("%s", encode("abc"))
			get.expect("ABC")
			require.NoError(t, get.Close())
			post.expectEnd()
			s.stop()
			require.ErrorIs(t, s.errs[0], ErrHalf)
		})
	}
}

// TestCookieFlood: many at once, of which some meet, leave nothing.
func TestCookieFlood(t *testing.T) {
	s, dial := startTCP(t, nil)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			c := dial("")
			defer c.Close()
			_, _ = fmt.Fprint(c, request([]string{"GET", "POST"}[i%2], fmt.Sprint(i/2%20)))
			_, _ = c.in.ReadByte()
		})
	}
	all.Wait()
	s.stop()
	require.Empty(t, s.waits)
	require.Len(t, s.errs, 200)
}
