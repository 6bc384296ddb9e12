package livehttp

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	neturl "net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// textFormat writes a line for each frame, so that a test can read it.
var textFormat = source.Format{Name: "text", New: func([]*codec.Track) (source.Muxer, error) { return textMuxer{}, nil }}

type textMuxer struct{}

func (textMuxer) Header() []byte { return []byte("header\n") }

func (textMuxer) Append(dst []source.Packet, f *codec.Frame) ([]source.Packet, error) {
	line := []byte(fmt.Sprintf("frame %d\n", f.DTS.Milliseconds()))
	return append(dst, source.Packet{Key: true, DTS: f.DTS, Wire: line, Framed: frameBinary(line)}), nil
}

var audio = codec.NewG711Track(1, codec.PCMA, 0, 0)

// A site is an Output on a server.
type site struct {
	t   *testing.T
	hub *source.Hub
	out *Output
	opt Options
	url string
	srv *httptest.Server
}

// newSite starts a server. wrap may be nil.
func newSite(t *testing.T, configure func(*site), wrap func(http.Handler) http.Handler) *site {
	s := &site{t: t, hub: &source.Hub{}, out: &Output{}}
	s.opt = Options{Handler: s.hub, Format: textFormat, Name: "text", ContentType: "text/live", Schema: "test"}
	s.srv = httptest.NewUnstartedServer(nil)
	if configure != nil {
		configure(s)
	}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := source.ParseKey("", r.URL.Path)
		s.out.Serve(w, r, key, err, &s.opt)
	})
	if wrap != nil {
		h = wrap(h)
	}
	s.srv.Config.Handler = h
	s.srv.Config.ErrorLog = nil
	if s.srv.TLS != nil || s.srv.EnableHTTP2 {
		s.srv.StartTLS()
	} else {
		s.srv.Start()
	}
	s.url = s.srv.URL
	t.Cleanup(func() {
		require.NoError(t, s.hub.Close())
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, s.out.Shutdown(ctx))
		s.srv.CloseClientConnections()
		s.srv.Client().CloseIdleConnections()
		s.srv.Close()
	})
	return s
}

// publish begins the stream /live/t with frames at 0 and 20 ms.
func (s *site) publish() source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks([]*codec.Track{audio}, true))
	write(s.t, pub, 0)
	write(s.t, pub, 20)
	return pub
}

func write(t *testing.T, pub source.Publication, ms int) {
	t.Helper()
	dts := time.Duration(ms) * time.Millisecond
	require.NoError(t, pub.WriteFrame(t.Context(), &codec.Frame{Track: audio, DTS: dts, PTS: dts, Flags: codec.FlagKey, Data: []byte{1}}))
}

// A peer is a client that sees every byte.
type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

// dial connects and sends a request with these lines, which end in an empty one.
func (s *site) dial(lines ...string) *peer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(s.t, err)
	return &peer{s.t, conn, bufio.NewReader(conn)}
}

func (p *peer) line() string {
	p.t.Helper()
	s, err := p.r.ReadString('\n')
	require.NoError(p.t, err)
	return strings.TrimRight(s, "\r\n")
}

// head reads a response header.
func (p *peer) head() (status string, h map[string]string) {
	p.t.Helper()
	status, h = p.line(), map[string]string{}
	for {
		line := p.line()
		if line == "" {
			return status, h
		}
		name, value, _ := strings.Cut(line, ": ")
		h[name] = value
	}
}

// frame reads a WebSocket frame of the server.
func (p *peer) frame() (opcode byte, data string) {
	p.t.Helper()
	var head [2]byte
	_, err := io.ReadFull(p.r, head[:])
	require.NoError(p.t, err)
	require.Zero(p.t, head[1]&bitMasked)
	n := int(head[1])
	require.Less(p.t, n, len16)
	b := make([]byte, n)
	_, err = io.ReadFull(p.r, b)
	require.NoError(p.t, err)
	return head[0] & 15, string(b)
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	_, err := p.conn.Write(b)
	require.NoError(p.t, err)
}

// eof reads to the end of the connection.
func (p *peer) eof() {
	p.t.Helper()
	_, err := io.Copy(io.Discard, p.r)
	require.NoError(p.t, err)
}

const upgradeKey = "dGhlIHNhbXBsZSBub25jZQ=="

