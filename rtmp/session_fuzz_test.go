package rtmp

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/amf"
	"github.com/mediakit-go/mediakit/rtmp/internal/handshake"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// sessions are what clients say after the handshake.
func sessions(t testing.TB) map[string]string {
	connect := string(wire.AppendCommand(nil, 0, 128, wire.Command{Name: "connect", ID: 1, Object: amf.Object{{Name: "app", Value: "live"}}}))
	create := string(wire.AppendCommand(nil, 0, 128, wire.Command{Name: "createStream", ID: 2}))
	publish := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "publish", ID: 3, Args: []any{"cam", "live"}}))
	play := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "play", ID: 3, Args: []any{"cam"}}))
	missing := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "play", ID: 3, Args: []any{"missing"}}))
	pause := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "pause", Args: []any{true, 0.0}}))
	seek := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "seek", Args: []any{5.0}}))
	speed := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "onPlayCtrl", Args: []any{amf.Object{{Name: "speed", Value: 2.0}}}}))
	leave := string(wire.AppendCommand(nil, 1, 128, wire.Command{Name: "deleteStream", Args: []any{1.0}}))
	var media, aggregate []byte
	for _, m := range bodies(t, testStream, 4) {
		if len(m.Body) > 500 {
			m.Body = m.Body[:500]
		}
		media = wire.AppendMessage(media, 10+uint8(m.Type), m.Type, 1, m.Timestamp, 128, nil, m.Body)
		aggregate = wire.AppendAggregated(aggregate, m)
	}
	all := map[string]string{
		"publish":   connect + create + publish + string(media) + leave,
		"aggregate": connect + publish + string(wire.AppendMessage(nil, 9, wire.TypeAggregate, 1, 0, 128, nil, aggregate)),
		"play":      connect + create + play + pause + seek + speed + leave,
		"missing":   connect + missing + pause,
		"twice":     connect + publish + publish + play + leave + publish,
		"early":     string(media) + publish,
	}
	for _, a := range attacks {
		if len(a.wire) < 1000 {
			all["publish, then "+a.name] = connect + publish + a.wire
			all["play, then "+a.name] = connect + play + a.wire
		}
	}
	return all
}

// FuzzServerSession: whatever a client says, its session ends when it leaves,
// and nothing panics.
func FuzzServerSession(f *testing.F) {
	for _, s := range sessions(f) {
		f.Add([]byte(s))
	}
	var greeting [handshake.Opening + handshake.Size]byte
	greeting[0] = handshake.Version
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &Server{Handler: handlerFuncs{
			play: func(_ context.Context, req *source.Request) (source.Reader, error) {
				if strings.Contains(req.Key.Stream, "missing") {
					return nil, source.ErrNotFound
				}
				return &file{tracks: testStream.Tracks(), closed: make(chan struct{})}, nil
			},
			publish: newRecording().Publish,
		}}
		client, server := newPipe(1 << 20)
		ln := newPipeListener()
		ended, read := make(chan error), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- s.Serve(ctx, ln) }()
		ln.conns <- server
		go func() { _, _ = io.Copy(io.Discard, client); close(read) }()
		_, err := client.Write(greeting[:])
		require.NoError(t, err)
		_, _ = client.Write(b)
		_ = client.CloseWrite()
		<-read // until the server has closed the connection
		cancel()
		require.ErrorIs(t, <-ended, ErrServerClosed)
		_ = client.Close()
		require.Zero(t, s.Stats().PanicsTotal)
		require.Zero(t, s.Stats().Conns)
	})
}

// FuzzClientSession: whatever a server says, a client comes to an end with it.
func FuzzClientSession(f *testing.F) {
	result := string(wire.AppendCommand(nil, 0, 128, wire.Command{Name: "_result", ID: 1, Args: []any{1.0}}))
	result2 := string(wire.AppendCommand(nil, 0, 128, wire.Command{Name: "_result", ID: 2, Args: []any{1.0}}))
	var media []byte
	for _, m := range bodies(f, testStream, 4) {
		media = wire.AppendMessage(media, 10+uint8(m.Type), m.Type, 1, m.Timestamp, 128, nil, m.Body[:min(500, len(m.Body))])
	}
	start := string(appendStatus(nil, 128, levelStatus, codePlayStart, ""))
	f.Add([]byte(result + result2 + start + string(media) + string(appendStatus(nil, 128, levelStatus, codePlayStop, ""))))
	f.Add([]byte(result + result2 + string(appendStatus(nil, 128, levelError, codePlayNotFound, "no"))))
	f.Add([]byte(result + result2 + string(media)))
	f.Add([]byte(string(wire.AppendCommand(nil, 0, 128, wire.Command{Name: "_error", ID: 1}))))
	for _, a := range attacks {
		if len(a.wire) < 1000 {
			f.Add([]byte(result + result2 + start + a.wire))
		}
	}
	var greeting [handshake.Reply]byte
	greeting[0] = handshake.Version
	f.Fuzz(func(t *testing.T, b []byte) {
		dialed := 0
		c := &Client{Timeout: 10 * time.Second, Dial: func(context.Context, string, string) (net.Conn, error) {
			dialed++
			client, server := newPipe(1 << 20)
			go func() { _, _ = io.Copy(io.Discard, server) }()
			_, _ = server.Write(greeting[:])
			_, _ = server.Write(b)
			_ = server.CloseWrite()
			return client, nil
		}}
		r, err := c.Open(t.Context(), testURL)
		require.LessOrEqual(t, dialed, 2)
		if err == nil {
			for err == nil {
				var fr *codec.Frame
				fr, err = r.ReadFrame(t.Context())
				require.True(t, (fr == nil) == (err != nil))
			}
			require.NoError(t, r.Close())
		}
		w, err := c.Create(t.Context(), testURL, nil)
		if err == nil {
			_ = w.Close()
		}
	})
}
