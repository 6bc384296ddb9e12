package rtmp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// inMemory runs f in a bubble of virtual time, with a server of s on pipes.
func inMemory(t *testing.T, s *Server, f func(t *testing.T, ln *pipeListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		serve(t, s, ln)
		f(t, ln)
	})
}

func dialPipe(t *testing.T, ln *pipeListener) net.Conn {
	t.Helper()
	nc, err := ln.Dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// TestConnectReplies holds the order and content of all that connect is answered.
func TestConnectReplies(t *testing.T) {
	p := dialPeer(t, startServer(t, &Server{}))
	p.call("connect", amf.Object{{Name: "app", Value: "live"}, {Name: "objectEncoding", Value: 3.0}})
	reply := wire.Command{
		Name:   "_result",
		ID:     1,
		Object: amf.Object{{Name: "fmsVer", Value: "FMS/3,0,1,123"}, {Name: "capabilities", Value: 31.0}},
		Args: []any{amf.Object{
			{Name: "level", Value: "status"},
			{Name: "code", Value: "NetConnection.Connect.Success"},
			{Name: "description", Value: "Connection succeeded."},
			{Name: "objectEncoding", Value: 3.0},
		}},
	}.Append(nil)
	want := "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00" + "\x00\x00\xea\x60" + // chunk size 60000
		"\x02\x00\x00\x00\x00\x00\x04\x05\x00\x00\x00\x00" + "\x00\x4c\x4b\x40" + // window 5000000
		"\x02\x00\x00\x00\x00\x00\x05\x06\x00\x00\x00\x00" + "\x00\x4c\x4b\x40\x02" + // bandwidth 5000000, dynamic
		"\x03\x00\x00\x00\x00\x00" + string([]byte{byte(len(reply))}) + "\x14\x00\x00\x00\x00" + string(reply) +
		"\x03\x00\x00\x00\x00\x00\x15\x14\x00\x00\x00\x00" + "\x02\x00\x08onBWDone" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x05"
	got := make([]byte, len(want))
	_, err := io.ReadFull(p.nc, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// TestCreateStream holds that it always answers 1, and that commands nobody
// answers are not answered.
func TestCreateStream(t *testing.T) {
	p := connected(t, startServer(t, &Server{}))
	for range maxStreams {
		for _, name := range []string{"releaseStream", "FCPublish", "_checkbw", "getStreamLength", "receiveAudio", "receiveVideo", "FCUnpublish", "closeStream", "anything"} {
			p.call(name, nil, "cam")
		}
		p.call("createStream", nil)
		cmd := p.command()
		require.Equal(t, &wire.Command{Name: "_result", ID: 1, Args: []any{1.0}}, cmd)
	}
	p.call("createStream", nil)
	p.requireClosed()
}

func TestCommandsOutOfOrder(t *testing.T) {
	url := startServer(t, &Server{Handler: newRecording()})
	for name, want := range map[string]string{"play": codePlayFailed, "publish": codePublishBadName} {
		p := dialPeer(t, url)
		p.call(name, nil, "cam")
		require.Equal(t, want, p.status())
		p.requireClosed()
	}
	p := connected(t, url)
	p.call("connect", nil)
	p.requireClosed()
}

func TestNoHandler(t *testing.T) {
	s := &Server{}
	url := startServer(t, s)
	for name, want := range map[string]string{"play": codePlayNotFound, "publish": codePublishBadAuth} {
		p := connected(t, url)
		p.call(name, nil, "cam")
		require.Equal(t, want, p.status())
		p.requireClosed()
	}
	require.EqualValues(t, 2, s.Stats().Refused)
}

func TestBadNames(t *testing.T) {
	url := startServer(t, &Server{Handler: newRecording()})
	for name, want := range map[string]string{"play": codePlayNotFound, "publish": codePublishBadName} {
		for _, stream := range []string{"", "..", "a/../b", strings.Repeat("a", 300), "a\nb"} {
			p := connected(t, url)
			p.call(name, nil, stream)
			require.Equal(t, want, p.status())
			p.requireClosed()
		}
	}
}

// A preAuth is a client that does not get to publishing or playing.
var preAuth = []struct {
	name string
	peer func(t *testing.T, nc net.Conn)
}{
	{"silent", func(t *testing.T, nc net.Conn) {}},
	{"C0 only", func(t *testing.T, nc net.Conn) { _, _ = nc.Write([]byte{3}) }},
	{"no C2", func(t *testing.T, nc net.Conn) {
		_, _ = nc.Write(make3())
		_, _ = io.CopyN(io.Discard, nc, handshake.Reply)
	}},
	{"dripping", func(t *testing.T, nc net.Conn) { drip(t, nc, make3()) }},
	{"no connect", func(t *testing.T, nc net.Conn) { newTestPeer(t, nc) }},
	{"connect only", func(t *testing.T, nc net.Conn) { newTestPeer(t, nc).connect() }},
	{"dripping commands", func(t *testing.T, nc net.Conn) {
		p := newTestPeer(t, nc)
		p.connect()
		drip(t, nc, bytes.Repeat(wire.AppendControl(nil, 128, wire.Acknowledgement{}), 10))
	}},
}

// drip writes a byte each second until the test ends.
func drip(t *testing.T, nc net.Conn, bytes []byte) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, b := range bytes {
			if _, err := nc.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	t.Cleanup(func() {
		_ = nc.Close()
		<-done
	})
}

func make3() []byte {
	b := make([]byte, handshake.Opening)
	b[0] = handshake.Version
	return b
}

// TestHandshakeTimeout: ten seconds are all a peer has, whatever it does.
func TestHandshakeTimeout(t *testing.T) {
	for _, c := range preAuth {
		t.Run(c.name, func(t *testing.T) {
			inMemory(t, &Server{Handler: newRecording()}, func(t *testing.T, ln *pipeListener) {
				began := time.Now()
				nc := dialPipe(t, ln)
				c.peer(t, nc)
				requireClosed(t, nc)
				require.Equal(t, 10*time.Second, time.Since(began))
			})
		})
	}
}

func TestHandshakeTimeoutTLS(t *testing.T) {
	inMemory(t, &Server{TLSConfig: serverTLS(t)}, func(t *testing.T, ln *pipeListener) {
		began := time.Now()
		requireClosed(t, dialPipe(t, ln))
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// TestGarbage: what is not RTMP is closed at once and costs nobody a wait.
func TestGarbage(t *testing.T) {
	for name, garbage := range map[string]string{
		"TLS":   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP":  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"RTSP":  "OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"RTMPE": "\x06",
		"zero":  "\x00\x00\x00\x00",
		"ff":    "\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			var out lockedBuffer
			s := &Server{Logger: slog.New(slog.NewTextHandler(&out, nil))}
			inMemory(t, s, func(t *testing.T, ln *pipeListener) {
				began := time.Now()
				nc := dialPipe(t, ln)
				_, err := nc.Write([]byte(garbage))
				require.NoError(t, err)
				requireClosed(t, nc)
				require.Zero(t, time.Since(began))
			})
			require.EqualValues(t, 1, s.Stats().HandshakesFailed)
			require.Contains(t, out.String(), "bad handshake")
		})
	}
}

// TestSilentConnectionsDoNotBlock: more than the semaphore holds are stuck in
// their handshakes, and another comes through.
func TestSilentConnectionsDoNotBlock(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := &Server{Handler: newRecording()}
		c := &Client{}
		if secure {
			s.TLSConfig, c.TLSConfig = serverTLS(t), clientTLS()
		}
		inMemory(t, s, func(t *testing.T, ln *pipeListener) {
			for range 8 * runtime.GOMAXPROCS(0) {
				nc := dialPipe(t, ln)
				_, _ = nc.Write([]byte{22, 3, 1, 1, 0}[:boolInt(secure)*5])
			}
			synctest.Wait()
			began := time.Now()
			c.Dial = ln.Dial
			scheme := "rtmp"
			if secure {
				scheme = "rtmps"
			}
			w, err := c.Create(t.Context(), scheme+"://host/live/cam", nil)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.Less(t, time.Since(began), time.Second)
		})
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestMaxConns(t *testing.T) {
	s := &Server{MaxConns: 2}
	inMemory(t, s, func(t *testing.T, ln *pipeListener) {
		a, b := dialPipe(t, ln), dialPipe(t, ln)
		began := time.Now()
		requireClosed(t, dialPipe(t, ln))
		require.Zero(t, time.Since(began))
		require.EqualValues(t, 1, s.Stats().Rejected)
		require.EqualValues(t, 2, s.Stats().Conns)
		_ = a.Close()
		synctest.Wait()
		newTestPeer(t, dialPipe(t, ln))
		_ = b
	})
}

func TestMaxConnsPerAddr(t *testing.T) {
	s := &Server{MaxConnsPerAddr: 1}
	url := startServer(t, s)
	p := dialPeer(t, url)
	addr := strings.Split(url, "/")[2]
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	requireClosed(t, nc)
	_ = nc.Close()
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if nc, err := other.Dial("tcp", addr); err == nil { // not everywhere
		newTestPeer(t, nc)
		_ = nc.Close()
	}
	_ = p.nc.Close()
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	dialPeer(t, url)
	require.EqualValues(t, 1, s.Stats().Rejected)
}

// TestAcceptBackoff: without descriptors the server waits longer and longer, up
// to a second, and serves again as soon as there are some.
func TestAcceptBackoff(t *testing.T) {
	inMemory(t, &Server{}, func(t *testing.T, ln *pipeListener) {
		emfile := &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
		var waits []time.Duration
		for range 10 {
			began := time.Now()
			ln.errs <- emfile
			synctest.Wait()
			waits = append(waits, time.Since(began))
		}
		require.Equal(t, []time.Duration{0, 5 * time.Millisecond, 10 * time.Millisecond}, waits[:3])
		require.Equal(t, time.Second, waits[9])
		began := time.Now()
		newTestPeer(t, dialPipe(t, ln))
		require.LessOrEqual(t, time.Since(began), time.Second)
		began = time.Now()
		ln.errs <- emfile
		ln.errs <- emfile
		require.Equal(t, 5*time.Millisecond, time.Since(began))
	})
}

func TestServeEnds(t *testing.T) {
	ln := newPipeListener()
	failed := errors.New("broken")
	go func() { ln.errs <- failed }()
	require.ErrorIs(t, new(Server).Serve(t.Context(), ln), failed)
	_, err := ln.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "the listener is left open")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- (&Server{Addr: "127.0.0.1:0"}).ListenAndServe(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) { // of Listen
		require.ErrorIs(t, err, ErrServerClosed)
	}
	require.Error(t, (&Server{Addr: "256.0.0.1:0"}).ListenAndServe(t.Context()))
}

// TestServeClosesAll: connections in every state end with the context.
func TestServeClosesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		ctx, cancel := context.WithCancel(t.Context())
		hub := &source.Hub{MaxWait: time.Hour}
		s := &Server{Handler: hub}
		done := make(chan error)
		go func() { done <- s.Serve(ctx, ln) }()
		silent := dialPipe(t, ln)
		connected := newTestPeer(t, dialPipe(t, ln))
		connected.connect()
		waiting := newTestPeer(t, dialPipe(t, ln))
		waiting.connect()
		waiting.call("play", nil, "missing")
		publisher := newTestPeer(t, dialPipe(t, ln))
		publisher.connect()
		publisher.publish()
		st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
		c := Client{Dial: ln.Dial}
		w, err := c.Create(t.Context(), "rtmp://host/live/b", st.Tracks())
		require.NoError(t, err)
		writeFrames(t, w, st, 10)
		viewer, err := c.Open(t.Context(), "rtmp://host/live/b")
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 6, s.Stats().Conns)
		cancel()
		require.ErrorIs(t, <-done, ErrServerClosed)
		require.Zero(t, s.Stats().Conns)
		requireClosed(t, silent)
		for _, p := range []*testPeer{connected, waiting, publisher} {
			p.requireClosed()
		}
		require.NoError(t, source.Copy(t.Context(), discard{}, viewer)) // to a proper end
		_ = viewer.Close()
		require.Error(t, w.Close())
		require.NoError(t, hub.Close())
	})
}