// ws are the lines of an upgrade.
func ws(path string, more ...string) []string {
	return append([]string{
		"GET " + path + " HTTP/1.1", "Host: x", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + upgradeKey,
	}, more...)
}

// expectClose reads up to a CLOSE frame.
func (p *peer) expectClose(code int, reason string) {
	p.t.Helper()
	for {
		if op, data := p.frame(); op == opClose {
			require.Equal(p.t, code, int(data[0])<<8|int(data[1]))
			require.Equal(p.t, reason, data[2:])
			return
		}
	}
}

func TestHTTP(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/1.0"} {
		t.Run(proto, func(t *testing.T) {
			s := newSite(t, nil, nil)
			pub := s.publish()
			p := s.dial("GET /live/t?a=b HTTP/1.1"[:len("GET /live/t?a=b ")]+proto, "Host: x", "Origin: http://page")
			status, h := p.head()
			require.Equal(t, proto+" 200 OK", status)
			require.NotEmpty(t, h["Date"])
			delete(h, "Date")
			require.Equal(t, map[string]string{
				"Content-Type": "text/live", "Cache-Control": "no-store", "Connection": "close", "Vary": "Origin",
				"Access-Control-Allow-Origin": "http://page", "Access-Control-Allow-Credentials": "true",
			}, h)
			require.Equal(t, "header", p.line())
			require.Equal(t, "frame 20", p.line(), "the newest key frame")
			write(t, pub, 40)
			require.Equal(t, "frame 40", p.line())
			require.NoError(t, pub.Close())
			_, err := p.r.ReadByte()
			require.Equal(t, io.EOF, err)
			require.NoError(t, p.conn.Close())
			waitViewers(t, s.out, 0)
		})
	}
}

// waitViewers waits until there are n.
func waitViewers(t *testing.T, o *Output, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return o.Viewers() == n }, 10*time.Second, time.Millisecond)
}

// A viewer who leaves is noticed, whether or not there is anything to write.
func TestViewerLeaves(t *testing.T) {
	for name, lines := range map[string][]string{
		"HTTP": {"GET /live/t HTTP/1.1", "Host: x"}, "WebSocket": ws("/live/t"),
	} {
		t.Run(name, func(t *testing.T) {
			var reason source.SessionStats
			ended := make(chan struct{})
			s := newSite(t, func(s *site) {
				s.opt.Handler = playFunc(func(ctx context.Context, req *source.Request) (source.Reader, error) {
					req.OnEnd(func(st source.SessionStats) { reason = st; close(ended) })
					return s.hub.Play(ctx, req)
				})
			}, nil)
			s.publish()
			p := s.dial(lines...)
			p.head()
			require.NoError(t, p.conn.Close())
			<-ended
			require.Error(t, reason.Err)
			require.Equal(t, "test", reason.Schema)
			waitViewers(t, s.out, 0)
		})
	}
}

// playFunc is a Handler.
type playFunc func(context.Context, *source.Request) (source.Reader, error)

func (f playFunc) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	return f(ctx, r)
}

func (playFunc) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrUnsupported
}

