package rtmp

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A stage is how far an attacker gets before it attacks.
type stage int

const (
	shaken stage = iota
	connectedTo
	publishing
	watching
)

var stages = map[stage]string{shaken: "after the handshake", connectedTo: "connected", publishing: "publishing", watching: "playing"}

// header returns a full chunk header.
func header(chunkStream byte, typ wire.Type, length int) string {
	return string([]byte{chunkStream, 0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), byte(typ), 1, 0, 0, 0})
}

// control returns a message of a protocol type, with any body.
func control(typ wire.Type, body string) string { return header(2, typ, len(body)) + body }

// command returns a command with raw AMF values after its name.
func command(name, values string) string {
	body := string(amf.Append(nil, name)) + values
	return string(wire.AppendMessage(nil, 3, wire.TypeCommand, 1, 0, wire.DefaultChunkSize, nil, []byte(body)))
}

// attacks are what no peer may get away with: each ends the attacker's
// connection, wherever it is.
var attacks = []struct {
	row, name string
	wire      string
	spares    []stage // stages in which the server takes no notice
}{
	{"R2", "chunk size 0", control(wire.TypeSetChunkSize, "\x00\x00\x00\x00"), nil},
	{"R2", "chunk size with the first bit set", control(wire.TypeSetChunkSize, "\x80\x00\x00\x80"), nil},
	{"R2", "chunk size with an empty body", control(wire.TypeSetChunkSize, ""), nil},
	{"R2", "chunk size with a short body", control(wire.TypeSetChunkSize, "\x00\x00\x80"), nil},
	{"R3", "command of 16 MB", header(3, wire.TypeCommand, 0xffffff), nil},
	{"R3", "media of 16 MB", header(6, wire.TypeVideo, 0xffffff) + strings.Repeat("x", 128), []stage{watching}},
	{"R3", "65 chunk streams", manyChunkStreams(70), nil},
	{"R4", "form 3 without a header", "\xff", nil},
	{"R4", "form 2 without a header", "\xbf\x00\x00\x00", nil},
	{"R4", "form 1 without a header", "\x7f\x00\x00\x00\x00\x00\x01\x08", nil},
	{"R5", "short abort", control(wire.TypeAbort, "\x00\x00"), nil},
	{"R5", "short acknowledgement", control(wire.TypeAcknowledgement, "\x00\x00"), nil},
	{"R5", "short user control", control(wire.TypeUserControl, "\x00"), nil},
	{"R5", "short ping", control(wire.TypeUserControl, "\x00\x06\x00"), nil},
	{"R5", "short window", control(wire.TypeWindowAckSize, "\x00\x00"), nil},
	{"R5", "short bandwidth", control(wire.TypeSetPeerBandwidth, "\x00\x00"), nil},
	{"R6", "nesting", command("x", strings.Repeat("\x03\x00\x01a", 10_000)), nil},
	{"R6", "nesting of arrays", command("x", strings.Repeat("\x0a\x00\x00\x00\x01", 10_000)), nil},
	{"R6", "2^32 elements", command("x", "\x0a\xff\xff\xff\xff"), nil},
	{"R6", "2^32 properties", command("x", "\x08\xff\xff\xff\xff"), nil},
	{"R6", "long string", command("x", "\x0c\xff\xff\xff\xff"), nil},
	{"R6", "reference to nothing", command("x", "\x07\xff\xff"), nil},
	{"R6", "many values", command("x", strings.Repeat("\x05", 5_000)), nil},
	{"R6", "AMF3 nesting", command("x", "\x11"+strings.Repeat("\x09\x03\x01", 5_000)), nil},
	{"R6", "AMF3 2^28 elements", command("x", "\x11\x09\xff\xff\xff\xff\x01"), nil},
	{"R6", "no name", header(3, wire.TypeCommand, 1) + "\x05", nil},
	{"R7", "createStream flood", strings.Repeat(command("createStream", "\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x05"), 20), []stage{watching}},
	{"R7", "connect again", strings.Repeat(command("connect", ""), 2), []stage{watching}},
	{"R8", "bad frames", strings.Repeat(header(6, wire.TypeVideo, 3)+"\x17\x01\x00", 100), []stage{shaken, connectedTo, watching}},
}

func manyChunkStreams(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("\x00" + string([]byte{byte(i)}) + header(0, wire.TypeAudio, 0)[1:])
	}
	return b.String()
}

// A bystander publishes, watches itself, and must not lose anything.
type bystander struct {
	stop    chan struct{}
	pushing sync.WaitGroup
	sent    []*codec.Frame
	viewer  source.Reader
	got     []*codec.Frame
	err     error
}

