package rtsp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A stage is how far an attacker gets before it attacks.
type stage int

const (
	fresh stage = iota
	described
	setUp
	playing
	playingUDP
	announced
	recording
)

var stages = map[stage]string{
	fresh: "at first", described: "after DESCRIBE", setUp: "after SETUP", playing: "playing", playingUDP: "playing over UDP",
	announced: "after ANNOUNCE", recording: "recording",
}

// Stages of which several attacks take no notice.
var (
	viewing  = []stage{playing, playingUDP} // packets mean nothing there
	tolerant = []stage{recording}           // what is none of RTSP may be a camera's
)

// asked returns a request with these header lines, which end with "\r\n".
func asked(method, headers string) string {
	return method + " rtsp://h/live/bystander RTSP/1.0\r\nCSeq: 99\r\n" + headers + "\r\n"
}

// attacks are what no peer may get away with: each ends the attacker's
// connection, wherever it is.
var attacks = []struct {
	row, name string
	wire      string
	status    int     // what it is told before; 0: anything
	spares    []stage // stages in which the server takes no notice
}{
	{"T1", "endless line", strings.Repeat("x", 8200), 414, tolerant},
	{"T1", "endless URL", "OPTIONS rtsp://" + strings.Repeat("x", 8200) + " RTSP/1.0\r\n\r\n", 414, tolerant},
	{"T1", "giant header", asked("OPTIONS", "A: "+strings.Repeat("x", 8200)+"\r\n"), 431, nil},
	{"T1", "65 headers", asked("OPTIONS", strings.Repeat("A: b\r\n", 64)), 431, nil},
	{"T1", "10,000 headers", asked("OPTIONS", strings.Repeat("A: b\r\n", 10_000)), 0, nil},
	{"T1", "64 KiB of headers", asked("OPTIONS", strings.Repeat("A: "+strings.Repeat("x", 8000)+"\r\n", 9)), 0, nil},
	{"T1", "NUL in a header", asked("OPTIONS", "A: \x00\r\n"), 400, nil},
	{"T1", "control byte in a header", asked("OPTIONS", "A: \x1b[2J\r\n"), 400, nil},
	{"T1", "no header", asked("OPTIONS", "nonsense\r\n"), 400, nil},
	{"T1", "NUL first", "\x00", 400, tolerant},
	{"T1", "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, tolerant},
	{"T1", "HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, nil},
	{"T1", "a version of tomorrow", "OPTIONS * RTSP/3.0\r\n\r\n", 505, nil},
	{"T1", "a method that is none", "F@O * RTSP/1.0\r\n\r\n", 400, tolerant},
	{"T1", "unknown method", asked("FLY", ""), 403, nil},
	{"T2", "length negative", asked("SET_PARAMETER", "Content-Length: -1\r\n"), 400, nil},
	{"T2", "length with a sign", asked("SET_PARAMETER", "Content-Length: +1\r\n"), 400, nil},
	{"T2", "length of 128 KiB and 1", asked("SET_PARAMETER", "Content-Length: 131073\r\n"), 413, nil},
	{"T2", "length of 4 GiB and 1", asked("SET_PARAMETER", "Content-Length: 4294967297\r\n"), 413, nil},
	{"T2", "length of 2^64", asked("SET_PARAMETER", "Content-Length: 18446744073709551616\r\n"), 413, nil},
	{"T2", "lengths that differ", asked("SET_PARAMETER", "Content-Length: 1\r\nContent-Length: 2\r\n"), 400, nil},
	{"T2", "length that lies", asked("SET_PARAMETER", "Content-Length: 2\r\n") + "\x01\x02\x03", 400, tolerant},
	{"T3", "100 packets on unknown channels", strings.Repeat("$\xf0\x00\x04abcd", 100), 400, slices.Concat(viewing, tolerant)},
	{"T6", "session of nobody", asked("TEARDOWN", "Session: nobody\r\n"), 454, nil},
	{"T6", "PLAY without a session", asked("PLAY", ""), 454, nil},
	{"T7", "HTTP without a cookie", "GET / HTTP/1.0\r\n\r\n", 400, nil},
	{"T7", "POST of nobody", "POST / HTTP/1.0\r\nx-sessioncookie: nobody\r\n\r\n", 400, nil},
	{"T7", "HEAD", "HEAD / HTTP/1.0\r\nx-sessioncookie: abc\r\n\r\n", 0, nil},
}

// A bystander publishes and watches, and must not lose anything.
type bystander struct {
	stop     func()
	watching sync.WaitGroup
	peer     *testPeer
	packets  int
	gaps     int
}

// newBystander publishes the stream "bystander".
func newBystander(t *testing.T, h source.Handler, url string) *bystander {
	t.Helper()
	f := feed(t, h, "bystander", testStream)
	f.write(t, 60)
	b := &bystander{stop: f.run(t), peer: dialPeer(t, url)}
	_ = b.peer.nc.SetReadDeadline(time.Time{})
	b.peer.play(url + "bystander")
	b.peer.rtp()
	b.packets++
	b.watching.Go(func() {
		next := map[uint8]uint16{}
		for {
			item, err := b.peer.in.Next()
			if err != nil {
				return
			}
			m, ok := item.(*wire.Interleaved)
			if !ok || m.Channel%2 == 1 {
				continue
			}
			b.packets++
			seq := uint16(m.Payload[2])<<8 | uint16(m.Payload[3])
			if want, ok := next[m.Channel]; ok && seq != want {
				b.gaps++
			}
			next[m.Channel] = seq + 1
		}
	})
	return b
}

func (b *bystander) requireUnharmed(t *testing.T) {
	t.Helper()
	b.stop()
	require.NoError(t, b.peer.nc.(*net.TCPConn).CloseWrite()) // it takes its leave
	b.watching.Wait()
	require.NotZero(t, b.packets)
	require.Zero(t, b.gaps, "packets are missing, of %d", b.packets)
}

// attacker returns a peer that has got to a stage. name is that of the stream it
// publishes.
func attacker(t *testing.T, url string, at stage, name string) *testPeer {
	t.Helper()
	if at == playingUDP {
		return playUDP(t, url, "bystander").testPeer
	}
	p := dialPeer(t, url)
	switch at {
	case described:
		p.do(200, "DESCRIBE", url+"bystander")
	case setUp:
		p.setupAll(url+"bystander", tcp)
	case playing:
		p.play(url + "bystander")
	case announced, recording:
		x := newTestPublisher(p, url+name, testStream.Tracks())
		if at == announced {
			x.announce(200, x.sdp())
		} else {
			x.publish()
		}
	}
	return p
}

// requireAlive fails unless the server answers p.
func (p *testPeer) requireAlive() {
	p.t.Helper()
	p.send("GET_PARAMETER", "*")
	for p.response().Header.Get("CSeq") != strconv.Itoa(p.cseq) {
	}
}

// last returns the status of the last response before the server closes the
// connection; 0 if there was none.
func (p *testPeer) last() (status int) {
	p.t.Helper()
	p.in.Use(p.nc, 4096, wire.Limits{HTTP: true})
	for {
		item, err := p.in.Next()
		if r, ok := item.(*wire.Response); ok {
			status = r.Status
		}
		if err != nil {
			p.requireClosed() // the body of a response in HTTP may come before
			require.NotErrorIs(p.t, err, os.ErrDeadlineExceeded)
			return status
		}
	}
}

// TestAttacks: rows T1 to T7 at every stage, with others on the same server.
func TestAttacks(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	other := newBystander(t, hub, url)
	for i, a := range attacks {
		for _, at := range slices.Sorted(maps.Keys(stages)) {
			t.Run(a.row+" "+a.name+" "+stages[at], func(t *testing.T) {
				p := attacker(t, url, at, fmt.Sprint("attacker", i))
				_, err := p.nc.Write([]byte(a.wire))
				if slices.Contains(a.spares, at) {
					require.NoError(t, err)
					p.requireAlive()
					reset(p.nc)
					return
				}
				status := p.last()
				if a.status != 0 {
					require.Equal(t, a.status, status)
				}
			})
		}
	}
	other.requireUnharmed(t)
}

// reset closes a connection so that it leaves nothing behind in the system.
func reset(nc net.Conn) {
	if c, ok := nc.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = nc.Close()
}

// TestStrayPackets: row T3. Packets nobody asked for are skipped by their length,
// at every stage, as long as there are not too many in a row.
func TestStrayPackets(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	other := newBystander(t, hub, url)
	big := interleaved(77, bytes.Repeat([]byte("$\x00\x00\x01"), 16383))
	for _, at := range slices.Sorted(maps.Keys(stages)) {
		t.Run(stages[at], func(t *testing.T) {
			p := attacker(t, url, at, fmt.Sprint("stray", at))
			for range 3 {
				_, err := p.nc.Write(slices.Concat(big, bytes.Repeat(interleaved(200, []byte("OPTIONS * RTSP/1.0\r\n\r\n")), 97)))
				require.NoError(t, err)
				p.requireAlive()
			}
			_, err := p.nc.Write(big[:100]) // cut
			require.NoError(t, err)
			reset(p.nc)
		})
	}
	other.requireUnharmed(t)
}

// TestSetupFlood: row T4. 2,000 SETUPs cost no more ports than there are tracks.
func TestSetupFlood(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	for _, transport := range []string{tcp, "RTP/AVP;unicast;client_port=5000-5001"} {
		p := dialPeer(t, url)
		for i := range 2000 {
			track, status := fmt.Sprint(i%2), 200
			switch i % 5 {
			case 3:
				track, status = []string{"-1", "2", "32", "99999999999999999999", "0x0", "", "1e0", "%30"}[i/5%8], 404
			case 4: // the other carrier, which is not that of the first SETUP
				if i > 4 {
					p.do(461, "SETUP", url+"bystander/trackID="+track, "Transport", map[bool]string{true: "RTP/AVP;unicast;client_port=5000-5001", false: tcp}[transport == tcp])
					continue
				}
			}
			p.send("SETUP", url+"bystander/trackID="+track, "Transport", transport)
			r := p.response()
			if status == 404 {
				require.Contains(t, []int{404, 459, 400}, r.Status, "track %s", track)
			} else {
				require.Equal(t, status, r.Status)
			}
			require.LessOrEqual(t, s.ports.Open(), 2)
		}
		p.do(200, "TEARDOWN", url+"bystander")
		p.requireClosed()
		require.Eventually(t, func() bool { return s.ports.Open() == 0 }, 10*time.Second, time.Millisecond)
	}
	other.requireUnharmed(t)
}

// TestTransportNonsense: row T5. It is refused, costs no port, and the connection
// lives.
func TestTransportNonsense(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	feed(t, hub, "cam", testStream).write(t, 50)
	p := dialPeer(t, url)
	for _, transport := range []string{
		"", ";", ",", "nonsense", "RAW/RAW/UDP", "RTP/SAVP;unicast;client_port=5000-5001",
		"RTP/AVP", "RTP/AVP;unicast", "RTP/AVP;unicast;client_port=", "RTP/AVP;unicast;client_port=0-1", "RTP/AVP;unicast;client_port=0",
		"RTP/AVP;unicast;client_port=65535-65536", "RTP/AVP;unicast;client_port=65535", "RTP/AVP;unicast;client_port=5001-5000",
		"RTP/AVP;unicast;client_port=-1-0", "RTP/AVP;unicast;client_port=5000--5001", "RTP/AVP;unicast;client_port=99999999999999999999-1",
		"RTP/AVP;unicast;client_port=5000-5001;destination=192.0.2.7", "RTP/AVP;unicast;client_port=5000-5001;destination=127.0.0.2",
		"RTP/AVP;unicast;client_port=5000-5001;destination=::1", "RTP/AVP;unicast;client_port=5000-5001;destination=localhost",
		"RTP/AVP;unicast;client_port=5000-5001;destination=239.0.0.1", "RTP/AVP;unicast;client_port=5000-5001;destination=255.255.255.255",
		"RTP/AVP;multicast;destination=192.0.2.7;port=5000-5001", "RTP/AVP;multicast;client_port=5000-5001",
		"RTP/AVP/TCP;interleaved=255-256", "RTP/AVP/TCP;interleaved=1-0", "RTP/AVP/TCP;interleaved=-1-0", "RTP/AVP/TCP;interleaved=x",
		strings.Repeat("RTP/AVP;unicast;client_port=0-0,", 200), strings.Repeat(";", 8000), strings.Repeat("nonsense,", 800),
	} {
		p.send("SETUP", url+"cam/trackID=0", "Transport", transport)
		r := p.response()
		require.Contains(t, []int{400, 461}, r.Status, "%.100q", transport)
		require.Zero(t, s.ports.Open(), "%.100q", transport)
	}
	p.send("SETUP", url+"cam/trackID=0") // none at all
	require.Equal(t, 461, p.response().Status)
	_, err := p.nc.Write([]byte("SETUP " + url + "cam/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP;unicast;client_port=5000-5001;destination=192.0.2.7\r\nTransport: " + tcp + "\r\n\r\n"))
	require.NoError(t, err)
	require.Equal(t, 461, p.response().Status, "a second Transport counts")
	p.do(200, "SETUP", url+"cam/trackID=0", "Transport", "RTP/AVP;unicast;client_port=5000-5001;destination=127.0.0.1")
	require.Equal(t, 1, s.ports.Open())
	p.do(200, "TEARDOWN", url+"cam")
}

// TestGarbageFlood: limits, overall figures: 1,000 bad connections with media
// unaffected.
func TestGarbageFlood(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	n := 1000
	if testing.Short() || raceEnabled {
		n = 200
	}
	before := s.Stats()
	for i := range n {
		p := dialPeer(t, url)
		_, _ = p.nc.Write([]byte([]string{"\x00", "\x16\x03\x01", "RTSP", "GET / HTTP/1.1\r\n\r\n", "PLAY\r\n", "\xff\xff"}[i%6]))
		if i%6 != 2 {
			_, _ = io.Copy(io.Discard, p.nc)
		}
		reset(p.nc)
	}
	other.requireUnharmed(t)
	require.Eventually(t, func() bool { return s.Stats().HandshakesFailed >= before.HandshakesFailed+uint64(n*5/6) }, 10*time.Second, time.Millisecond)
}

// TestMemoryBeforeAuth: row G2. What an unknown peer can make the server keep.
func TestMemoryBeforeAuth(t *testing.T) {
	if raceEnabled {
		t.Skip("measures memory")
	}
	long := strings.Repeat("A: "+strings.Repeat("x", 8000)+"\r\n", 8) // 64 KiB of headers, nearly
	for _, c := range []struct {
		name  string
		limit int
		wire  string
	}{
		{"silent", 64 << 10, ""},
		{"half a request", 64 << 10, "DESCRIBE rtsp://h/live/cam RTSP/1.0\r\nCSeq: 1\r\n"},
		{"announcing", 64 << 10, "ANNOUNCE rtsp://h/live/cam RTSP/1.0\r\nContent-Length: 131072\r\n\r\nv=0"},
		{"announcing a packet", 64 << 10, "$\x00\xff\xffx"},
		{"half a tunnel's headers", 64 << 10, "GET / HTTP/1.0\r\nx-sessioncookie: a\r\n"},
		{"headers", 256 << 10, "ANNOUNCE rtsp://h/live/cam RTSP/1.0\r\n" + long},
		{"headers and body", 256 << 10, "ANNOUNCE rtsp://h/live/cam RTSP/1.0\r\nContent-Length: 131072\r\n" + long + "\r\n" + strings.Repeat("x", 131000)},
		{"body", 256 << 10, "ANNOUNCE rtsp://h/live/cam RTSP/1.0\r\nContent-Length: 131072\r\n\r\n" + strings.Repeat("x", 131071)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 50
			s := &Server{}
			url := startServer(t, s)
			before := inUse()
			var conns []net.Conn
			for range n {
				nc, err := net.Dial("tcp", strings.Split(url, "/")[2])
				require.NoError(t, err)
				conns = append(conns, nc)
				_, err = nc.Write([]byte(c.wire))
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool { return s.Stats().Accepted == n }, 5*time.Second, time.Millisecond)
			settled := inUse()
			require.Eventually(t, func() bool { // until all of it was read
				last := settled
				settled = inUse()
				return settled-last < 4<<10
			}, 10*time.Second, 50*time.Millisecond)
			each := (settled - before) / n
			t.Logf("%d bytes each, with the attacker's side of it", each)
			require.EqualValues(t, n, s.Stats().Conns)
			require.Less(t, each, int64(c.limit))
			for _, nc := range conns {
				reset(nc)
			}
		})
	}
}

// loginHandler asks everybody to log in.
type loginHandler struct{ source.Handler }

func (h loginHandler) challenge(req *source.Request) error {
	if req.User != "" {
		return nil
	}
	return &source.Challenge{Realm: "test", Secret: func(_ context.Context, user string, _ bool) (string, bool, error) {
		if user != "ann" {
			return "", false, source.ErrNotFound
		}
		return "good", false, nil
	}}
}

func (h loginHandler) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	if err := h.challenge(req); err != nil {
		return nil, err
	}
	return h.Handler.Play(ctx, req)
}