func TestRequest(t *testing.T) {
	for _, c := range []struct {
		tls, upgrade bool
		protocol     string
	}{{false, false, "http-text"}, {false, true, "ws-text"}, {true, false, "https-text"}, {true, true, "wss-text"}} {
		t.Run(c.protocol, func(t *testing.T) {
			got := make(chan *source.Request, 1)
			s := newSite(t, func(s *site) {
				s.srv.EnableHTTP2 = false
				s.opt.Viewer.Slow = source.SlowCut
				s.opt.Handler = playFunc(func(_ context.Context, req *source.Request) (source.Reader, error) {
					got <- req
					return nil, source.ErrNotFound
				})
			}, nil)
			if c.tls {
				s = newSite(t, func(o *site) { o.opt = s.opt; o.srv.EnableHTTP2 = true }, nil)
			}
			req, err := http.NewRequest(http.MethodGet, s.url+"/live/t/2?a=b&c", nil)
			require.NoError(t, err)
			req.Header.Set("X-Test", "y")
			if c.upgrade {
				req.Header.Set("Connection", "Upgrade")
				req.Header.Set("Upgrade", "websocket")
				req.Header.Set("Sec-WebSocket-Version", "13")
				req.Header.Set("Sec-WebSocket-Key", upgradeKey)
			}
			client := s.srv.Client()
			if c.upgrade && c.tls {
				tr := client.Transport.(*http.Transport).Clone()
				tr.ForceAttemptHTTP2, tr.TLSNextProto = false, nil
				tr.Protocols = new(http.Protocols)
				tr.Protocols.SetHTTP1(true)
				tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
				client = &http.Client{Transport: tr}
			}
			resp, err := client.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			r := <-got
			require.Equal(t, c.protocol, r.Protocol)
			require.Equal(t, "test", r.Schema)
			require.Equal(t, source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t/2"}, r.Key)
			require.Equal(t, "a=b&c", r.Params)
			require.Equal(t, "y", r.Header.Get("X-Test"))
			require.Equal(t, c.tls, r.TLS != nil)
			require.IsType(t, &net.TCPAddr{}, r.Remote)
			require.Equal(t, s.srv.Listener.Addr().String(), r.Local.String())
			require.Equal(t, source.SlowCut, r.Viewer.Slow)
			require.NotEmpty(t, r.ID)
		})
	}
}

var refusals = []struct {
	err    error
	status int
	text   string
	code   int // of the CLOSE frame
}{
	{source.ErrNotFound, 404, "Not Found", closePolicy},
	{source.ErrBadKey, 404, "Not Found", closePolicy},
	{source.ErrUnauthorized, 401, "Unauthorized", closePolicy},
	{source.Refuse(source.ErrUnauthorized, "no token"), 401, "no token", closePolicy},
	{source.Refuse(source.ErrForbidden, "not for you"), 403, "not for you", closePolicy},
	{source.ErrLimit, 503, "Service Unavailable", closeTryLater},
	{source.ErrClosed, 503, "Service Unavailable", closeTryLater},
	{source.ErrUnsupported, 406, "Not Acceptable", closePolicy},
	{source.ErrTimeout, 504, "Gateway Timeout", closeInternal},
	{errors.New("secret details"), 500, "Internal Server Error", closeInternal},
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.err.Error(), func(t *testing.T) {
			s := newSite(t, func(s *site) {
				s.opt.Handler = playFunc(func(context.Context, *source.Request) (source.Reader, error) { return nil, c.err })
			}, nil)
			resp, err := s.srv.Client().Get(s.url + "/live/t")
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.text+"\n", string(body))
			require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
			require.Empty(t, resp.Header.Get("Www-Authenticate"))

			p := s.dial(ws("/live/t")...)
			status, _ := p.head()
			require.Equal(t, "HTTP/1.1 101 Switching Protocols", status)
			p.expectClose(c.code, fmt.Sprintf("%d %s", c.status, c.text))
			p.send(clientFrame(fin|opClose, []byte{3, 0xe8}))
			p.eof()
			waitViewers(t, s.out, 0)
		})
	}
}

func TestBadNames(t *testing.T) {
	s := newSite(t, nil, nil)
	for _, path := range []string{"/", "/one", "/live/../t", "/live/%00", "/live/" + strings.Repeat("x", 300)} {
		p := s.dial("GET "+path+" HTTP/1.1", "Host: x")
		status, _ := p.head()
		require.Equal(t, "HTTP/1.1 404 Not Found", status, path)
	}
}

func TestWithoutHandler(t *testing.T) {
	s := newSite(t, func(s *site) { s.opt.Handler = nil }, nil)
	status, _ := s.dial("GET /live/t HTTP/1.1", "Host: x").head()
	require.Equal(t, "HTTP/1.1 404 Not Found", status)
}

func TestMethods(t *testing.T) {
	s := newSite(t, nil, nil)
	for _, c := range []struct {
		method, status, allow string
	}{
		{"HEAD", "200 OK", ""}, {"OPTIONS", "200 OK", methods}, {"POST", "405 Method Not Allowed", methods}, {"PUT", "405 Method Not Allowed", methods}, {"BREW", "405 Method Not Allowed", methods},
	} {
		p := s.dial(c.method+" /live/t HTTP/1.1", "Host: x", "Content-Length: 0", "Origin: http://page", "Access-Control-Request-Headers: x-token")
		status, h := p.head()
		require.Equal(t, "HTTP/1.1 "+c.status, status)
		require.Equal(t, c.allow, h["Allow"])
		require.Equal(t, "http://page", h["Access-Control-Allow-Origin"])
		switch c.method {
		case "HEAD":
			require.Equal(t, "text/live", h["Content-Type"])
		case "OPTIONS":
			require.Equal(t, methods, h["Access-Control-Allow-Methods"])
			require.Equal(t, "x-token", h["Access-Control-Allow-Headers"])
		}
	}
}

