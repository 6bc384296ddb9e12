package pusher

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

func TestCreateRefusals(t *testing.T) {
	for _, c := range []struct {
		url string
		err error
	}{
		{"http://user:secret@example.com/live/cam.live.flv", source.ErrUnsupported},
		{"gopher://user:secret@example.com/live", source.ErrUnsupported},
		{"file://elsewhere/a.flv", source.ErrUnsupported},
		{filepath.Join(t.TempDir(), "a.MKV"), source.ErrUnsupported},
		{filepath.Join(t.TempDir(), "none", "a.flv"), fs.ErrNotExist},
		{filepath.Join(t.TempDir(), "none", "a.mp4"), fs.ErrNotExist},
		{filepath.Join(t.TempDir(), "none", "a.ts"), fs.ErrNotExist},
		{"udp://127.0.0.1", source.ErrBadKey},
		{"rtp://:1234", source.ErrBadKey},
		{"udp://239.255.1.1:1234?ttl=1000", source.ErrBadKey},
		{"rtmp://127.0.0.1/live", source.ErrBadKey},
		{"rtsp:///live/cam", source.ErrBadKey},
	} {
		for _, client := range []Client{{}, {Retry: &source.Backoff{}}} { // with Retry: at once, too
			_, err := client.Create(filmtest.Soon(t), c.url, film.Tracks())
			require.ErrorIs(t, err, c.err, c.url)
			require.NotContains(t, err.Error(), "secret")
		}
	}
}

// What is pushed can be played, over TCP and TLS.
func TestPushRTMP(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	plain, _ := startServer(t, "", nil)
	secure, _ := startServer(t, "", serverTLS)
	for _, u := range []string{"rtmp://" + plain + "/live/cam", "rtmps://" + secure + "/live/cam"} {
		var dialed atomic.Int32
		c := &Client{
			TLSConfig: clientTLS,
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dialed.Add(1)
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}
		ctx, cancel := context.WithCancel(filmtest.Soon(t))
		var pushing sync.WaitGroup
		pushing.Go(func() { _ = Push(ctx, c.Sink(u), projector(film, 0)) })
		r, err := (&rtmp.Client{TLSConfig: clientTLS}).Open(filmtest.Soon(t), u)
		require.NoError(t, err)
		require.Len(t, r.Tracks(), 2)
		f, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
		require.True(t, f.Key())
		cancel()
		pushing.Wait()
		require.NoError(t, r.Close())
		require.EqualValues(t, 1, dialed.Load(), "the client's own Dial is used")
	}
}

// The same by RTSP, by every transport that publishing has.
func TestPushRTSP(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	plain, secure := startRelay(t, nil), startRelay(t, serverTLS)
	for _, c := range []struct {
		transport rtsp.Transport
		url       string
	}{
		{rtsp.TransportAuto, plain.rtsp},
		{rtsp.TransportTCP, plain.rtsp},
		{rtsp.TransportUDP, plain.rtsp},
		{rtsp.TransportHTTP, plain.rtsp},
		{rtsp.TransportAuto, secure.rtsp},
	} {
		t.Run(c.transport.String()+" "+c.url[:5], func(t *testing.T) {
			u := c.url + c.transport.String()
			ctx, cancel := context.WithCancel(filmtest.Soon(t))
			var pushing sync.WaitGroup
			sink := (&Client{Transport: c.transport, TLSConfig: clientTLS}).Sink(u)
			pushing.Go(func() { _ = Push(ctx, sink, projector(film, 0)) })
			r, err := (&rtsp.Client{Transport: rtsp.TransportTCP, TLSConfig: clientTLS}).Open(filmtest.Soon(t), u)
			require.NoError(t, err)
			filmtest.Require(t, readSome(t, r, 40), 5*time.Millisecond)
			cancel()
			pushing.Wait()
			require.NoError(t, r.Close())
		})
	}
}