func (h loginHandler) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	if err := h.challenge(req); err != nil {
		return nil, err
	}
	return h.Handler.Publish(ctx, req)
}

// A lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestSecrets: row G13. Nothing that peers keep secret gets into a log, and not
// many lines do.
func TestSecrets(t *testing.T) {
	hub := newHub(t)
	feed(t, hub, "cam", testStream).write(t, 50)
	var log lockedBuffer
	s := &Server{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Handler: loginHandler{hub}}
	url := startServer(t, s)
	_, address, _ := strings.Cut(strings.TrimSuffix(url, "/live/"), "//")
	secret := "rtsp://ann:s3cret@" + address + "/live/cam?token=s3cret"
	authorization := "Authorization: Digest username=\"ann\", realm=\"r\", nonce=\"s3cret\", uri=\"s3cret\", response=\"s3cret\"\r\n"
	for i := range 300 {
		p := dialPeer(t, url)
		_, err := p.nc.Write([]byte([]string{
			"DESCRIBE " + secret + " RTSP/1.0\r\n" + authorization + "\r\nDESCRIBE " + secret + "\r\n",
			"DESCRIBE " + secret + " RTSP/1.0\r\n" + strings.Replace(authorization, ":", "", 1) + "\r\n",
			"DESCRIBE " + secret + " RTSP/9.9\r\n" + authorization + "\r\n",
			secret + "\r\n\r\n",
			"DESCRIBE " + secret + " RTSP/1.0\r\nAuthorization: Basic s3cret\r\nAuthorization: s3cret\x00\r\n\r\n",
			"SETUP " + secret + "/trackID=0 RTSP/1.0\r\nTransport: s3cret\r\n" + authorization + "\r\nPLAY " + secret + " RTSP/1.0\r\nSession: s3cret\r\n\r\n",
			"ANNOUNCE " + secret + " RTSP/1.0\r\nContent-Length: s3cret\r\n" + authorization + "\r\n",
			"ANNOUNCE " + secret + " RTSP/1.0\r\nContent-Length: 6\r\n" + authorization + "\r\ns3cret",
			"GET /s3cret HTTP/1.0\r\nx-sessioncookie: \r\n" + authorization + "\r\n",
			"POST /s3cret HTTP/1.0\r\nx-sessioncookie: s3cret\r\n" + authorization + "\r\n",
		}[i%10]))
		require.NoError(t, err)
		_ = p.nc.(*net.TCPConn).CloseWrite()
		p.requireClosed()
	}
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), "s3cret")
	perSecond := map[string]int{}
	for line := range strings.Lines(log.String()) {
		second, rest, _ := strings.Cut(line, " ")
		kind, _, _ := strings.Cut(rest[strings.Index(rest, "msg="):], "\" ")
		perSecond[second[:len("time=2006-01-02T15:04:05")]+kind]++
	}
	for line, n := range perSecond {
		require.LessOrEqual(t, n, 20, line) // the limit's second is not the clock's
	}
}