func TestAllowOrigin(t *testing.T) {
	s := newSite(t, func(s *site) {
		s.opt.AllowOrigin = func(origin string) bool { return origin == "http://friend" }
	}, nil)
	s.publish()
	for origin, want := range map[string]string{"http://friend": "http://friend", "http://foe": ""} {
		_, h := s.dial("GET /live/t HTTP/1.1", "Host: x", "Origin: "+origin).head()
		require.Equal(t, want, h["Access-Control-Allow-Origin"])
		require.Equal(t, "Origin", h["Vary"])
	}
	status, _ := s.dial(ws("/live/t", "Origin: http://foe")...).head()
	require.Equal(t, "HTTP/1.1 403 Forbidden", status)
	status, _ = s.dial(ws("/live/t", "Origin: http://friend")...).head()
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", status)
}

// Who waits for a stream gets it when it comes.
func TestParked(t *testing.T) {
	s := newSite(t, nil, nil)
	h, w := s.dial("GET /live/t HTTP/1.1", "Host: x"), s.dial(ws("/live/t")...)
	w.head()
	w.send(clientFrame(fin|opPing, []byte("there?")))
	op, data := w.frame()
	require.Equal(t, byte(opPong), op, "while it waits")
	require.Equal(t, "there?", data)
	waitViewers(t, s.out, 2)
	s.publish()
	h.head()
	require.Equal(t, "header", h.line())
	op, data = w.frame()
	require.Equal(t, byte(opBinary), op)
	require.Equal(t, "header\n", data)
}

// The wait ends when the peer goes.
func TestParkedLeaves(t *testing.T) {
	for name, lines := range map[string][]string{
		"HTTP": {"GET /live/t HTTP/1.1", "Host: x"}, "WebSocket": ws("/live/t"), "HTTP/1.0": {"GET /live/t HTTP/1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			asked, answered := make(chan struct{}), make(chan error, 1)
			s := newSite(t, func(s *site) {
				s.opt.Handler = playFunc(func(ctx context.Context, _ *source.Request) (source.Reader, error) {
					close(asked)
					<-ctx.Done()
					answered <- ctx.Err()
					return nil, ctx.Err()
				})
			}, nil)
			p := s.dial(lines...)
			<-asked
			require.NoError(t, p.conn.Close())
			require.ErrorIs(t, <-answered, context.Canceled)
			waitViewers(t, s.out, 0)
		})
	}
}

func TestWebSocket(t *testing.T) {
	s := newSite(t, nil, nil)
	pub := s.publish()
	p := s.dial(ws("/live/t", "Sec-WebSocket-Protocol: first, second", "Origin: http://page")...)
	status, h := p.head()
	require.Equal(t, "HTTP/1.1 101 Switching Protocols", status)
	require.Equal(t, map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-Websocket-Protocol": "first",
		"Vary": "Origin", "Access-Control-Allow-Origin": "http://page", "Access-Control-Allow-Credentials": "true",
	}, h)
	for _, want := range []string{"header\n", "frame 20\n"} {
		op, data := p.frame()
		require.Equal(t, byte(opBinary), op)
		require.Equal(t, want, data)
	}
	p.send(clientFrame(fin|opText, []byte("players talk, nobody listens")))
	p.send(clientFrame(fin|opPing, []byte("x")))
	op, data := p.frame()
	require.Equal(t, byte(opPong), op)
	require.Equal(t, "x", data)
	write(t, pub, 40)
	_, data = p.frame()
	require.Equal(t, "frame 40\n", data)
	require.NoError(t, pub.Close())
	p.expectClose(closeNormal, "end of stream")
	p.send(clientFrame(fin|opClose, []byte{3, 0xe8}))
	p.eof()
	waitViewers(t, s.out, 0)
}

