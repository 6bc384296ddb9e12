package rtsp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A camera is a server as bad as a test wants it.
type camera struct {
	sdp       string // of DESCRIBE
	base      string // Content-Base; "" is the URL and a slash, "-" none
	public    string // of OPTIONS
	transport string // of every answer to SETUP; "" is what was asked for, "-" none
	headers   string // of every answer, lines that end with \n
	session   string // of every answer to SETUP; "" is "4711;timeout=60"

	// answer, if set, may answer a request itself, and says whether it did.
	answer func(c *cameraConn, req *wire.Request) bool
	// played, if set, is called after PLAY was answered; the connection is closed
	// when it returns.
	played func(c *cameraConn)
}

// A cameraConn is a connection to a camera.
type cameraConn struct {
	*camera
	nc   net.Conn
	in   *wire.Reader
	seen []string // methods and URLs of requests
}

// start serves the camera until the test ends and returns the URL of its stream,
// with a user and password.
func (c *camera) start(t testing.TB) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[nc] = true
			mu.Unlock()
			running.Go(func() {
				defer nc.Close()
				(&cameraConn{camera: c, nc: nc, in: wire.NewReader(nc, 4096, cameraLimits())}).serve()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for nc := range open {
			nc.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return "rtsp://admin:pa%3Ass@" + ln.Addr().String() + "/cam"
}

// dial connects to the camera in memory, as the bubbles of synctest want it.
func (c *camera) dial(context.Context, string, string) (net.Conn, error) {
	client, server := memnet.Pipe(0)
	go func() {
		defer server.Close()
		(&cameraConn{camera: c, nc: server, in: wire.NewReader(server, 4096, cameraLimits())}).serve()
	}()
	return ipConn{client}, nil
}

// An ipConn says that it is one of loopback.
type ipConn struct{ net.Conn }

func (ipConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000} }
func (ipConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 554} }

// cameraLimits let everything in.
func cameraLimits() wire.Limits {
	return wire.Limits{Wanted: func(uint8) bool { return true }}
}

// serve answers until the client goes.
func (c *cameraConn) serve() {
	for {
		item, err := c.in.Next()
		if err != nil {
			return
		}
		req, ok := item.(*wire.Request)
		if !ok {
			continue
		}
		c.seen = append(c.seen, req.Method+" "+req.URL)
		if c.answer != nil && c.answer(c, req) {
			continue
		}
		switch req.Method {
		case wire.MethodOptions:
			c.reply(req, "200 OK", "Public: "+c.public+"\n", "")
		case wire.MethodDescribe:
			base := c.base
			if base == "" {
				base = req.URL + "/"
			}
			h := "Content-Type: application/sdp\n"
			if base != "-" {
				h += "Content-Base: " + base + "\n"
			}
			c.reply(req, "200 OK", h, c.sdp)
		case wire.MethodSetup:
			h := "Session: " + cmp.Or(c.session, "4711;timeout=60") + "\n"
			switch c.transport {
			case "":
				h += "Transport: " + req.Header.Get("Transport") + "\n"
			case "-":
			default:
				h += "Transport: " + c.transport + "\n"
			}
			c.reply(req, "200 OK", h, "")
		case wire.MethodPlay:
			c.reply(req, "200 OK", "", "")
			if c.played != nil {
				c.played(c)
				return
			}
		default:
			c.reply(req, "200 OK", "", "")
		}
	}
}

// reply answers req. Lines of headers end with \n.
func (c *cameraConn) reply(req *wire.Request, status, headers, body string) {
	head := "RTSP/1.0 " + status + "\nCSeq: " + req.Header.Get("CSeq") + "\n" + c.headers + headers
	if body != "" {
		body = strings.ReplaceAll(body, "\n", "\r\n")
		head += fmt.Sprintf("Content-Length: %d\n", len(body))
	}
	c.raw([]byte(strings.ReplaceAll(head+"\n", "\n", "\r\n") + body))
}

func (c *cameraConn) raw(b []byte) { _, _ = c.nc.Write(b) }

// untilClosed answers with success until the client has gone.
func (c *cameraConn) untilClosed() {
	for {
		item, err := c.in.Next()
		if err != nil {
			return
		}
		if req, ok := item.(*wire.Request); ok {
			c.seen = append(c.seen, req.Method+" "+req.URL)
			c.reply(req, "200 OK", "", "")
		}
	}
}