type discard struct{}

func (discard) WriteFrame(context.Context, *codec.Frame) error { return nil }
func (discard) Close() error                                   { return nil }

// writeFrames writes n frames of st.
func writeFrames(t testing.TB, w source.Writer, st testmedia.Stream, n int) []*codec.Frame {
	t.Helper()
	var fs []*codec.Frame
	for f := range st.Frames() {
		if len(fs) == n {
			break
		}
		require.NoError(t, w.WriteFrame(context.Background(), f))
		fs = append(fs, f)
	}
	return fs
}

// TestPanics: a bug that one peer can provoke ends that peer's session, is
// counted, and nobody else notices.
func TestPanics(t *testing.T) {
	var out lockedBuffer
	hub := newHub(t)
	s := &Server{Logger: slog.New(slog.NewTextHandler(&out, nil)), Handler: handlerFuncs{
		play: func(ctx context.Context, req *source.Request) (source.Reader, error) {
			if req.Key.Stream == "bug" {
				panic("play")
			}
			return hub.Play(ctx, req)
		},
		publish: func(ctx context.Context, req *source.Request) (source.Publication, error) {
			switch req.Key.Stream {
			case "bug":
				panic("publish")
			case "bad":
				return panicking{}, nil
			}
			return hub.Publish(ctx, req)
		},
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, ln) }()
	url := "rtmp://" + ln.Addr().String() + "/live/"

	other := connected(t, url)
	other.publish()
	for _, name := range []string{"play", "publish"} {
		p := connected(t, url)
		p.call(name, nil, "bug")
		p.requireClosed()
	}
	p := connected(t, url)
	p.call("publish", nil, "bad")
	require.Equal(t, codePublishStart, p.status())
	p.message(wire.TypeVideo, 0, "\x11\x00") // an unknown codec
	p.requireClosed()
	other.message(wire.TypeVideo, 0, "\x11\x00")
	other.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 7}))
	require.Equal(t, wire.TypeUserControl, other.next().Type)
	cancel()
	require.ErrorIs(t, <-done, ErrServerClosed)
	require.EqualValues(t, 4, s.Stats().PanicsTotal) // the last both when writing and when closing
	require.Zero(t, s.Stats().Conns)
	require.Contains(t, out.String(), "goroutine")
}

