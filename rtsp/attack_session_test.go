package rtsp

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/source"
)

// TestControlFlood: a viewer that asks and asks and does not read is cut, and
// nobody else notices.
func TestControlFlood(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub, StallTimeout: time.Second, HandshakeTimeout: 2 * time.Second}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	for _, at := range []stage{fresh, setUp, playing, playingUDP} {
		t.Run(stages[at], func(t *testing.T) {
			p := attacker(t, url, at, "")
			_ = p.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
			_ = p.nc.SetWriteDeadline(time.Now().Add(2 * time.Minute))
			requests := []byte(strings.Repeat("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 1000))
			for {
				if _, err := p.nc.Write(requests); err != nil {
					require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "not closed")
					return
				}
			}
		})
	}
	other.requireUnharmed(t)
}

// A countedReader counts how many of its kind are open.
type countedReader struct {
	source.Reader
	open *atomic.Int64
	once sync.Once
}

func (r *countedReader) Unwrap() source.Reader { return r.Reader }

func (r *countedReader) Close() error {
	r.once.Do(func() { r.open.Add(-1) })
	return r.Reader.Close()
}

// TestLateAnswers: row G10. A Handler that answers when the publisher or the
// viewer has gone, and the publisher come back: who is there is served, the
// others' answers are given back.
func TestLateAnswers(t *testing.T) {
	for _, returns := range []bool{false, true} {
		t.Run(fmt.Sprint("publisher returns: ", returns), func(t *testing.T) {
			hub := newHub(t)
			hub.MaxWait, hub.Options.Linger = -1, -1
			var open, asking atomic.Int64
			release := make(chan struct{})
			s := &Server{Handler: handlerFuncs{publish: hub.Publish, play: func(ctx context.Context, req *source.Request) (source.Reader, error) {
				asking.Add(1)
				<-release // whatever becomes of ctx
				r, err := hub.Play(context.WithoutCancel(ctx), req)
				if err != nil {
					return nil, err
				}
				open.Add(1)
				return &countedReader{Reader: r, open: &open}, nil
			}}}
			url := startServer(t, s)
			f := feed(t, hub, "cam", testStream)
			f.write(t, 50)
			var peers []*testPeer
			for i := range 20 {
				p := dialPeer(t, url)
				p.send("DESCRIBE", url+"cam")
				if i%2 == 0 {
					peers = append(peers, p)
				}
				require.Eventually(t, func() bool { return asking.Load() == int64(i+1) }, 10*time.Second, time.Millisecond)
				if i%2 == 1 {
					reset(p.nc)
				}
			}
			require.NoError(t, f.pub.Close())
			if returns {
				feed(t, hub, "cam", testStream).write(t, 50)
			}
			close(release)
			for _, p := range peers {
				status := p.response().Status
				if returns {
					require.Equal(t, 200, status)
				} else {
					require.Equal(t, 404, status)
				}
				reset(p.nc)
			}
			require.Eventually(t, func() bool { return s.Stats().Conns == 0 && open.Load() == 0 }, 10*time.Second, time.Millisecond)
		})
	}
}

// TestTunnelThieves: row T7. Who knows the cookie of somebody who waits gets
// nothing, and takes nothing.
func TestTunnelThieves(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	get := dial(t, url)
	require.Equal(t, 200, half(t, get, "GET", "cookie"))
	thief := dial(t, url)
	require.Equal(t, 400, half(t, thief, "GET", "cookie"))
	requireClosed(t, thief)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if thief, err := d.Dial("tcp", strings.Split(url, "/")[2]); err == nil { // not every system has that address
		require.Equal(t, 400, half(t, thief, "POST", "cookie"))
		requireClosed(t, thief)
		reset(thief)
	}
	post := dial(t, url)
	require.Equal(t, 200, half(t, post, "POST", "cookie"))
	p := newTestPeer(t, tunnelledConn{get, post})
	p.play(url + "bystander")
	p.rtp()

	thief = dial(t, url)
	require.Equal(t, 400, half(t, thief, "POST", "cookie"))
	requireClosed(t, thief)
	thief = dial(t, url)
	require.Equal(t, 200, half(t, thief, "GET", "cookie")) // it is free again
	p.rtp()
	p.do(200, "TEARDOWN", url+"bystander")
	reset(thief)
	require.Eventually(t, func() bool { return s.Stats().Conns == 1 }, 10*time.Second, time.Millisecond)
	other.requireUnharmed(t)
}