func newBystander(t *testing.T, url string) *bystander {
	t.Helper()
	b := &bystander{stop: make(chan struct{})}
	w, err := Create(t.Context(), url+"bystander", testStream.Tracks())
	require.NoError(t, err)
	first := make(chan struct{})
	b.pushing.Go(func() {
		began := time.Now()
		for f := range testStream.Frames() {
			time.Sleep(time.Until(began.Add(f.DTS)))
			if b.err = w.WriteFrame(context.Background(), f); b.err != nil {
				return
			}
			if b.sent = append(b.sent, f); len(b.sent) == 10 {
				close(first)
			}
			select {
			case <-b.stop:
				b.err = w.Close()
				return
			default:
			}
		}
	})
	<-first
	b.viewer, err = Open(t.Context(), url+"bystander")
	require.NoError(t, err)
	b.pushing.Go(func() {
		_ = source.Copy(context.Background(), writerFunc(func(f *codec.Frame) { b.got = append(b.got, f) }), b.viewer)
	})
	return b
}

func (b *bystander) requireUnharmed(t *testing.T) {
	t.Helper()
	close(b.stop)
	b.pushing.Wait()
	require.NoError(t, b.err)
	require.NoError(t, b.viewer.Close())
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		sent, got := ofKind(b.sent, k), ofKind(b.got, k)
		require.NotEmpty(t, got)
		require.GreaterOrEqual(t, len(sent), len(got))
		sent = sent[len(sent)-len(got):]
		for i := range got {
			require.Equal(t, sent[i].Data, got[i].Data, "a frame is missing")
		}
	}
}

// attacker returns a peer that has got to a stage. n makes its stream's name.
func attacker(t *testing.T, url string, at stage, name string) *testPeer {
	t.Helper()
	p := dialPeer(t, url)
	if at >= connectedTo {
		p.connect()
	}
	switch at {
	case publishing:
		p.call("publish", nil, name)
		require.Equal(t, codePublishStart, p.status())
	case watching:
		p.call("play", nil, "bystander")
		for p.status() != codePublishNotify {
		}
	}
	return p
}

// TestAttacks: rows R2 to R8 at every stage, with others on the same server.
func TestAttacks(t *testing.T) {
	s := &Server{Handler: newHub(t)}
	url := startServer(t, s)
	other := newBystander(t, url)
	for i, a := range attacks {
		for at, name := range stages {
			t.Run(a.row+" "+a.name+" "+name, func(t *testing.T) {
				p := attacker(t, url, at, "attacker"+string(rune('A'+i)))
				_, err := p.nc.Write([]byte(a.wire))
				if !slices.Contains(a.spares, at) {
					p.requireClosed() // before it said goodbye
					return
				}
				require.NoError(t, err)
				p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 77}))
				for p.userControl().Event != wire.EventPingResponse {
				}
			})
		}
	}
	other.requireUnharmed(t)
}

// TestGarbageFlood: row R1, with media unaffected.
func TestGarbageFlood(t *testing.T) {
	s := &Server{Handler: newHub(t)}
	url := startServer(t, s)
	other := newBystander(t, url)
	addr := strings.Split(url, "/")[2]
	n := 1000
	if testing.Short() || raceEnabled {
		n = 200
	}
	for i := range n {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, _ = nc.Write([]byte([]string{"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01", "\x03garbage", "\xff\xff"}[i%4]))
		if i%4 != 2 {
			_, _ = io.Copy(io.Discard, nc)
		}
		reset(nc)
	}
	other.requireUnharmed(t)
	require.Eventually(t, func() bool { return s.Stats().HandshakesFailed == uint64(n) }, 10*time.Second, time.Millisecond)
}

// reset closes a connection so that it leaves nothing behind in the system.
func reset(nc net.Conn) {
	_ = nc.(*net.TCPConn).SetLinger(0)
	_ = nc.Close()
}

// TestChunkSizes: row R2, what works.
func TestChunkSizes(t *testing.T) {
	for _, size := range []uint32{1, 2, 127, 60000, wire.MaxChunkSize, 0x7fffffff} {
		rec := newRecording()
		p := connected(t, startServer(t, &Server{Handler: rec}))
		p.write(wire.AppendControl(nil, p.size, wire.SetChunkSize{Size: size}))
		p.size = int(min(size, wire.MaxChunkSize))
		p.publish()
		body := opaqueVideo + strings.Repeat("x", 5000)
		p.message(wire.TypeVideo, 0, body)
		p.call("deleteStream", nil, 1.0)
		require.NoError(t, <-rec.ended)
		require.Equal(t, body, string(rec.frames[0].Data))
	}
}

