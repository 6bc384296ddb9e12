package containertest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// A Handler is the Handler of a container.
type Handler interface {
	http.Handler
	Viewers() int
	Panics() uint64
	Shutdown(context.Context) error
}

// A Site is a Handler on a server.
type Site struct {
	t   *testing.T
	hub *source.Hub
	srv *httptest.Server
}

// NewSite starts the Handler that handler makes around a Hub. When the test ends
// all viewers must have gone in peace.
func NewSite(t *testing.T, handler func(source.Handler) Handler) *Site {
	s := &Site{t: t, hub: &source.Hub{MaxWait: -1}}
	h := handler(s.hub)
	s.srv = httptest.NewServer(h)
	t.Cleanup(func() {
		require.NoError(t, s.hub.Close())
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, h.Shutdown(ctx))
		require.Zero(t, h.Viewers())
		require.Zero(t, h.Panics())
		s.srv.Client().CloseIdleConnections()
		s.srv.Close()
	})
	return s
}

// URL returns the URL of path with this scheme.
func (s *Site) URL(scheme, path string) string {
	return scheme + strings.TrimPrefix(s.srv.URL, "http") + path
}

// Get asks for path over HTTP.
func (s *Site) Get(path string) *http.Response {
	s.t.Helper()
	resp, err := s.srv.Client().Get(s.URL("http", path))
	require.NoError(s.t, err)
	return resp
}

// Publish begins the stream /live/t.
func (s *Site) Publish(tracks []*codec.Track) source.Publication {
	s.t.Helper()
	pub, err := s.hub.Publish(s.t.Context(), &source.Request{
		ID: source.NewID(), Schema: "test", Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"},
		Options: source.StreamOptions{Time: source.TimeOff},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(tracks, true))
	return pub
}

// Write writes frames to w.
func Write(t *testing.T, w source.Writer, frames []*codec.Frame) {
	t.Helper()
	for _, f := range frames {
		require.NoError(t, w.WriteFrame(t.Context(), f))
	}
}
