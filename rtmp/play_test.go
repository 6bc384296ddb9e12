package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A file is a Reader that can seek, stand still and change its speed. It has
// the frames of testStream, without end.
type file struct {
	mu     sync.Mutex
	tracks []*codec.Track
	frames []*codec.Frame
	next   int
	orders []string
	closed chan struct{}
	once   sync.Once
	fail   error // of Seek and SetSpeed
}

func newFile() *file {
	f := &file{tracks: testStream.Tracks(), closed: make(chan struct{})}
	for fr := range testStream.Frames() {
		if f.frames = append(f.frames, fr); len(f.frames) == 500 {
			break
		}
	}
	return f
}

func (f *file) Tracks() []*codec.Track { return f.tracks }

func (f *file) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.closed:
		return nil, source.ErrClosed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == len(f.frames) {
		return nil, io.EOF
	}
	f.next++
	return f.frames[f.next-1], nil
}

func (f *file) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *file) order(s string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, s)
	return f.fail
}

func (f *file) ordered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orders
}

func (f *file) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	return t, f.order("seek " + t.String())
}

func (f *file) Duration() time.Duration { return time.Minute }

func (f *file) Pause(on bool) error {
	return f.order(fmt.Sprintf("pause %v", on))
}

func (f *file) SetSpeed(speed float64) error {
	return f.order(fmt.Sprintf("speed %v", speed))
}

func (f *file) Play(context.Context, *source.Request) (source.Reader, error) { return f, nil }
func (f *file) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// TestPlay holds the order of all that a viewer is sent.
func TestPlay(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	w, err := Create(t.Context(), url+"cam", testStream.Tracks())
	require.NoError(t, err)
	want := writeFrames(t, w, testStream, 20)
	p := connected(t, url)
	p.call("createStream", nil)
	p.command()
	p.call("play", nil, "cam", -2.0)

	var got []string
	for {
		m := p.next()
		if m.Type == wire.TypeVideo && m.Body[1] == 1 {
			require.EqualValues(t, 1, m.StreamID)
			require.EqualValues(t, want[0].Data, m.Body[5:])
			break
		}
		switch m.Type {
		case wire.TypeUserControl:
			var u wire.UserControl
			_, err := u.Unmarshal(m.Body)
			require.NoError(t, err)
			require.Equal(t, wire.UserControl{Event: wire.EventStreamBegin, Value: 1}, u)
			got = append(got, "StreamBegin")
		case wire.TypeCommand:
			var cmd wire.Command
			require.NoError(t, cmd.Unmarshal(m.Type, m.Body))
			code, level, _, _ := status(&cmd)
			require.Equal(t, "onStatus", cmd.Name)
			require.Equal(t, "status", level)
			require.EqualValues(t, 1, m.StreamID)
			got = append(got, code)
		case wire.TypeData:
			values, err := amf.Unmarshal(m.Body)
			require.NoError(t, err)
			got = append(got, values[0].(string))
			require.Equal(t, 1280.0, amf.Get(values[1], "width"))
			require.Zero(t, m.Timestamp)
		case wire.TypeVideo, wire.TypeAudio:
			require.Zero(t, m.Timestamp)
			require.Zero(t, m.Body[1], "a frame before the video's key frame")
			got = append(got, map[wire.Type]string{wire.TypeVideo: "video config", wire.TypeAudio: "audio config"}[m.Type])
		}
	}
	require.Equal(t, []string{
		"StreamBegin", "NetStream.Play.Reset", "NetStream.Play.Start", "NetStream.Play.PublishNotify",
		"onMetaData", "video config", "audio config",
	}, got)

	require.NoError(t, w.Close())
	require.Equal(t, "NetStream.Play.UnpublishNotify", p.status())
	m := p.next()
	var u wire.UserControl
	_, err = u.Unmarshal(m.Body)
	require.NoError(t, err)
	require.Equal(t, wire.UserControl{Event: wire.EventStreamEOF, Value: 1}, u)
	_, err = p.in.Next()
	require.ErrorIs(t, err, io.EOF)
}

// TestPlayMissing: a viewer waits for a stream, longer than for a handshake, and
// then is told that there is none. Meanwhile the connection lives.
func TestPlayMissing(t *testing.T) {
	hub := &source.Hub{}
	inMemory(t, &Server{Handler: hub}, func(t *testing.T, ln *pipeListener) {
		p := newTestPeer(t, dialPipe(t, ln))
		p.connect()
		time.Sleep(9 * time.Second)
		began := time.Now()
		p.call("play", nil, "missing")
		for range 10 {
			time.Sleep(time.Second)
			p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 5}))
			require.Equal(t, wire.TypeUserControl, p.next().Type)
		}
		p.message(wire.TypeVideo, 0, opaqueVideo) // of no use to anybody
		p.call("play", nil, "other")
		require.Equal(t, codePlayFailed, p.status())
		require.Equal(t, codePlayNotFound, p.status())
		require.Equal(t, 15*time.Second, time.Since(began))
		p.requireClosed()
		require.NoError(t, hub.Close())
	})
}