// The handshake may be followed at once by frames.
func TestWebSocketEarlyFrames(t *testing.T) {
	s := newSite(t, nil, nil)
	s.publish()
	conn, err := net.Dial("tcp", s.srv.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	p := &peer{t, conn, bufio.NewReader(conn)}
	p.send(append([]byte(strings.Join(ws("/live/t"), "\r\n")+"\r\n\r\n"), clientFrame(fin|opPing, []byte("early"))...))
	p.head()
	for {
		if op, data := p.frame(); op == opPong {
			require.Equal(t, "early", data)
			return
		}
	}
}

func TestWebSocketEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		send []byte
		code int
	}{
		{"goodbye", clientFrame(fin|opClose, []byte{3, 0xe9}), 1001},
		{"not masked", []byte{fin | opText, 0}, closeProtocol},
		{"too big", clientFrame(fin|opBinary, make([]byte, maxMessage+1)), closeTooBig},
	} {
		for _, parked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, parked %v", c.name, parked), func(t *testing.T) {
				s := newSite(t, nil, nil)
				if !parked {
					s.publish()
				}
				p := s.dial(ws("/live/t")...)
				p.head()
				go p.conn.Write(c.send)
				for {
					op, data := p.frame()
					if op == opClose {
						require.Equal(t, c.code, int(data[0])<<8|int(data[1]))
						break
					}
				}
				_, _ = io.Copy(io.Discard, p.r)
				waitViewers(t, s.out, 0)
			})
		}
	}
}

// Of a flood of pings ten a second are answered, and the stream goes on.
func TestWebSocketPingFlood(t *testing.T) {
	s := newSite(t, nil, nil)
	pub := s.publish()
	p := s.dial(ws("/live/t")...)
	p.head()
	start := time.Now()
	p.send(bytesRepeat(clientFrame(fin|opPing, nil), 1000))
	p.send(clientFrame(fin|opClose, []byte{3, 0xe8}))
	pongs := 0
	for {
		op, _ := p.frame()
		if op == opClose {
			break
		}
		if op == opPong {
			pongs++
		}
	}
	require.GreaterOrEqual(t, pongs, 1)
	require.LessOrEqual(t, pongs, maxPings*(int(time.Since(start)/time.Second)+1))
	write(t, pub, 40)
}

func bytesRepeat(b []byte, n int) (all []byte) {
	for range n {
		all = append(all, b...)
	}
	return all
}

func TestWebSocketHandshake(t *testing.T) {
	for _, c := range []struct {
		name   string
		change map[string]string // line to replace, by its beginning
		status string
	}{
		{"version 8", map[string]string{"Sec-WebSocket-Version": "Sec-WebSocket-Version: 8"}, "426 Upgrade Required"},
		{"short key", map[string]string{"Sec-WebSocket-Key": "Sec-WebSocket-Key: YQ=="}, "400 Bad Request"},
		{"key that is not base64", map[string]string{"Sec-WebSocket-Key": "Sec-WebSocket-Key: ?"}, "400 Bad Request"},
		{"no upgrade", map[string]string{"Upgrade": "X: y"}, "400 Bad Request"},
		{"no connection", map[string]string{"Connection": "Connection: close"}, "400 Bad Request"},
		{"HTTP/1.0", map[string]string{"GET": "GET /live/t HTTP/1.0"}, "400 Bad Request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil, nil)
			lines := ws("/live/t")
			for i, line := range lines {
				for start, other := range c.change {
					if strings.HasPrefix(line, start) {
						lines[i] = other
					}
				}
			}
			status, h := s.dial(lines...).head()
			require.Equal(t, c.status, status[len("HTTP/1.1 "):])
			require.Equal(t, "13", h["Sec-Websocket-Version"])
			waitViewers(t, s.out, 0)
		})
	}
}

