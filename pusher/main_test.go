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

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp"
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

// certificate returns configurations for a TLS server and a client that trusts
// it.
func certificate(t *testing.T) (server, client *tls.Config) {
	srv := httptest.NewTLSServer(nil)
	t.Cleanup(srv.Close)
	return &tls.Config{Certificates: srv.TLS.Certificates}, srv.Client().Transport.(*http.Transport).TLSClientConfig
}

// film is what the tests publish: a key frame every 200 ms.
var film = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond, Bitrate: 200_000, BFrames: 2}

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

// soon is a context for what must happen in a test.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