// panicking is a Publication with a bug.
type panicking struct{}

func (panicking) WriteFrame(context.Context, *codec.Frame) error { panic("frame") }
func (panicking) SetTracks([]*codec.Track, bool) error           { return nil }
func (panicking) Close() error                                   { panic("close") }
func (panicking) CloseWithError(error) error                     { panic("close") }

// A lockedBuffer can be written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestNoSecretsInLog: parameters hold tokens.
func TestNoSecretsInLog(t *testing.T) {
	var out lockedBuffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	url := startServer(t, &Server{Handler: newHub(t), Logger: logger})
	p := connected(t, url)
	p.call("publish", nil, "cam?token=hunter2")
	require.Equal(t, codePublishStart, p.status())
	q := connected(t, url)
	q.call("publish", nil, "cam?token=hunter2")
	require.Equal(t, codePublishBadName, q.status())
	q.requireClosed()
	p.call("deleteStream", nil, 1.0)
	p.requireClosed()
	q = connected(t, url)
	q.call("play", nil, "..?token=hunter2")
	q.requireClosed()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "publishing ended") }, 10*time.Second, time.Millisecond)
	require.NotContains(t, out.String(), "hunter2")
}

func TestForms(t *testing.T) {
	list := amf.Object{{Name: "fourCcList", Value: []any{"hvc1"}}}
	maps := amf.Object{{Name: "videoFourCcInfoMap", Value: amf.Object{{Name: "*", Value: 7.0}}}}
	require.True(t, announcesFourCC(list))
	require.True(t, announcesFourCC(maps))
	require.False(t, announcesFourCC(amf.Object{{Name: "fourCcList", Value: []any{}}}))
	require.False(t, announcesFourCC(nil))

	url := startServer(t, &Server{Handler: newHub(t), Form: flv.FormLegacy})
	st := testmedia.Stream{Video: codec.H265}
	w, err := Create(t.Context(), url+"cam", st.Tracks())
	require.NoError(t, err)
	defer w.Close()
	writeFrames(t, w, st, 5)
	for want, object := range map[byte]amf.Object{0x1c: nil, 0x90: list} {
		p := dialPeer(t, url)
		p.call("connect", append(amf.Object{{Name: "app", Value: "live"}}, object...))
		p.call("play", nil, "cam")
		m := p.next()
		for m.Type != wire.TypeVideo {
			m = p.next()
		}
		require.Equal(t, want, m.Body[0])
	}
}
