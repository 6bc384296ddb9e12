package rtsp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

func TestOptions(t *testing.T) {
	url := startServer(t, &Server{})
	p := dialPeer(t, url)
	for _, u := range []string{"*", url + "cam", "rtsp://nowhere"} {
		r := p.do(200, "OPTIONS", u)
		require.Equal(t, "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, PAUSE, ANNOUNCE, RECORD, SET_PARAMETER, GET_PARAMETER", r.Header.Get("Public"))
	}
	p.do(200, "GET_PARAMETER", "*")
	p.do(200, "SET_PARAMETER", "*")
	p.do(403, "FLY", "*")
	p.requireClosed()
}

// refusing is a Handler that refuses everything.
func refusing(err error) source.Handler {
	return handlerFuncs{
		play:    func(context.Context, *source.Request) (source.Reader, error) { return nil, err },
		publish: func(context.Context, *source.Request) (source.Publication, error) { return nil, err },
	}
}

// TestRefusals: what peers are told of a Handler's errors, and that the
// connection is then closed.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err          error
		status       int
		reason, body string
	}{
		{source.ErrNotFound, 404, "Stream Not Found", "No such stream."},
		{source.ErrTimeout, 404, "Stream Not Found", "No such stream."},
		{source.ErrUnauthorized, 401, "Unauthorized", "Not authorized."},
		{source.ErrForbidden, 403, "Forbidden", "Forbidden."},
		{source.ErrBadKey, 403, "Forbidden", "Forbidden."},
		{source.ErrLimit, 453, "Not Enough Bandwidth", "Too many sessions."},
		{source.ErrUnsupported, 415, "Unsupported Media Type", "Nothing of this stream can be sent."},
		{errors.New("a secret"), 500, "Internal Server Error", "Playing failed."},
		{source.Refuse(source.ErrForbidden, "Not today.\r\nX: y"), 403, "Forbidden", "Not today.\r\nX: y"},
	} {
		s := &Server{Handler: refusing(c.err)}
		url := startServer(t, s)
		for _, method := range []string{"DESCRIBE", "SETUP"} {
			p := dialPeer(t, url)
			r := p.do(c.status, method, url+"cam", "Transport", tcp)
			require.Equal(t, c.reason, r.Reason)
			require.Equal(t, c.body, string(r.Body))
			require.Equal(t, "text/plain", r.Header.Get("Content-Type"))
			require.Equal(t, "Close", r.Header.Get("Connection"))
			p.requireClosed()
		}
		require.EqualValues(t, 2, s.Stats().Refused)
	}
	for err, want := range map[error]string{
		source.ErrBusy:         "406 Already publishing.",
		source.ErrForbidden:    "403 Forbidden.",
		source.ErrUnauthorized: "401 Not authorized.",
		source.ErrClosed:       "503 Going away.",
		source.ErrStalled:      "500 Publishing failed.",
	} {
		status, _, text := refusal(err, true)
		require.Equal(t, want, fmt.Sprint(status, " ", text))
	}
}

func TestNoHandler(t *testing.T) {
	s := &Server{}
	url := startServer(t, s)
	for path, status := range map[string]int{"cam": 404, "": 403, "..": 403, "a/../b": 403, strings.Repeat("a", 300): 403, "a%00b": 403} {
		p := dialPeer(t, url)
		p.do(status, "DESCRIBE", url+path)
		p.requireClosed()
	}
}

// TestRequest holds what a Handler is told of a peer.
func TestRequest(t *testing.T) {
	got := make(chan *source.Request, 1)
	s := &Server{
		Vhost: func(host string) string { return "at " + host },
		Handler: handlerFuncs{play: func(_ context.Context, req *source.Request) (source.Reader, error) {
			got <- req
			return nil, source.ErrNotFound
		}},
	}
	url := startServer(t, s)
	p := dialPeer(t, url)
	p.do(404, "DESCRIBE", url+"a/b.sdp?token=1", "User-Agent", "tester", "Authorization", "Basic c2VjcmV0")
	req := <-got
	require.Equal(t, source.Key{Vhost: "at 127.0.0.1", App: "live", Stream: "a/b"}, req.Key)
	require.Equal(t, "token=1", req.Params)
	require.Equal(t, "rtsp", req.Schema)
	require.Equal(t, "rtsp", req.Protocol)
	require.Equal(t, p.nc.LocalAddr().String(), req.Remote.String())
	require.Equal(t, p.nc.RemoteAddr().String(), req.Local.String())
	require.Equal(t, "tester", req.Header.Get("User-Agent"))
	require.Empty(t, req.Header.Get("Authorization"))
	require.NotEmpty(t, req.ID)
	require.False(t, req.Passive)
}

