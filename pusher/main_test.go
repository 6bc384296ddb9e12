package pusher

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer starts an RTMP server around a hub on addr, on any port of the
// loopback interface if that is empty; with TLS if conf is not nil. stop ends it
// without goodbye.
func startServer(t *testing.T, addr string, conf *tls.Config) (at string, stop func()) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	hub := &source.Hub{}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { (&rtmp.Server{Handler: hub, TLSConfig: conf}).Serve(ctx, ln) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		hub.Close()
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// A relay is a hub with an RTSP and an RTMP server.
type relay struct {
	hub        *source.Hub
	rtsp, rtmp string // URLs of the app "live"
}

// startRelay starts a relay, by TLS too if conf is not nil, until the test ends.
func startRelay(t *testing.T, conf *tls.Config) *relay {
	r := &relay{hub: &source.Hub{}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	serve := func(serve func(context.Context, net.Listener) error) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		running.Go(func() { serve(ctx, ln) })
		return "://" + ln.Addr().String() + "/live/"
	}
	scheme := ""
	if conf != nil {
		scheme = "s"
	}
	r.rtsp = "rtsp" + scheme + serve((&rtsp.Server{Handler: r.hub, TLSConfig: conf}).Serve)
	r.rtmp = "rtmp" + scheme + serve((&rtmp.Server{Handler: r.hub, TLSConfig: conf}).Serve)
	t.Cleanup(func() {
		cancel()
		running.Wait()
		r.hub.Close()
	})
	return r
}

// certificate returns configurations for a TLS server and a client that trusts
// it.
func certificate(t *testing.T) (server, client *tls.Config) {
	srv := httptest.NewTLSServer(nil)
	t.Cleanup(srv.Close)
	return &tls.Config{Certificates: srv.TLS.Certificates}, srv.Client().Transport.(*http.Transport).TLSClientConfig
}

// film is what the tests publish.
var film = filmtest.Film

// projector plays s in real time, up to length if that is not zero.
func projector(s testmedia.Stream, length time.Duration) source.Source {
	return source.SourceFunc(func(context.Context) (source.Reader, error) {
		r := &reel{tracks: s.Tracks()}
		for f := range s.Frames() {
			if length > 0 && f.DTS > length || f.DTS > time.Minute {
				break
			}
			r.frames = append(r.frames, f)
		}
		return source.Pace(reelReader{r}), nil
	})
}