// TestMessageLimits: row R3. 10 MiB pass once a publisher is accepted, 64 KiB
// before, and MaxMessage sets it.
func TestMessageLimits(t *testing.T) {
	send := func(p *testPeer, typ wire.Type, n int) {
		p.write(wire.AppendControl(nil, p.size, wire.SetChunkSize{Size: 60000}))
		p.size = 60000
		go func() { // the server may close while it is being written
			_, _ = p.nc.Write(wire.AppendMessage(nil, 9, typ, 1, 0, p.size, nil, append([]byte(opaqueVideo), make([]byte, n-len(opaqueVideo))...)))
			_, _ = p.nc.Write(wire.AppendControl(nil, p.size, wire.UserControl{Event: wire.EventPingRequest}))
		}()
	}
	alive := func(p *testPeer) bool {
		for {
			m, err := p.in.Next()
			if err != nil {
				return false
			}
			if m.Type == wire.TypeUserControl {
				return true
			}
		}
	}
	for _, c := range []struct {
		name    string
		max     int
		publish bool
		size    int
		ok      bool
	}{
		{"10 MiB", 0, true, 10 << 20, true},
		{"more", 0, true, 10<<20 + 1, false},
		{"as set", 1 << 20, true, 1 << 20, true},
		{"more than set", 1 << 20, true, 1<<20 + 1, false},
		{"64 KiB before", 0, false, 64 << 10, true},
		{"more before", 0, false, 64<<10 + 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connected(t, startServer(t, &Server{Handler: newRecording(), MaxMessage: c.max}))
			if c.publish {
				p.publish()
			}
			send(p, wire.TypeVideo, c.size)
			require.Equal(t, c.ok, alive(p))
		})
	}
}

// TestTruncatedConfigs: row R8. Decoder configurations cut at every byte and
// with every byte changed never end a stream that sends good frames between.
func TestTruncatedConfigs(t *testing.T) {
	for _, v := range []codec.Codec{codec.H264, codec.H265, codec.AV1, codec.VP9} {
		st := testStream
		st.Video = v
		rec := newRecording()
		s := &Server{Handler: rec}
		p := connected(t, startServer(t, s))
		p.publish()
		ms := bodies(t, st, 2)
		good := ms[len(ms)-1]
		for _, m := range ms[1:] {
			for n := range m.Body {
				if n > 100 {
					break
				}
				bad := slices.Clone(m.Body)
				bad[n] ^= 0xff
				p.message(m.Type, 0, string(m.Body[:n]))
				p.message(m.Type, 0, string(bad))
				if n%20 == 0 {
					for _, m := range ms {
						p.message(m.Type, 0, string(m.Body))
					}
				}
			}
		}
		for _, m := range ms {
			p.message(m.Type, 0, string(m.Body))
		}
		p.call("deleteStream", nil, 1.0)
		require.NoError(t, <-rec.ended, "the stream was closed")
		require.Equal(t, string(good.Body[len(good.Body)-20:]), string(rec.frames[len(rec.frames)-1].Data[len(rec.frames[len(rec.frames)-1].Data)-20:]))
		require.NotZero(t, s.Stats().FramesDropped)
	}
}

// TestNoAcknowledgements: row R11. A viewer that never acknowledges anything is
// sent all the same.
func TestNoAcknowledgements(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	st := testStream
	w, err := Create(t.Context(), url+"cam", st.Tracks())
	require.NoError(t, err)
	frames := writeFrames(t, w, st, 10)
	p := connected(t, url)
	p.call("play", nil, "cam")
	for p.status() != codePublishNotify {
	}
	received := 0
	big := *frames[0]
	big.Data = append(binary.BigEndian.AppendUint32(nil, 500_000), append([]byte{0x65}, make([]byte, 499_999)...)...)
	for i := 0; received < 3*ackWindow; i++ {
		f := big
		f.DTS = time.Duration(i+10) * 40 * time.Millisecond
		f.PTS = f.DTS
		require.NoError(t, w.WriteFrame(t.Context(), &f))
		m := p.next()
		for ; len(m.Body) < 400_000; m = p.next() {
		}
		received += len(m.Body)
	}
	require.NoError(t, w.Close())
}