// preAuth are peers that do not get to playing.
var preAuth = []struct {
	name string
	peer func(t *testing.T, p *testPeer)
}{
	{"silent", func(*testing.T, *testPeer) {}},
	{"half a request", func(_ *testing.T, p *testPeer) { _, _ = p.nc.Write([]byte("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n")) }},
	{"dripping", func(t *testing.T, p *testPeer) { drip(t, p, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n") }},
	{"dripping line ends", func(t *testing.T, p *testPeer) { drip(t, p, strings.Repeat("\r\n", 20)) }},
	{"OPTIONS only", func(_ *testing.T, p *testPeer) { p.do(200, "OPTIONS", "*") }},
	{"DESCRIBE only", func(_ *testing.T, p *testPeer) { p.do(200, "DESCRIBE", "rtsp://h/live/cam") }},
	{"SETUP only", func(_ *testing.T, p *testPeer) {
		p.do(200, "SETUP", "rtsp://h/live/cam/trackID=0", "Transport", tcp)
	}},
}

// drip writes a byte each second until the test ends.
func drip(t *testing.T, p *testPeer, bytes string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range len(bytes) {
			if _, err := p.nc.Write([]byte(bytes[i : i+1])); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	t.Cleanup(func() {
		_ = p.nc.Close()
		<-done
	})
}

// TestHandshakeTimeout: limits G3. Ten seconds are all a peer has, whatever it
// does.
func TestHandshakeTimeout(t *testing.T) {
	for _, c := range preAuth {
		t.Run(c.name, func(t *testing.T) {
			hub := &source.Hub{}
			s := &Server{Handler: hub}
			inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
				feed(t, hub, "cam", testStream).write(t, 20)
				began := time.Now()
				p := memoryPeer(t, ln)
				c.peer(t, p)
				p.requireClosed()
				require.Equal(t, 10*time.Second, time.Since(began))
				require.NoError(t, hub.Close())
			})
		})
	}
}

func TestHandshakeTimeoutTLS(t *testing.T) {
	inMemory(t, &Server{TLSConfig: serverTLS(t)}, func(t *testing.T, ln *memnet.Listener) {
		began := time.Now()
		requireClosed(t, dialMemory(t, ln))
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// TestAskingTakesTime: the time in which a Handler is asked does not count.
func TestAskingTakesTime(t *testing.T) {
	hub := &source.Hub{MaxWait: 30 * time.Second}
	s := &Server{Handler: hub}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		p := memoryPeer(t, ln)
		const url = "rtsp://h/live/cam"
		time.Sleep(9 * time.Second)
		p.send("DESCRIBE", url)
		time.Sleep(20 * time.Second)
		feed(t, hub, "cam", testStream).write(t, 20)
		require.Equal(t, 200, p.response().Status)
		began := time.Now()
		p.requireClosed()
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, hub.Close())
	})
}

// TestParked: who comes before the publisher waits; one who goes meanwhile is
// not waited for.
func TestParked(t *testing.T) {
	hub := &source.Hub{MaxWait: 15 * time.Second}
	s := &Server{Handler: hub}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		const url = "rtsp://h/live/cam"
		p, gone := memoryPeer(t, ln), memoryPeer(t, ln)
		p.send("DESCRIBE", url)
		gone.send("DESCRIBE", url)
		synctest.Wait()
		require.NoError(t, gone.nc.Close())
		synctest.Wait()
		require.EqualValues(t, 1, s.Stats().Conns)
		began := time.Now()
		r := p.response()
		require.Equal(t, 404, r.Status)
		require.Equal(t, "Stream Not Found", r.Reason)
		require.Equal(t, "Close", r.Header.Get("Connection"))
		require.Equal(t, 15*time.Second, time.Since(began))
		p.requireClosed()
		require.NoError(t, hub.Close())
	})
}