// TestLoginGuesses: row T9. Wrong answers tell nothing about which users there
// are, and what is no answer is a wrong one.
func TestLoginGuesses(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: loginHandler{hub}}) + "cam"
	feed(t, hub, "cam", testStream).write(t, 50)
	told := map[string]bool{}
	nonce := challengeNonce(dialPeer(t, url).do(401, "DESCRIBE", url).Header.Get("WWW-Authenticate"))
	for _, answer := range []string{
		digestAnswer("MD5", "ann", "bad", nonce, "DESCRIBE", url),
		digestAnswer("MD5", "eve", "bad", nonce, "DESCRIBE", url),
		digestAnswer("MD5", "eve", "", nonce, "DESCRIBE", url),
		digestAnswer("SHA-256", strings.Repeat("x", 300), "bad", nonce, "DESCRIBE", url),
		digestAnswer("MD5", "ann", "good", nonce, "TEARDOWN", url),
		digestAnswer("MD5", "ann", "good", nonce, "DESCRIBE", "rtsp://h/live/other"),
		digestAnswer("MD5", "ann", "good", nonce, "DESCRIBE", "*"),
		basicAnswer("ann", "good"),
		"Basic", "Digest", "Digest ,,,", "Digest username=ann", "Bearer x", "x", "Digest username=\"ann", strings.Repeat("Digest ", 1000),
		`Digest username="ann", realm="test", nonce="", uri="` + url + `", response=""`,
		`Digest username="ann", realm="test", nonce="` + strings.Repeat("A", 54) + `", uri="` + url + `", response="` + strings.Repeat("0", 32) + `"`,
	} {
		p := dialPeer(t, url)
		for i := range 5 {
			r := p.do(401, "DESCRIBE", url, "Authorization", answer)
			require.Equal(t, i == 4, r.Header.Get("Connection") == "Close", "%.100s", answer)
			for _, name := range []string{"CSeq", "Date", "WWW-Authenticate", "Connection"} {
				r.Header.Del(name)
			}
			told[string(r.Append(nil))] = true
		}
		p.requireClosed()
	}
	require.Len(t, told, 1, "%v", told)
}

// TestLoginReplay: row T9. An answer is of use to who overheard it for the same
// stream only, and not for long.
func TestLoginReplay(t *testing.T) {
	hub := &source.Hub{}
	s := &Server{Handler: loginHandler{hub}}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		const url, other = "rtsp://h/live/cam", "rtsp://h/live/other"
		feed(t, hub, "cam", testStream).write(t, 50)
		feed(t, hub, "other", testStream).write(t, 50)
		nonce := challengeNonce(memoryPeer(t, ln).do(401, "DESCRIBE", url).Header.Get("WWW-Authenticate"))
		overheard := digestAnswer("SHA-256", "ann", "good", nonce, "DESCRIBE", url)
		p := memoryPeer(t, ln)
		for _, u := range []string{other, url + "?a=b", url + "/x", "rtsp://h/LIVE/cam"} {
			if p.do(401, "DESCRIBE", u, "Authorization", overheard).Header.Get("Connection") == "Close" {
				p = memoryPeer(t, ln)
			}
		}
		p = memoryPeer(t, ln)
		p.do(200, "DESCRIBE", url, "Authorization", overheard)
		time.Sleep(5*time.Minute + time.Nanosecond)
		memoryPeer(t, ln).do(401, "DESCRIBE", url, "Authorization", overheard)
		require.NoError(t, hub.Close())
	})
}

// FuzzSession: whatever a peer says at whatever stage, its session ends when it
// leaves, nothing panics and nothing is left.
func FuzzSession(f *testing.F) {
	const url = "rtsp://h/live/cam"
	begin := "DESCRIBE " + url + " RTSP/1.0\r\nCSeq: 1\r\n\r\n"
	setup := "SETUP " + url + "/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: " + tcp + "\r\n\r\n"
	announce := func(sdp string) string {
		return fmt.Sprintf("ANNOUNCE rtsp://h/live/new RTSP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	}
	const sdp = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:a\r\nm=audio 0 RTP/AVP 0\r\na=control:b\r\n"
	for _, s := range []string{
		"OPTIONS * RTSP/1.0\r\n\r\n", begin + setup, begin + setup + "TEARDOWN " + url + " RTSP/1.0\r\n\r\n",
		begin + strings.ReplaceAll(setup, "/TCP", "") + setup, announce(sdp),
		announce(sdp) + "SETUP rtsp://h/live/new/a RTSP/1.0\r\nTransport: " + tcp + ";mode=record\r\n\r\n",
		tunnelHalf("GET", "a") + begin, tunnelHalf("POST", "a") + "T1BUSU9OUw==", begin + tunnelHalf("GET", "a"),
	} {
		for stage := range uint8(4) {
			f.Add(stage, s)
		}
	}
	for _, a := range attacks {
		if len(a.wire) < 1000 {
			for stage := range uint8(4) {
				f.Add(stage, a.wire)
			}
		}
	}
	packets := string(slices.Concat(interleaved(0, []byte("\x80\x60\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07\x65payload")), interleaved(1, appendBye(nil, 1, 7)[4:])))
	f.Add(uint8(2), packets)
	f.Add(uint8(3), packets)

	hub := newHub(f)
	hub.MaxWait, hub.Options.Linger = -1, -1
	feed(f, hub, "cam", testStream).write(f, 60)
	s := &Server{Handler: hub}
	ln := memnet.Listen(4 << 20)
	serve(f, s, addressedListener{ln})
	f.Fuzz(func(t *testing.T, stage uint8, said string) {
		p := memoryPeer(t, ln)
		switch stage % 4 {
		case 1:
			p.setupAll(url, tcp)
		case 2:
			p.play(url)
		case 3:
			newTestPublisher(p, "rtsp://h/live/new", testStream.Tracks()).publish()
		}
		_, _ = p.nc.Write([]byte(said))
		_ = p.nc.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, p.nc)
		_ = p.nc.Close()
		for s.Stats().Conns > 0 {
			time.Sleep(100 * time.Microsecond)
		}
		require.Zero(t, s.Stats().PanicsTotal)
		require.Zero(t, s.ports.Open())
	})
}

// tunnelHalf returns the request of one half of a tunnel.
func tunnelHalf(method, cookie string) string {
	return method + " /live/cam HTTP/1.0\r\nx-sessioncookie: " + cookie + "\r\n\r\n"
}
