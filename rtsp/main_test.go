package rtsp

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
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
	scheme := "rtsp"
	if s.TLSConfig != nil {
		scheme = "rtsps"
	}
	return scheme + "://" + ln.Addr().String() + "/live/"
}

// serve serves s on ln until the test ends, which fails if there was a panic, or
// something was not given back.
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
		require.Zero(t, s.ports.Open(), "ports")
		require.Empty(t, s.casters.byKey, "casters")
		require.Empty(t, s.casters.inUse, "groups")
	})
}

// newHub returns a Hub that is closed when the test ends.
func newHub(t testing.TB) *source.Hub {
	hub := &source.Hub{MaxWait: 5 * time.Second}
	t.Cleanup(func() { require.NoError(t, hub.Close()) })
	return hub
}

// testStream is what most tests send.
var testStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second}

// A feeder publishes a stream in this process.
type feeder struct {
	pub    source.Publication
	frames func() (*codec.Frame, bool)
	stop   func()
	sent   []*codec.Frame
}

// feed publishes st under a name of app "live"; the tracks are announced, no
// frame is written yet. The publication ends with the test.
func feed(t testing.TB, h source.Handler, name string, st testmedia.Stream) *feeder {
	t.Helper()
	pub, err := h.Publish(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Protocol: "test", Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: name}})
	require.NoError(t, err)
	require.NoError(t, pub.SetTracks(st.Tracks(), true))
	f := &feeder{pub: pub}
	f.frames, f.stop = pull(st.Frames())
	t.Cleanup(func() {
		f.stop()
		_ = pub.Close()
	})
	return f
}

// write writes the next n frames.
func (f *feeder) write(t testing.TB, n int) []*codec.Frame {
	t.Helper()
	from := len(f.sent)
	for range n {
		fr, _ := f.frames()
		require.NoError(t, f.pub.WriteFrame(context.Background(), fr))
		f.sent = append(f.sent, fr)
	}
	return f.sent[from:]
}

// run writes frames as time goes by until the returned function is called.
func (f *feeder) run(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		began := time.Now()
		var zero time.Duration
		for i := 0; ; i++ {
			fr, _ := f.frames()
			if i == 0 {
				zero = fr.DTS
			}
			select {
			case <-time.After(time.Until(began.Add(fr.DTS - zero))):
			case <-ctx.Done():
				return
			}
			if f.pub.WriteFrame(ctx, fr) != nil {
				return
			}
			f.sent = append(f.sent, fr)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// ofKind returns the frames of a kind.
func ofKind(fs []*codec.Frame, k codec.Kind) []*codec.Frame {
	var some []*codec.Frame
	for _, f := range fs {
		if f.Track.Kind() == k {
			some = append(some, f)
		}
	}
	return some
}