// TestPipelined: requests that do not wait for answers are answered in order.
func TestPipelined(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	feed(t, hub, "cam", testStream).write(t, 50)
	p := dialPeer(t, url)
	p.send("OPTIONS", url)
	p.send("DESCRIBE", url)
	p.send("SETUP", url+"/trackID=0", "Transport", tcp)
	p.send("SETUP", url+"/trackID=1", "Transport", tcp)
	for n := range 4 {
		r := p.response()
		require.Equal(t, 200, r.Status)
		require.Equal(t, fmt.Sprint(n+1), r.Header.Get("CSeq"))
	}
	p.send("PLAY", url)
	p.send("GET_PARAMETER", url)
	p.send("TEARDOWN", url)
	seen := map[string]bool{}
	for range 3 { // PLAY is answered with the first packet, which may be after others
		r := p.response()
		require.Equal(t, 200, r.Status)
		if seen[r.Header.Get("CSeq")] = true; seen["7"] {
			break
		}
	}
	p.requireClosed()
}

func TestMaxConns(t *testing.T) {
	s := &Server{MaxConns: 2}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		a, b := memoryPeer(t, ln), memoryPeer(t, ln)
		a.do(200, "OPTIONS", "*")
		memoryPeer(t, ln).requireClosed()
		require.NoError(t, a.nc.Close())
		synctest.Wait()
		memoryPeer(t, ln).do(200, "OPTIONS", "*")
		b.do(200, "OPTIONS", "*")
		require.EqualValues(t, 1, s.Stats().Rejected)
	})
}

// A failing is a listener whose Accept fails now and then.
type failing struct {
	net.Listener
	errs chan error
}

func (l failing) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

func TestServeErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := failing{ln, make(chan error, 1)}
	broken := errors.New("broken")
	l.errs <- broken
	require.ErrorIs(t, new(Server).Serve(t.Context(), l), broken)
	require.Error(t, (&Server{Addr: "256.0.0.1:0"}).ListenAndServe(t.Context()))
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(0)
		l := failing{ln, make(chan error, 1)}
		l.errs <- syscall.EMFILE
		serve(t, &Server{}, l)
		memoryPeer(t, ln).do(200, "OPTIONS", "*") // it goes on
	})
}

func TestListenAndServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, (&Server{Addr: "127.0.0.1:0"}).ListenAndServe(ctx))
}