// A stream goes through three servers: published by RTSP, pushed on by RTMP and
// from there by RTSP again. What comes out is what went in, audio and video as
// far apart as they were; its end comes through, too.
func TestPushChain(t *testing.T) {
	relays := []*relay{startRelay(t, nil), startRelay(t, nil), startRelay(t, nil)}
	tcp := &rtsp.Client{Transport: rtsp.TransportTCP}
	sources := []source.Source{
		projector(film, 4*time.Second),
		source.SourceFunc(func(ctx context.Context) (source.Reader, error) { return tcp.Open(ctx, relays[0].rtsp+"cam") }),
		source.SourceFunc(func(ctx context.Context) (source.Reader, error) { return rtmp.Open(ctx, relays[1].rtmp+"cam") }),
	}
	var pushing sync.WaitGroup
	for i, u := range []string{relays[0].rtsp, relays[1].rtmp, relays[2].rtsp} {
		sink := (&Client{Transport: rtsp.TransportTCP}).Sink(u + "cam")
		pushing.Go(func() { require.NoError(t, Push(filmtest.Soon(t), sink, sources[i])) })
	}
	r, err := tcp.Open(filmtest.Soon(t), relays[2].rtsp+"cam")
	require.NoError(t, err)
	defer r.Close()
	var got []*codec.Frame
	for f, err := range source.Frames(filmtest.Soon(t), r) {
		require.NoError(t, err)
		got = append(got, f)
	}
	require.Greater(t, len(got), 100)
	filmtest.Require(t, got, 5*time.Millisecond)
	pushing.Wait()
}

// readSome reads n frames.
func readSome(t *testing.T, r source.Reader, n int) []*codec.Frame {
	t.Helper()
	var fs []*codec.Frame
	for len(fs) < n {
		f, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
		fs = append(fs, f)
	}
	return fs
}

// A source that ends ends its viewers gracefully.
func TestPushToTheEnd(t *testing.T) {
	at, _ := startServer(t, "", nil)
	u := "rtmp://" + at + "/live/cam"
	var pushing sync.WaitGroup
	pushing.Go(func() { require.NoError(t, Push(filmtest.Soon(t), Sink(u), projector(film, time.Second))) })
	r, err := rtmp.Open(filmtest.Soon(t), u)
	require.NoError(t, err)
	defer r.Close()
	var last *codec.Frame
	for f, err := range source.Frames(filmtest.Soon(t), r) {
		require.NoError(t, err)
		last = f
	}
	require.Greater(t, last.DTS, 500*time.Millisecond)
	pushing.Wait()
}

// The server that is pushed to dies and comes back: the stream goes on with a key
// frame and the sequence headers, and the pusher's source never waited.
func TestPushSurvivesTheServer(t *testing.T) {
	at, stop := startServer(t, "", nil)
	u := "rtmp://" + at + "/live/cam"
	lost := make(chan struct{})
	var once sync.Once
	c := &Client{Retry: &source.Backoff{
		Min: 20 * time.Millisecond, Step: 20 * time.Millisecond, Max: 100 * time.Millisecond,
		OnState: func(s source.RetryState) {
			if s.Phase == source.RetryWaiting {
				once.Do(func() { close(lost) })
			}
		},
	}}
	w, err := c.Create(filmtest.Soon(t), u, film.Tracks())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var pushing sync.WaitGroup
	pushing.Go(func() {
		r, _ := projector(film, 0).Open(ctx)
		_ = source.Copy(ctx, w, r)
		w.Close()
	})
	defer pushing.Wait()
	defer cancel()

	watch := func() *codec.Frame {
		r, err := rtmp.Open(filmtest.Soon(t), u)
		require.NoError(t, err)
		defer r.Close()
		require.Len(t, r.Tracks(), 2)
		require.Equal(t, film.Tracks()[0].Config, r.Tracks()[0].Config)
		f, err := r.ReadFrame(filmtest.Soon(t))
		require.NoError(t, err)
		require.True(t, f.Key())
		for range 20 {
			_, err := r.ReadFrame(filmtest.Soon(t))
			require.NoError(t, err)
		}
		return f
	}
	watch()
	stop()
	<-lost
	startServer(t, at, nil)
	watch()
	cancel()
	pushing.Wait()
	st := w.(source.Retrier).RetryState()
	require.EqualValues(t, 1, st.Reconnects)
	require.NotZero(t, st.Dropped)
}

func ExamplePush() {
	ctx := context.Background()
	// Whatever is a source.Source can be pushed: player.Source("a.flv"), say.
	src := source.SourceFunc(func(context.Context) (source.Reader, error) {
		return nil, source.ErrNotFound
	})
	fmt.Println(Push(ctx, Sink("rtmp://example.com/live/cam"), src))
	// Output: source: no such stream
}

func ExampleClient() {
	c := &Client{
		Timeout: 5 * time.Second,
		Retry: &source.Backoff{OnState: func(s source.RetryState) {
			fmt.Println(s.Phase, s.Attempts, s.Err)
		}},
	}
	w, err := c.Create(context.Background(), "rtmp://example.com/live/cam", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
}
