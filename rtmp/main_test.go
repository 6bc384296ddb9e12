package rtmp

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testLog returns a logger that writes to t.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// startServer serves s on loopback until the test ends and returns the URL of
// its app "live".
func startServer(t testing.TB, s *Server) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve(t, s, ln)
	scheme := "rtmp"
	if s.TLSConfig != nil {
		scheme = "rtmps"
	}
	return scheme + "://" + ln.Addr().String() + "/live/"
}

// serve serves s on ln until the test ends, which fails if there was a panic.
func serve(t testing.TB, s *Server, ln net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, ErrServerClosed)
		stats := s.Stats()
		require.Zero(t, stats.PanicsTotal, "panics")
		require.Zero(t, stats.Conns, "connections")
	})
}

// newHub returns a Hub that is closed when the test ends.
func newHub(t testing.TB) *source.Hub {
	hub := &source.Hub{MaxWait: 5 * time.Second}
	t.Cleanup(func() { require.NoError(t, hub.Close()) })
	return hub
}

// readFrames reads n frames.
func readFrames(t testing.TB, r source.Reader, n int) []*codec.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var fs []*codec.Frame
	for len(fs) < n {
		f, err := r.ReadFrame(ctx)
		require.NoError(t, err)
		fs = append(fs, f)
	}
	return fs
}