// TestPanic: a Handler that panics ends one session, and nothing else.
func TestPanic(t *testing.T) {
	s := &Server{Handler: handlerFuncs{play: func(context.Context, *source.Request) (source.Reader, error) { panic("bug") }}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { done <- s.Serve(ctx, ln) }()
	url := "rtsp://" + ln.Addr().String() + "/live/cam"
	q := dialPeer(t, url)
	q.do(200, "OPTIONS", "*")
	p := dialPeer(t, url)
	p.send("DESCRIBE", url)
	p.requireClosed()
	q.do(200, "OPTIONS", "*")
	require.EqualValues(t, 1, s.Stats().PanicsTotal)
	cancel()
	require.ErrorIs(t, <-done, ErrServerClosed)
}

// TestShutdown: viewers are told of the end, within 2 s; the others are closed.
func TestShutdown(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub, Multicast: testMulticast, Logger: testLog(t)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { done <- s.Serve(ctx, ln) }()
	url := "rtsp://" + ln.Addr().String() + "/live/"
	f := feed(t, hub, "cam", testStream)
	f.write(t, 50)
	idle, viewer := dialPeer(t, url), dialPeer(t, url)
	idle.do(200, "OPTIONS", "*")
	viewer.play(url + "cam")
	overUDP := playUDP(t, url, "cam")
	waiting := dialPeer(t, url)
	waiting.send("DESCRIBE", url+"missing")
	group := dialPeer(t, url)
	group.setupAll(url+"cam", "RTP/AVP;multicast")
	group.do(200, "PLAY", url+"cam")
	cancel()
	idle.requireClosed()
	waiting.requireClosed()
	rest, err := io.ReadAll(viewer.nc)
	require.NoError(t, err)
	require.Equal(t, []byte{0x81, 203, 0, 1}, rest[len(rest)-8:len(rest)-4], "no BYE")
	require.NoError(t, viewer.nc.Close())
	overUDP.requireClosed()
	for b, _ := readUDP(t, overUDP.ports[0][1]); requireReport(t, b) != nil; {
		b, _ = readUDP(t, overUDP.ports[0][1])
	}
	require.NoError(t, overUDP.nc.Close())
	group.requireClosed()
	require.NoError(t, group.nc.Close())
	require.ErrorIs(t, <-done, ErrServerClosed)
	require.Zero(t, s.Stats().Conns)
	require.Zero(t, s.ports.Open())
}

// TestStates: what makes no sense in a state is answered 455 or 454, and changes
// nothing.
func TestStates(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	feed(t, hub, "cam", testStream).write(t, 50)
	feed(t, hub, "other", testStream).write(t, 50)
	other := strings.TrimSuffix(url, "cam") + "other"

	p := dialPeer(t, url)
	p.do(455, "PAUSE", url)
	p.do(200, "DESCRIBE", url)
	p.do(455, "PLAY", url)
	p.do(404, "SETUP", url+"/trackID=2", "Transport", tcp)
	p.do(404, "SETUP", url+"/trackID=-1", "Transport", tcp)
	p.do(459, "SETUP", url, "Transport", tcp)
	p.do(400, "SETUP", url+"/trackID=0", "Transport", "RTP/AVP/TCP;interleaved=255-256")
	p.do(200, "SETUP", url+"/trackID=0", "Transport", tcp)
	p.do(461, "SETUP", url+"/trackID=1", "Transport", "RTP/AVP;unicast;client_port=5000-5001") // the first decides
	p.do(200, "SETUP", url+"/trackID=1", "Transport", "RTP/AVP;unicast;client_port=5000-5001,"+tcp)
	p.do(200, "SETUP", url+"/trackID=0", "Transport", tcp)
	p.do(455, "DESCRIBE", url)
	p.do(455, "SETUP", other+"/trackID=0", "Transport", tcp)
	p.do(455, "PAUSE", url)
	r := p.do(200, "PLAY", url)
	require.Len(t, parseRTPInfo(r.Header.Get("RTP-Info")), 2)
	for _, method := range []string{"DESCRIBE", "SETUP", "ANNOUNCE", "RECORD"} {
		p.do(455, method, url, "Transport", tcp)
	}
	p.do(200, "OPTIONS", "*")
	p.do(200, "SET_PARAMETER", url)
	p.do(200, "PLAY", url)
	p.do(200, "PAUSE", url)
	p.do(200, "PAUSE", url)
	p.do(200, "PLAY", url)
	p.do(200, "TEARDOWN", url)
	p.requireClosed()

	for _, c := range []struct {
		status int
		method string
		header []string
	}{
		{454, "PLAY", []string{"Session", ""}},
		{454, "PLAY", []string{"Session", "wrong"}},
		{454, "PAUSE", []string{"Session", "wrong"}},
		{454, "TEARDOWN", []string{"Session", "wrong"}},
		{454, "GET_PARAMETER", []string{"Session", "wrong"}},
		{454, "SETUP", []string{"Session", "wrong", "Transport", tcp}},
		{454, "RECORD", []string{"Session", "wrong"}},
	} {
		for _, plays := range []bool{false, true} {
			if plays && (c.method == "SETUP" || c.method == "RECORD") {
				continue
			}
			p := dialPeer(t, url)
			if plays {
				p.play(url)
			} else {
				p.setupAll(url, tcp)
			}
			p.do(c.status, c.method, url, c.header...)
			p.requireClosed()
		}
	}
	p = dialPeer(t, url)
	p.do(454, "TEARDOWN", url)
	p.requireClosed()
	p = dialPeer(t, url)
	p.play(url)
	p.do(403, "FLY", url)
	p.requireClosed()

	// SETUP of another stream, as long as nothing is set up.
	p = dialPeer(t, url)
	p.do(200, "DESCRIBE", url)
	p.do(200, "SETUP", other+"/trackID=0", "Transport", tcp)
	require.Contains(t, p.do(200, "PLAY", other).Header.Get("RTP-Info"), other+"/trackID=0")
}

// TestOtherSession: limits T6. A session is of use to its own connection only,
// which does not notice.
func TestOtherSession(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	f := feed(t, hub, "cam", testStream)
	f.write(t, 50)
	victim := dialPeer(t, url)
	victim.play(url)
	for _, method := range []string{"PLAY", "PAUSE", "TEARDOWN", "RECORD", "SETUP", "GET_PARAMETER"} {
		p := dialPeer(t, url)
		p.do(454, method, url, "Session", victim.session, "Transport", tcp)
		p.requireClosed()
	}
	f.write(t, 50)
	for range 60 {
		victim.rtp()
	}
	victim.do(200, "TEARDOWN", url)
}

// TestSubset: only tracks that were set up are sent.
func TestSubset(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	for track := range 2 {
		p := dialPeer(t, url)
		r := p.do(200, "SETUP", fmt.Sprintf("%s/trackID=%d", url, track), "Transport", tcp)
		require.Contains(t, r.Header.Get("Transport"), fmt.Sprintf("interleaved=%d-%d", 2*track, 2*track+1))
		r = p.do(200, "PLAY", url)
		info := parseRTPInfo(r.Header.Get("RTP-Info"))
		require.Len(t, info, 1)
		f.write(t, 50)
		for i := range 20 {
			m := p.packet()
			require.EqualValues(t, track, m.Channel/2)
			require.Equal(t, i == 0, m.Channel%2 == 1)
		}
	}
}

// TestSetupURLs: the ways in which players make the URL of a track.
func TestSetupURLs(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	one := testStream
	one.Audio = codec.Opaque
	feed(t, hub, "cam", testStream).write(t, 50)
	feed(t, hub, "deep/cam", testStream).write(t, 50)
	feed(t, hub, "one", one).write(t, 50)
	for _, c := range []struct{ describe, setup string }{
		{"cam", "cam/trackID=1"},
		{"cam/", "cam/trackID=1"},
		{"cam", "cam/trackID=1/"},
		{"cam.sdp", "cam.sdp/trackID=1"},
		{"cam?token=a", "cam?token=a/trackID=1"}, // ffmpeg, gortsplib, live555: Content-Base + control
		{"cam?token=a", "cam/trackID=1?token=a"}, // VLC's habit with some servers
		{"cam?token=a", "cam/trackID=1"},
		{"cam", "trackID=1"}, // GStreamer without a slash at the end of the base
		{"deep/cam", "deep/trackID=1"},
		{"", "cam/trackID=1"}, // without DESCRIBE
		{"", "cam?token=a/trackID=1"},
		{"", "cam/trackID=1?token=a"},
		{"one", "one"},
		{"one", "one/anything"},
		{"", "one"},
	} {
		t.Run(c.describe+" "+c.setup, func(t *testing.T) {
			p := dialPeer(t, url)
			if c.describe != "" {
				p.do(200, "DESCRIBE", url+c.describe)
			}
			p.do(200, "SETUP", url+c.setup, "Transport", tcp)
			info := p.do(200, "PLAY", url+"x").Header.Get("RTP-Info")
			require.Contains(t, info, "url="+url+c.setup+";")
		})
	}
}

// TestTooFewTracks: a stream of which RTP can carry nothing.
func TestTooFewTracks(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s) + "cam"
	pub, err := hub.Publish(t.Context(), &source.Request{Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}})
	require.NoError(t, err)
	track := &codec.Track{ID: 1, Codec: codec.Opaque, Wire: "flv", WireKind: codec.KindVideo, Name: "9"}
	require.NoError(t, pub.SetTracks([]*codec.Track{track}, true))
	require.NoError(t, pub.WriteFrame(t.Context(), &codec.Frame{Track: track, Data: []byte("x"), Flags: codec.FlagKey}))
	p := dialPeer(t, url)
	p.do(415, "DESCRIBE", url)
	p.requireClosed()
	require.NoError(t, pub.Close())
}

// TestSlowViewer: limits G7. A viewer that does not read costs the others nothing
// and is cut when it makes no progress.
func TestSlowViewer(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub, StallTimeout: 300 * time.Millisecond}
	url := startServer(t, s) + "cam"
	f := feed(t, hub, "cam", testmedia.Stream{Video: codec.H264, Bitrate: 20_000_000})
	f.write(t, 10)
	slow, fast := dialPeer(t, url), dialPeer(t, url)
	slow.play(url)
	fast.play(url)
	var reading sync.WaitGroup
	stop := make(chan struct{})
	lost := 0
	reading.Go(func() {
		var last uint16
		for first := true; ; first = false {
			select {
			case <-stop:
				return
			default:
			}
			x := fast.rtp()
			if !first && x.Sequence != last+1 {
				lost++
			}
			last = x.Sequence
		}
	})
	for s.Stats().Conns > 1 {
		f.write(t, 1)
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	f.write(t, 1)
	reading.Wait()
	require.Zero(t, lost)
}
