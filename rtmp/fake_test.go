package rtmp

import (
	"context"
	"io"
	"net"
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

// handlerFuncs is a Handler of two functions.
type handlerFuncs struct {
	play    func(context.Context, *source.Request) (source.Reader, error)
	publish func(context.Context, *source.Request) (source.Publication, error)
}

func (h handlerFuncs) Play(ctx context.Context, req *source.Request) (source.Reader, error) {
	return h.play(ctx, req)
}

func (h handlerFuncs) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	return h.publish(ctx, req)
}

// A recording is a Publication that keeps what it gets, and a Handler that gives
// it to everybody.
type recording struct {
	mu       sync.Mutex
	req      *source.Request
	tracks   []*codec.Track
	complete bool
	frames   []*codec.Frame
	ended    chan error // gets what CloseWithError got
	fail     error      // of WriteFrame
}

func newRecording() *recording { return &recording{ended: make(chan error, 10)} }

func (r *recording) Play(context.Context, *source.Request) (source.Reader, error) {
	return nil, source.ErrNotFound
}

func (r *recording) Publish(_ context.Context, req *source.Request) (source.Publication, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.req = req
	return r, nil
}

func (r *recording) WriteFrame(_ context.Context, f *codec.Frame) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
	return r.fail
}

func (r *recording) SetTracks(tracks []*codec.Track, complete bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracks, r.complete = tracks, complete
	return nil
}

func (r *recording) Close() error { return r.CloseWithError(nil) }

func (r *recording) CloseWithError(err error) error {
	r.ended <- err
	return nil
}

// got returns the frames that have arrived.
func (r *recording) got() []*codec.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*codec.Frame(nil), r.frames...)
}

// A testPeer is the other side of a connection, which says exactly what a test
// wants.
type testPeer struct {
	t    testing.TB
	nc   net.Conn
	in   *wire.Reader
	size int // of the chunks it sends
}

var testPeerLimits = wire.Limits{Streams: 64, Media: 16 << 20, Other: 1 << 20, Pending: 64 << 20, Ahead: 1 << 20}

// newTestPeer does a client's handshake on nc.
func newTestPeer(t testing.TB, nc net.Conn) *testPeer {
	t.Helper()
	var b [handshake.Reply]byte
	handshake.Offer(b[:handshake.Opening], false)
	_, err := nc.Write(b[:handshake.Opening])
	require.NoError(t, err)
	_, err = io.ReadFull(nc, b[:])
	require.NoError(t, err)
	_, err = nc.Write(b[1:handshake.Opening])
	require.NoError(t, err)
	return &testPeer{t: t, nc: nc, in: wire.NewReader(nc, make([]byte, 4096), testPeerLimits), size: wire.DefaultChunkSize}
}

// dialPeer connects to a URL of startServer.
func dialPeer(t testing.TB, url string) *testPeer {
	t.Helper()
	a, err := parseURL(url + "x")
	require.NoError(t, err)
	nc, err := net.Dial("tcp", a.hostPort)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	return newTestPeer(t, nc)
}

// connected returns the peer of a URL after connect, whose answer was read.
func connected(t testing.TB, url string) *testPeer {
	t.Helper()
	p := dialPeer(t, url)
	p.connect()
	return p
}

func (p *testPeer) connect() {
	p.t.Helper()
	p.call("connect", amf.Object{{Name: "app", Value: "live"}, {Name: "tcUrl", Value: "rtmp://host/live"}})
	require.Equal(p.t, "_result", p.command().Name)
	require.Equal(p.t, "onBWDone", p.command().Name)
}

// write writes bytes as they are.
func (p *testPeer) write(b []byte) {
	p.t.Helper()
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

// call sends a command with transaction 1.
func (p *testPeer) call(name string, object any, args ...any) {
	p.t.Helper()
	p.write(wire.AppendCommand(nil, streamID, p.size, wire.Command{Name: name, ID: 1, Object: object, Args: args}))
}

// message sends a message on a chunk stream of its type's own.
func (p *testPeer) message(typ wire.Type, stamp uint32, body string) {
	p.t.Helper()
	p.write(wire.AppendMessage(nil, 10+uint8(typ), typ, streamID, stamp, p.size, nil, []byte(body)))
}

// next returns the next message.
func (p *testPeer) next() wire.Message {
	p.t.Helper()
	m, err := p.in.Next()
	require.NoError(p.t, err)
	return m
}

// command returns the next command, leaving out other messages.
func (p *testPeer) command() *wire.Command {
	p.t.Helper()
	for {
		m := p.next()
		if m.Type == wire.TypeCommand {
			cmd := new(wire.Command)
			require.NoError(p.t, cmd.Unmarshal(m.Type, m.Body))
			return cmd
		}
	}
}

// status returns the code of the next onStatus, leaving out other messages.
func (p *testPeer) status() string {
	p.t.Helper()
	for {
		if cmd := p.command(); cmd.Name == "onStatus" {
			code, _, _, _ := status(cmd)
			return code
		}
	}
}

// requireClosed reads until the end of the connection.
func (p *testPeer) requireClosed() {
	p.t.Helper()
	requireClosed(p.t, p.nc)
}

func requireClosed(t testing.TB, nc net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, nc)
	if ne, ok := err.(net.Error); ok {
		require.False(t, ne.Timeout(), "not closed")
	}
}

// publish makes p a publisher of "live/cam".
func (p *testPeer) publish() {
	p.t.Helper()
	p.call("publish", nil, "cam", "live")
	require.Equal(p.t, codePublishStart, p.status())
}