func TestPlayBeforePublish(t *testing.T) {
	url := startServer(t, &Server{Handler: newHub(t)})
	p := connected(t, url)
	p.call("play", nil, "cam")
	w, err := Create(t.Context(), url+"cam", testStream.Tracks())
	require.NoError(t, err)
	defer w.Close()
	writeFrames(t, w, testStream, 5)
	require.Equal(t, codePlayReset, p.status())
}

// TestPlayerLeavesEarly: the Handler is told when nobody waits any more.
func TestPlayerLeavesEarly(t *testing.T) {
	for _, leave := range []func(p *testPeer){
		func(p *testPeer) { _ = p.nc.Close() },
		func(p *testPeer) { p.call("deleteStream", nil, 1.0) },
		func(p *testPeer) { p.call("closeStream", nil) },
		func(p *testPeer) { p.write([]byte{0xff}) },
	} {
		for _, saysYes := range []bool{true, false} {
			f := newFile()
			told := make(chan bool, 1)
			inMemory(t, &Server{Handler: handlerFuncs{play: func(ctx context.Context, req *source.Request) (source.Reader, error) {
				<-ctx.Done()
				told <- true
				if saysYes {
					return f, nil
				}
				return nil, ctx.Err()
			}}}, func(t *testing.T, ln *pipeListener) {
				f.closed = make(chan struct{})
				p := newTestPeer(t, dialPipe(t, ln))
				p.connect()
				p.call("play", nil, "cam")
				time.Sleep(time.Minute)
				require.Empty(t, told)
				leave(p)
				time.Sleep(2 * time.Second)
				require.True(t, <-told)
				if saysYes {
					<-f.closed
				}
			})
		}
	}
}

func TestPlayRefused(t *testing.T) {
	for err, want := range map[error]string{
		source.ErrNotFound:     codePlayNotFound,
		source.ErrUnauthorized: codePlayBadAuth,
		source.ErrForbidden:    codePlayBadAuth,
		errors.New("broken"):   codePlayFailed,
	} {
		url := startServer(t, &Server{Handler: handlerFuncs{play: func(context.Context, *source.Request) (source.Reader, error) {
			return nil, source.Refuse(err, "because")
		}}})
		p := connected(t, url)
		p.call("play", nil, "cam")
		code, level, text, _ := status(p.command())
		require.Equal(t, []string{want, "error", "because"}, []string{code, level, text})
		p.requireClosed()
	}
}

// playing returns a peer that plays f.
func playing(t *testing.T, h source.Handler) *testPeer {
	t.Helper()
	p := connected(t, startServer(t, &Server{Handler: h}))
	p.call("play", nil, "cam")
	for p.status() != codePublishNotify {
	}
	return p
}

func (p *testPeer) userControl() wire.UserControl {
	p.t.Helper()
	for {
		if m := p.next(); m.Type == wire.TypeUserControl {
			var u wire.UserControl
			_, err := u.Unmarshal(m.Body)
			require.NoError(p.t, err)
			return u
		}
	}
}

func TestViewerCommands(t *testing.T) {
	f := newFile()
	p := playing(t, f)
	p.call("pause", nil, true, 1000.0)
	require.Equal(t, codePauseNotify, p.status())
	require.Equal(t, wire.UserControl{Event: wire.EventStreamEOF, Value: 1}, p.userControl())
	p.call("pause", nil, false, 1000.0)
	require.Equal(t, codeUnpauseNotify, p.status())
	require.Equal(t, wire.UserControl{Event: wire.EventStreamBegin, Value: 1}, p.userControl())
	for _, ms := range []float64{1500, -5, math.NaN()} {
		p.call("seek", nil, ms)
		require.Equal(t, codeSeekNotify, p.status())
	}
	p.call("onPlayCtrl", nil, amf.Object{{Name: "ctrlType", Value: "speed"}, {Name: "speed", Value: 2.0}})
	require.Equal(t, codeSpeedNotify, p.status())
	require.Equal(t, []string{"pause true", "pause false", "seek 1.5s", "seek 0s", "seek 0s", "speed 2"}, f.ordered())

	f.mu.Lock()
	f.fail = errTest
	f.mu.Unlock()
	p.call("seek", nil, 0.0)
	require.Equal(t, codeSeekFailed, p.status())
	p.call("onPlayCtrl", nil, amf.Object{{Name: "speed", Value: 100.0}})
	require.Equal(t, codePlayFailed, p.status())
	p.call("onPlayCtrl", nil) // nothing to do

	for name, want := range map[string]string{"play": codePlayFailed, "play2": codePlayFailed, "publish": codePublishBadName} {
		p.call(name, nil, "other")
		require.Equal(t, want, p.status())
	}
	p.call("createStream", nil)
	require.Equal(t, "_error", p.command().Name)
	p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 9}))
	require.Equal(t, wire.UserControl{Event: wire.EventPingResponse, Value: 9}, p.userControl())
	p.call("deleteStream", nil, 1.0)
	p.requireClosed()
	<-f.closed
}