// TestConnectCycles: row G9. Ten thousand connections of all sorts leave nothing
// behind.
func TestConnectCycles(t *testing.T) {
	n := 10_000
	if testing.Short() || raceEnabled {
		n = 1_000
	}
	hub := newHub(t)
	hub.MaxWait, hub.Options.Linger = -1, -1
	s := &Server{Handler: hub}
	url := startServer(t, s)
	f := feed(t, hub, "bystander", testStream)
	f.write(t, 60)
	f.run(t)

	gone := func() bool { return s.Stats().Conns == 0 && s.ports.Open() == 0 }
	var goroutines, files int
	var heap int64
	for i := range n/100 + 1 {
		if i == 1 { // the first ones warm up
			require.Eventually(t, gone, 10*time.Second, time.Millisecond)
			goroutines, files, heap = runtime.NumGoroutine(), openFiles(), inUse()
		}
		t.Run(fmt.Sprint(100*i), func(t *testing.T) { // which ends what the test itself keeps
			for k := range 100 {
				cycle(t, url, 100*i+k)
			}
		})
	}
	require.Eventually(t, gone, 10*time.Second, time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; { // require.Eventually has goroutines of its own
		require.True(t, time.Now().Before(deadline), "%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, openFiles(), files)
	require.Less(t, inUse()-heap, int64(8<<20))
	require.GreaterOrEqual(t, s.Stats().Accepted, uint64(n+100))
}

func cycle(t *testing.T, url string, i int) {
	p := dialPeer(t, url)
	defer reset(p.nc)
	cam := url + "bystander"
	switch i % 15 {
	case 0: // closed at once
	case 1:
		_, _ = p.nc.Write([]byte("\x00garbage"))
	case 2:
		p.do(200, "OPTIONS", "*")
	case 3:
		p.do(200, "DESCRIBE", cam)
	case 4:
		p.do(404, "DESCRIBE", url+"missing")
	case 5:
		p.setupAll(cam, tcp)
	case 6:
		p.setupAll(cam, "RTP/AVP;unicast;client_port=5000-5001")
	case 7:
		p.play(cam)
		p.packet()
	case 8:
		p.play(cam)
		p.do(200, "TEARDOWN", cam)
	case 9:
		p.setupAll(cam, "RTP/AVP;unicast;client_port=5000-5001")
		p.do(200, "PLAY", cam)
	case 10, 11, 12: // publishers, who are lost or say goodbye
		x := newTestPublisher(p, fmt.Sprint(url, "flap", i), testStream.Tracks())
		x.announce(200, x.sdp())
		if i%15 == 10 {
			return
		}
		for n := range x.medias {
			transport := fmt.Sprintf("RTP/AVP/TCP;interleaved=%d-%d;mode=record", 2*n, 2*n+1)
			if i%2 == 0 {
				transport = "RTP/AVP;unicast;client_port=5000-5001;mode=record"
			}
			p.do(200, "SETUP", x.control(n), "Transport", transport)
		}
		p.do(200, "RECORD", x.url)
		if i%15 == 12 {
			p.do(200, "TEARDOWN", x.url)
		}
	case 13:
		get, post := dial(t, url), dial(t, url)
		defer reset(get)
		defer reset(post)
		require.Equal(t, 200, half(t, get, "GET", "cookie"))
		require.Equal(t, 200, half(t, post, "POST", "cookie"))
		x := newTestPeer(t, tunnelledConn{get, post})
		x.play(cam)
		x.packet()
	case 14:
		get := dial(t, url)
		defer reset(get)
		require.Equal(t, 200, half(t, get, "GET", "half"))
	}
}