// TestMemoryBeforeAuth: row G2. What an unknown peer can make the server keep.
func TestMemoryBeforeAuth(t *testing.T) {
	if raceEnabled {
		t.Skip("measures memory")
	}
	announced := func(p *testPeer) {
		for i := range 12 { // messages of 64 KiB, begun on 12 chunk streams
			p.write([]byte(header(byte(10+i), wire.TypeVideo, 64<<10) + strings.Repeat("x", 128)))
		}
	}
	for _, c := range []struct {
		name  string
		limit int
		peer  func(nc net.Conn)
	}{
		{"silent", 64 << 10, func(net.Conn) {}},
		{"after C1", 64 << 10, func(nc net.Conn) { _, _ = nc.Write(make3()); _, _ = io.CopyN(io.Discard, nc, handshake.Reply) }},
		{"announcing", 64 << 10, func(nc net.Conn) { announced(newTestPeer(t, nc)) }},
		{"sending", 256 << 10, func(nc net.Conn) {
			p := newTestPeer(t, nc)
			p.connect()
			for _, typ := range []wire.Type{wire.TypeVideo, wire.TypeAudio, wire.TypeData} { // configurations that come too early
				config := map[wire.Type]string{wire.TypeVideo: "\x17\x00", wire.TypeAudio: "\xaf\x00"}[typ]
				p.message(typ, 0, config+strings.Repeat("x", 10<<10-len(config)))
			}
			p.write([]byte(header(5, wire.TypeVideo, 64<<10)))
			for sent := 0; ; { // all but the last chunk
				p.write([]byte(strings.Repeat("x", 128)))
				if sent += 128; sent > 63<<10 {
					break
				}
				p.write([]byte("\xc5"))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 50
			s := &Server{}
			url := startServer(t, s)
			addr := strings.Split(url, "/")[2]
			before := inUse()
			var conns []net.Conn
			for range n {
				nc, err := net.Dial("tcp", addr)
				require.NoError(t, err)
				_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
				c.peer(nc)
				conns = append(conns, nc)
			}
			require.Eventually(t, func() bool { return s.Stats().Accepted == n }, 5*time.Second, time.Millisecond)
			each := (inUse() - before) / n
			t.Logf("%d bytes each, with the attacker's side of it", each)
			require.EqualValues(t, n, s.Stats().Conns)
			require.Less(t, each, int64(c.limit))
			for _, nc := range conns {
				reset(nc)
			}
		})
	}
}

// inUse returns the bytes of heap and stacks in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestConnectCycles: row G9. Ten thousand connections of all sorts leave
// nothing behind.
func TestConnectCycles(t *testing.T) {
	n := 10_000
	if testing.Short() || raceEnabled {
		n = 1_000
	}
	hub := &source.Hub{MaxWait: -1, Options: source.StreamOptions{Linger: -1}}
	ctx, cancel := context.WithCancel(t.Context())
	s := &Server{Handler: hub}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- s.Serve(ctx, ln) }()
	url := "rtmp://" + ln.Addr().String() + "/live/"

	var goroutines, files int
	var heap int64
	for i := range n + 100 {
		if i == 100 { // the first ones warm up
			require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
			goroutines, files, heap = runtime.NumGoroutine(), openFiles(), inUse()
		}
		cycle(t, url, i)
	}
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; { // require.Eventually has goroutines of its own
		require.True(t, time.Now().Before(deadline), "%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, openFiles(), files)
	require.Less(t, inUse()-heap, int64(8<<20))
	require.Zero(t, s.Stats().PanicsTotal)
	cancel()
	require.ErrorIs(t, <-done, ErrServerClosed)
	require.NoError(t, hub.Close())
}

func cycle(t *testing.T, url string, i int) {
	nc, err := net.Dial("tcp", strings.Split(url, "/")[2])
	require.NoError(t, err)
	defer reset(nc)
	if i%8 == 0 { // closed at once
		return
	}
	if i%8 == 1 { // garbage
		_, _ = nc.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
		return
	}
	p := newTestPeer(t, nc)
	if i%8 == 2 { // handshake only
		return
	}
	p.connect()
	switch i % 8 {
	case 4: // missing stream
		p.call("play", nil, "missing")
		require.Equal(t, codePlayNotFound, p.status())
	case 5: // lost publisher
		p.publish()
		p.message(wire.TypeVideo, 0, opaqueVideo)
		require.NoError(t, nc.(*net.TCPConn).CloseWrite())
	case 6: // goodbye
		p.publish()
		p.message(wire.TypeVideo, 0, opaqueVideo)
		p.call("deleteStream", nil, 1.0)
		require.Equal(t, codeUnpublishSuccess, p.status())
	case 7: // publisher and viewer
		p.publish()
		p.message(wire.TypeVideo, 0, "\x12key")
		p.message(wire.TypeAudio, 0, "\xb2sound")
		nc2, err := net.Dial("tcp", nc.RemoteAddr().String())
		require.NoError(t, err)
		defer reset(nc2)
		q := newTestPeer(t, nc2)
		q.connect()
		q.call("play", nil, "cam")
		q.status() // it plays, or came before the stream was there
		p.call("deleteStream", nil, 1.0)
		require.Equal(t, codeUnpublishSuccess, p.status())
	}
	if i%8 == 5 { // the name is free when the session has ended
		p.requireClosed()
	}
}

func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not on this system
	}
	return len(names)
}