// listen tells what the client says from now on, until it has gone.
func (c *cameraConn) listen(tell func(wire.Item)) (gone <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			item, err := c.in.Next()
			if err != nil {
				return
			}
			tell(item)
			if req, ok := item.(*wire.Request); ok && req.Method == wire.MethodTeardown {
				c.reply(req, "200 OK", "", "")
				return
			}
		}
	}()
	return done
}

// A filmed is a stream as packets, each frame's in one piece, framed for a
// connection, and its description.
type filmed struct {
	sdp    string
	info   string // RTP-Info of an answer to PLAY
	frames []*codec.Frame
	wires  [][]byte
}

// filming returns the first d of st.
func filming(t testing.TB, st testmedia.Stream, d time.Duration) *filmed {
	t.Helper()
	m := newMuxer(st.Tracks())
	var p presentation
	for _, s := range m.sent() {
		p.medias = append(p.medias, s.media)
	}
	f := &filmed{sdp: strings.ReplaceAll(string(p.appendSDP(nil)), "\r\n", "\n"), frames: st.Take(d)}
	for _, fr := range f.frames {
		packets, err := m.Append(nil, fr)
		require.NoError(t, err)
		require.Len(t, packets, 1)
		f.wires = append(f.wires, packets[0].Wire)
		if len(f.wires) == 1 { // as servers do: reports come first
			var reports []byte
			var infos []string
			for i, s := range m.now().tracks {
				reports = append(reports, s.report...)
				infos = append(infos, fmt.Sprintf("url=trackID=%d;rtptime=%d", i, s.timestamp))
			}
			f.wires[0] = append(reports, f.wires[0]...)
			f.info = "RTP-Info: " + strings.Join(infos, ",") + "\n"
		}
	}
	return f
}

// withoutReports returns f without reports, which datagrams may overtake or not.
func (f *filmed) withoutReports() *filmed {
	g := *f
	g.wires = nil
	for _, w := range f.wires {
		var kept []byte
		for len(w) > 0 {
			n := 4 + int(w[2])<<8 + int(w[3])
			if w[1]%2 == 0 {
				kept = append(kept, w[:n]...)
			}
			w = w[n:]
		}
		g.wires = append(g.wires, kept)
	}
	return &g
}

// send sends all packets, each frame's by write.
func (f *filmed) send(write func(b []byte)) {
	for _, w := range f.wires {
		write(w)
	}
}

// bye returns the goodbyes of the tracks.
func (f *filmed) bye() []byte {
	var out []byte
	seen := map[byte]bool{}
	for _, w := range f.wires {
		for len(w) > 0 {
			n := 4 + int(w[2])<<8 + int(w[3])
			if channel := w[1]; channel%2 == 0 && !seen[channel] {
				seen[channel] = true
				ssrc := w[4+8 : 4+12]
				out = append(out, '$', channel+1, 0, 16)
				out = append(append(out, 0x80, 201, 0, 1), ssrc...) // a receiver report without blocks
				out = append(append(out, 0x81, 203, 0, 1), ssrc...)
			}
			w = w[n:]
		}
	}
	return out
}

// camStream is what cameras of tests show.
var camStream = testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, Bitrate: 500_000, GOP: time.Second}

// onlyVideo is a stream of one track.
var onlyVideo = testmedia.Stream{Video: codec.H264, Bitrate: 500_000, GOP: time.Second}

// soon is a context for what must happen in a test.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// readAll reads until the stream's graceful end.
func readAll(t testing.TB, r source.Reader) []*codec.Frame {
	t.Helper()
	var all []*codec.Frame
	for {
		f, err := r.ReadFrame(soon(t))
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, f)
	}
}

// requireSame requires that got has the frames of want, each kind's with their
// times in step.
func requireSame(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		want, got := ofKind(want, k), ofKind(got, k)
		require.Len(t, got, len(want), k)
		if len(want) == 0 {
			continue
		}
		shift := got[0].PTS - want[0].PTS
		for i, f := range got {
			require.Equal(t, want[i].Data, f.Data, "%v %d", k, i)
			require.Equal(t, want[i].Key(), f.Key(), "%v %d", k, i)
			require.InDelta(t, want[i].PTS+shift, f.PTS, float64(time.Millisecond), "%v %d", k, i)
			require.InDelta(t, want[i].DTS+shift, f.DTS, float64(time.Millisecond), "%v %d", k, i)
		}
	}
}