// TestPlayFileEnds: a file ends with Play.Stop, a stream is unpublished.
func TestPlayFileEnds(t *testing.T) {
	f := newFile()
	f.frames = f.frames[:10]
	p := playing(t, f)
	require.Equal(t, codePlayStop, p.status())
	require.Equal(t, wire.EventStreamEOF, p.userControl().Event)
	p.requireClosed()
}

func TestPlay2(t *testing.T) {
	p := connected(t, startServer(t, &Server{Handler: newFile()}))
	p.call("play2", nil, amf.Object{{Name: "streamName", Value: "cam"}})
	require.Equal(t, codePlayReset, p.status())
}

// TestPauseLive: of a live stream nothing is sent, then it goes on at a key
// frame. There is nothing to seek in.
func TestPauseLive(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	w, err := Create(t.Context(), url+"cam", testStream.Tracks())
	require.NoError(t, err)
	defer w.Close()
	writeFrames(t, w, testStream, 5)
	p := connected(t, url)
	p.call("play", nil, "cam")
	for p.status() != codePublishNotify {
	}
	p.call("seek", nil, 5.0)
	require.Equal(t, codeSeekNotify, p.status())
	p.call("pause", nil, true)
	require.Equal(t, codePauseNotify, p.status())
	require.Equal(t, wire.EventStreamEOF, p.userControl().Event)
	writeFrames(t, w, testStream, 300)
	p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest}))
	require.Equal(t, wire.TypeUserControl, p.next().Type, "media while paused")
	p.call("pause", nil, false)
	require.Equal(t, codeUnpauseNotify, p.status())
	m := p.next()
	for m.Type != wire.TypeVideo || m.Body[1] == 0 {
		m = p.next()
	}
	require.EqualValues(t, 0x17, m.Body[0], "not a key frame")
}

// TestViewerAcknowledged: a viewer who sends much gets acknowledgements, and
// what it sends costs nothing.
func TestViewerAcknowledged(t *testing.T) {
	p := playing(t, newFile())
	p.write(wire.AppendControl(nil, p.size, wire.WindowAckSize{Size: 1}))
	for range 40 {
		p.message(wire.TypeVideo, 0, string(make([]byte, 1000)))
	}
	p.write(wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest}))
	for m := p.next(); m.Type != wire.TypeAcknowledgement; m = p.next() {
	}
}

// TestViewerPipelines: what came in one go with the play command is not lost,
// however much it is.
func TestViewerPipelines(t *testing.T) {
	p := connected(t, startServer(t, &Server{Handler: newFile()}))
	b := wire.AppendCommand(nil, 1, 128, wire.Command{Name: "play", Args: []any{"cam"}})
	for range 50 {
		b = wire.AppendControl(b, 128, wire.UserControl{Event: wire.EventPingRequest, Value: 1})
		b = wire.AppendControl(b, 128, wire.UserControl{Event: wire.EventSetBufferLength})
	}
	p.write(b)
	pongs := 0
	for {
		m := p.next()
		var u wire.UserControl
		if m.Type == wire.TypeUserControl {
			_, err := u.Unmarshal(m.Body)
			require.NoError(t, err)
			if u.Event == wire.EventPingResponse {
				pongs++
			}
		}
		if pongs == 50 {
			break
		}
	}
}

// TestViewerBreaksProtocol: it is cut, and the others see nothing of it.
func TestViewerBreaksProtocol(t *testing.T) {
	for name, bytes := range map[string]string{
		"chunk without header": "\xff",
		"chunk size 0":         "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"short ping":           "\x02\x00\x00\x00\x00\x00\x02\x04\x00\x00\x00\x00\x00\x06",
		"long command":         "\x03\x00\x00\x00\x10\x00\x00\x14\x00\x00\x00\x00",
		"command without name": "\x03\x00\x00\x00\x00\x00\x01\x14\x00\x00\x00\x00\x05",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile()
			p := playing(t, f)
			p.write([]byte(bytes))
			p.requireClosed()
			<-f.closed
		})
	}
}

// TestViewerPingFlood: a viewer who asks much and reads nothing is cut.
func TestViewerPingFlood(t *testing.T) {
	f := newFile()
	s := &Server{Handler: f}
	inMemory(t, s, func(t *testing.T, ln *pipeListener) {
		f.closed = make(chan struct{})
		p := newTestPeer(t, dialPipe(t, ln))
		p.connect()
		p.call("play", nil, "cam")
		for p.status() != codePublishNotify {
		}
		ping := wire.AppendControl(nil, 128, wire.UserControl{Event: wire.EventPingRequest})
		for {
			if _, err := p.nc.Write(ping); err != nil {
				break
			}
		}
		synctest.Wait()
		<-f.closed
		require.Zero(t, s.Stats().Conns)
	})
}

var errTest = errors.New("test")
