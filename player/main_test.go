package player

import (
	"context"
	"crypto/tls"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An origin is a hub with servers on the loopback interface.
type origin struct {
	hub       *source.Hub
	rtmp      string // host:port
	rtmps     string
	rtsp      string
	rtsps     string
	http, tls *httptest.Server
	stop      func() // ends it, without goodbye
}

// startOrigin starts an origin whose RTMP server listens on addr; on any port if
// that is empty.
func startOrigin(t *testing.T, addr string) *origin {
	o := &origin{hub: &source.Hub{}}
	flvs := &flv.Handler{Handler: o.hub}
	tss := &ts.Handler{Handler: o.hub, Next: flvs}
	mp4s := &mp4.Handler{Handler: o.hub, Next: tss}
	live := &hls.Handler{Handler: o.hub, Next: mp4s, Options: hls.Options{Segment: 400 * time.Millisecond}}
	o.http, o.tls = httptest.NewServer(live), httptest.NewTLSServer(live)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	serve := func(serve func(context.Context, net.Listener) error, addr string) string {
		ln, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		running.Go(func() { serve(ctx, ln) })
		return ln.Addr().String()
	}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	const anywhere = "127.0.0.1:0"
	secure := &tls.Config{Certificates: o.tls.TLS.Certificates}
	o.rtmp = serve((&rtmp.Server{Handler: o.hub}).Serve, addr)
	o.rtmps = serve((&rtmp.Server{Handler: o.hub, TLSConfig: secure}).Serve, anywhere)
	o.rtsp = serve((&rtsp.Server{Handler: o.hub}).Serve, anywhere)
	o.rtsps = serve((&rtsp.Server{Handler: o.hub, TLSConfig: secure}).Serve, anywhere)
	o.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		o.hub.Close()
		for _, h := range []interface{ Shutdown(context.Context) error }{live, flvs, tss, mp4s} {
			_ = h.Shutdown(context.Background())
		}
		o.http.Close()
		o.tls.Close()
	})
	t.Cleanup(o.stop)
	return o
}

// clientTLS trusts o's certificate.
func (o *origin) clientTLS() *tls.Config {
	return o.tls.Client().Transport.(*http.Transport).TLSClientConfig
}

// film is what the tests publish.
var film = filmtest.Film

// publish publishes s at url in real time until the test ends or stop is called.
func publish(t *testing.T, url string, s testmedia.Stream) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w, err := rtmp.Create(ctx, url, s.Tracks())
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		r := source.Pace(read(s))
		defer r.Close()
		_ = source.Copy(ctx, w, r)
		w.Close()
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// read returns a Reader of s, which has no end.
func read(s testmedia.Stream) source.Reader {
	next, stop := iter.Pull(s.Frames())
	return &generated{tracks: s.Tracks(), next: next, stop: stop}
}

type generated struct {
	tracks []*codec.Track
	next   func() (*codec.Frame, bool)
	stop   func()
}

func (g *generated) Tracks() []*codec.Track { return g.tracks }

func (g *generated) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if f, ok := g.next(); ok {
		return f, ctx.Err()
	}
	return nil, io.EOF
}

func (g *generated) Close() error {
	g.stop()
	return nil
}
