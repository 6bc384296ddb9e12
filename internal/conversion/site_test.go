package conversion

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A site is every server and the recordings in front of one hub.
type site struct {
	hub       *source.Hub
	addrs     map[string]string // by URL scheme
	recorders *record.Recorders
	root      string // of the recordings
	receivers *ps.Receivers
	senders   *ps.Senders

	// What is sent by RTP.
	collectors  *ps.Receivers
	collections sync.Map // *collection by source.Key
	sentTracks  sync.Map // []*codec.Track by source.Key

	mu       sync.Mutex // guards what follows
	recorded map[recording]string
	log      bytes.Buffer // of HLS
}

// A recording is what a recording is known by.
type recording struct {
	key    source.Key
	format record.Format
}

// newSite starts the servers on free ports of the loopback interface.
func newSite(t *testing.T) *site {
	s := &site{hub: &source.Hub{}, addrs: map[string]string{}, root: t.TempDir(), recorded: map[recording]string{}}
	s.recorders = &record.Recorders{Hub: s.hub, Root: s.root, OnEvent: s.finished}

	// No viewer is slow, however busy the machine is.
	patient := patient{s.hub}
	s.receivers, s.senders = &ps.Receivers{Handler: patient}, &ps.Senders{Handler: noter{s}}
	s.collectors = &ps.Receivers{Handler: collector{s}}
	live := &hls.Handler{
		Handler: patient, Options: hls.Options{Segments: -1, Segment: gop},
		Logger: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	live.Next = &ts.Handler{Handler: patient, Next: &mp4.Handler{Handler: patient, Next: &flv.Handler{Handler: patient}}}
	mux := http.NewServeMux()
	mux.Handle("/", live)
	mux.Handle("/files/", http.StripPrefix("/files/", http.FileServer(http.Dir(s.root))))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for scheme, serve := range map[string]func(net.Listener){
		"rtsp": func(ln net.Listener) { _ = (&rtsp.Server{Handler: patient}).Serve(ctx, ln) },
		"rtmp": func(ln net.Listener) { _ = (&rtmp.Server{Handler: patient}).Serve(ctx, ln) },
		"http": func(ln net.Listener) { _ = web.Serve(ln) },
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s.addrs[scheme] = ln.Addr().String()
		running.Go(func() { serve(ln) })
	}
	s.addrs["ws"] = s.addrs["http"]
	t.Cleanup(func() {
		require.NoError(t, s.hub.Close())
		require.NoError(t, s.recorders.Close())
		require.NoError(t, s.senders.Close())
		require.NoError(t, s.receivers.Close())
		require.NoError(t, s.collectors.Close())
		require.Zero(t, s.receivers.Panics()+s.collectors.Panics())
		require.NoError(t, live.Shutdown(context.Background()))
		cancel()
		require.NoError(t, web.Close())
		running.Wait()
	})
	return s
}

// url returns the URL of a path.
func (s *site) url(scheme, path string) string { return scheme + "://" + s.addrs[scheme] + "/" + path }

// finished notes where a recording is.
func (s *site) finished(e record.Event) {
	if e.Kind != record.EventFinished {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded[recording{e.Key, e.Format}] += e.File.Name // more than one file is none
}

// recording returns the name of a recording's file.
func (s *site) recording(key source.Key, format record.Format) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recorded[recording{key, format}]
}

// Write takes a line of the log.
func (s *site) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

// logged reports whether a line of the log has the text.
func (s *site) logged(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.log.Bytes(), []byte(text))
}

// patient is a Handler whose viewers are never too slow.
type patient struct{ source.Handler }

func (p patient) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	r.Viewer.MaxLag = time.Minute
	return p.Handler.Play(ctx, r)
}