func TestChallenge(t *testing.T) {
	ha1 := md5.Sum([]byte("eve:the realm:secret"))
	for _, c := range []struct {
		name      string
		challenge *source.Challenge
		user      string
		password  string
		status    int
		header    string
	}{
		{"asked", &source.Challenge{Realm: `the "realm"`, Basic: true}, "", "", 401, `Basic realm="the realm", charset="UTF-8"`},
		{"digest only", &source.Challenge{Realm: "the realm"}, "eve", "secret", 401, ""},
		{"right", &source.Challenge{Realm: "the realm", Basic: true, Secret: secret("secret", false)}, "eve", "secret", 200, ""},
		{"right, hashed", &source.Challenge{Realm: "the realm", Basic: true, Secret: secret(strings.ToUpper(hex.EncodeToString(ha1[:])), true)}, "eve", "secret", 200, ""},
		{"wrong", &source.Challenge{Realm: "the realm", Basic: true, Secret: secret("secret", false)}, "eve", "Secret", 401, `Basic realm="the realm", charset="UTF-8"`},
		{"unknown user", &source.Challenge{Realm: "the realm", Basic: true, Secret: secret("secret", false)}, "bob", "", 401, `Basic realm="the realm", charset="UTF-8"`},
		{"no secrets", &source.Challenge{Realm: "the realm", Basic: true}, "eve", "", 401, `Basic realm="the realm", charset="UTF-8"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, func(s *site) {
				s.opt.Handler = playFunc(func(ctx context.Context, req *source.Request) (source.Reader, error) {
					if req.User == "eve" {
						return s.hub.Play(ctx, req)
					}
					return nil, c.challenge
				})
			}, nil)
			s.publish()
			req, err := http.NewRequest(http.MethodGet, s.url+"/live/t", nil)
			require.NoError(t, err)
			if c.user != "" {
				req.SetBasicAuth(c.user, c.password)
			}
			resp, err := s.srv.Client().Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.header, resp.Header.Get("Www-Authenticate"))
		})
	}
}

func secret(s string, hashed bool) func(context.Context, string, bool) (string, bool, error) {
	return func(_ context.Context, user string, _ bool) (string, bool, error) {
		if user != "eve" {
			return "", false, source.ErrNotFound
		}
		return s, hashed, nil
	}
}

func TestMaxViewers(t *testing.T) {
	s := newSite(t, func(s *site) { s.opt.MaxViewers = 1 }, nil)
	s.publish()
	first := s.dial("GET /live/t HTTP/1.1", "Host: x")
	first.head()
	status, _ := s.dial("GET /live/t HTTP/1.1", "Host: x").head()
	require.Equal(t, "HTTP/1.1 503 Service Unavailable", status)
	require.NoError(t, first.conn.Close())
	waitViewers(t, s.out, 0)
	status, _ = s.dial("GET /live/t HTTP/1.1", "Host: x").head()
	require.Equal(t, "HTTP/1.1 200 OK", status)
}

func TestShutdown(t *testing.T) {
	s := newSite(t, nil, nil)
	s.publish()
	lone := []string{"GET /live/none HTTP/1.1", "Host: x"}
	h, w := s.dial("GET /live/t HTTP/1.1", "Host: x"), s.dial(ws("/live/t")...)
	parked, parkedWS := s.dial(lone...), s.dial(ws("/live/none")...)
	h.head()
	h.line()
	w.head()
	w.frame()
	parkedWS.head()
	waitViewers(t, s.out, 4)

	done := make(chan error)
	go func() { done <- s.out.Shutdown(t.Context()) }()
	status, _ := parked.head()
	require.Equal(t, "HTTP/1.1 503 Service Unavailable", status)
	parkedWS.expectClose(closeGoingAway, "503 server is shutting down")
	w.expectClose(closeGoingAway, "server is shutting down")
	w.send(clientFrame(fin|opClose, []byte{3, 0xe9}))
	_, _ = io.Copy(io.Discard, w.r)
	rest, _ := io.ReadAll(h.r)
	require.True(t, len(rest) == 0 || rest[len(rest)-1] == '\n', "ends at the end of a packet")
	require.NoError(t, <-done)

	status, _ = s.dial("GET /live/t HTTP/1.1", "Host: x").head()
	require.Equal(t, "HTTP/1.1 503 Service Unavailable", status)
	require.NoError(t, s.out.Shutdown(t.Context()), "again")
}

// Shutdown does not wait for ever.
func TestShutdownTimeout(t *testing.T) {
	release := make(chan struct{})
	s := newSite(t, func(s *site) {
		s.opt.Handler = playFunc(func(context.Context, *source.Request) (source.Reader, error) {
			<-release
			return nil, source.ErrNotFound
		})
	}, nil)
	s.dial("GET /live/t HTTP/1.1", "Host: x")
	waitViewers(t, s.out, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	require.ErrorIs(t, s.out.Shutdown(ctx), context.Canceled)
	require.Zero(t, s.out.Viewers())
}

// Where a connection cannot be hijacked the stream goes through the
// ResponseWriter: HTTP/2, and middleware that hides what it wraps.
func TestWithoutHijack(t *testing.T) {
	for _, name := range []string{"HTTP/2", "hidden"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(s *site) { s.srv.EnableHTTP2 = name == "HTTP/2" }, func(h http.Handler) http.Handler {
				if name == "HTTP/2" {
					return h
				}
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					h.ServeHTTP(struct {
						http.ResponseWriter
						http.Flusher
					}{w, w.(http.Flusher)}, r)
				})
			})
			pub := s.publish()
			get := func() (*http.Response, *bufio.Reader) {
				resp, err := s.srv.Client().Get(s.url + "/live/t")
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, "text/live", resp.Header.Get("Content-Type"))
				r := bufio.NewReader(resp.Body)
				for _, want := range []string{"header\n", "frame "} {
					line, err := r.ReadString('\n')
					require.NoError(t, err)
					require.True(t, strings.HasPrefix(line, want))
				}
				return resp, r
			}
			resp, r := get()
			if name == "HTTP/2" {
				require.Equal(t, 2, resp.ProtoMajor)
			}
			write(t, pub, 40)
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "frame 40\n", line)

			leaving, _ := get()
			waitViewers(t, s.out, 2)
			require.NoError(t, leaving.Body.Close())
			waitViewers(t, s.out, 1)

			require.NoError(t, pub.Close())
			_, err = r.ReadByte()
			require.Equal(t, io.EOF, err)
			waitViewers(t, s.out, 0)
			require.NoError(t, resp.Body.Close())

			s.publish()
			resp, r = get()
			require.NoError(t, s.out.Shutdown(t.Context()))
			_, err = io.Copy(io.Discard, r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		})
	}
}

// A panic costs its own session.
func TestPanic(t *testing.T) {
	for name, lines := range map[string][]string{"HTTP": {"GET /live/t HTTP/1.1", "Host: x"}, "WebSocket": ws("/live/t")} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(s *site) {
				s.opt.Handler = playFunc(func(context.Context, *source.Request) (source.Reader, error) { panic("test") })
			}, nil)
			p := s.dial(lines...)
			_, _ = io.Copy(io.Discard, p.r)
			waitViewers(t, s.out, 0)
			require.Equal(t, uint64(1), s.out.Panics())
		})
	}
}

// A line for each session, not more than ten a second of a kind, and no secrets.
func TestLog(t *testing.T) {
	var b safeBuffer
	s := newSite(t, func(s *site) { s.opt.Logger = slog.New(slog.NewTextHandler(&b, nil)); s.hub.MaxWait = -1 }, nil)
	s.publish()
	p := s.dial("GET /live/t?token=secret HTTP/1.1", "Host: x", "Authorization: Basic secret")
	p.head()
	require.NoError(t, p.conn.Close())
	waitViewers(t, s.out, 0)
	require.Regexp(t, `level=INFO msg="text: playing ended" reason=EOF stream=live/t id=\w+ protocol=http-text remote=127`, b.String())
	start := time.Now()
	for range 100 {
		s.dial("GET /live/none?token=secret HTTP/1.1", "Host: x").head()
	}
	lines := strings.Count(b.String(), `level=WARN msg="text: refused"`)
	require.GreaterOrEqual(t, lines, 10)
	require.LessOrEqual(t, lines, 10*(2+int(time.Since(start)/time.Second)))
	require.NotContains(t, b.String(), "secret")
}

// A safeBuffer is written by many goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestStreamPath(t *testing.T) {
	for url, want := range map[string]string{
		"/live/t.live.ts": "/live/t", "/live/t.LIVE.Ts": "/live/t", "/live/t.ts": "/live/t", "/live/t?schema=ts": "/live/t",
		"/live/t": "", "/live/t?schema=rtmp": "", "/live/t.live.tsx": "", ".ts": "",
	} {
		r := &http.Request{URL: &neturl.URL{}}
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(url, "?")
		path, ok := StreamPath(r, "ts", ".live.ts", ".ts")
		require.Equal(t, want != "", ok, url)
		if ok {
			require.Equal(t, want, path)
		}
	}
}

// Connections come and go without a trace; goleak looks at the goroutines.
func TestManyConnections(t *testing.T) {
	s := newSite(t, nil, nil)
	s.publish()
	for range 200 {
		p := s.dial("GET /live/t HTTP/1.1", "Host: x")
		q := s.dial(ws("/live/t")...)
		p.head()
		q.head()
		require.NoError(t, p.conn.Close())
		require.NoError(t, q.conn.Close())
	}
	waitViewers(t, s.out, 0)
	require.Zero(t, s.out.Panics())
}
