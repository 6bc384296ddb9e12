package server

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// film is what is published.
var film = testmedia.Stream{Video: codec.H264, Audio: codec.AAC}

// get asks a handler for a path.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// publishAs publishes a stream of H.264 and AAC for d, in real time.
func publishAs(t *testing.T, hub *source.Hub, name string, d time.Duration) source.Publication {
	t.Helper()
	key, err := source.ParseKey("", name)
	require.NoError(t, err)
	pub, err := hub.Publish(t.Context(), &source.Request{
		ID: "publisher of " + name, Schema: "rtmp", Protocol: "rtmp", Key: key,
		Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711},
	})
	require.NoError(t, err)
	require.NoError(t, pub.SetTracks(film.Tracks(), true))
	start := time.Now()
	for _, f := range film.Take(d) {
		time.Sleep(time.Until(start.Add(f.DTS)))
		require.NoError(t, pub.WriteFrame(t.Context(), f))
	}
	return pub
}

// watchAs watches a stream as a viewer with that id.
func watchAs(t *testing.T, hub *source.Hub, name, id string) source.Reader {
	t.Helper()
	key, err := source.ParseKey("", name)
	require.NoError(t, err)
	r, err := hub.Play(t.Context(), &source.Request{
		ID: id, Schema: "hls", Protocol: "http", Key: key,
		Remote: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 815},
	})
	require.NoError(t, err)
	return r
}

// TestConsoleEscapes publishes names that would be markup. No answer has them as
// such: JSON is written without < and >, and says what it is.
func TestConsoleEscapes(t *testing.T) {
	hub := &source.Hub{}
	defer hub.Close()
	c := &Console{Hub: hub}
	const evil = `live/"><script>alert(1)</script>&'`
	pub := publishAs(t, hub, evil, 0)
	defer pub.Close()
	pub.SetTracks([]*codec.Track{{ID: 1, Codec: codec.Opaque, WireKind: codec.KindVideo, Wire: "rtp", Name: "<b>"}}, true)
	for _, path := range []string{"/api/v1/streams", "/api/v1/streams/live/%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E&'", "/api/v1/streams?q=%3Cscript%3E"} {
		w := get(c, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.NotContains(t, w.Body.String(), "<")
		require.NotContains(t, w.Body.String(), ">")
		require.Contains(t, w.Body.String(), `\u003cscript\u003e`, path)
	}
	for _, path := range []string{"/<script>", "/api/v1/<script>", "/api/v1/streams/<script>/<b>", "/api/v1/streams/<script>"} {
		w := get(c, strings.NewReplacer("<", "%3C", ">", "%3E").Replace(path))
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.NotContains(t, w.Body.String(), "<")
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	}
}

// TestConsoleSecure looks at the headers of every answer.
func TestConsoleSecure(t *testing.T) {
	for _, tc := range []struct {
		host, media, connect string
	}{
		{"example.com", "", "connect-src 'self' ws://example.com wss://example.com;"},
		{"[::1]:8080", "", "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080;"},
		{"evil.example; script-src *", "", "connect-src 'self';"},
		{"a", "https://media.example/x", "connect-src 'self' ws://a wss://a https://media.example wss://media.example;"},
		{"a", "http://media.example:81", "connect-src 'self' ws://a wss://a http://media.example:81 ws://media.example:81;"},
	} {
		c := &Console{Media: tc.media}
		for _, path := range []string{"/", "/main.js", "/api/v1/server", "/api/v1/streams", "/none", "/api/v1/streams/a/b"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = tc.host
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			policy := w.Header().Get("Content-Security-Policy")
			require.Contains(t, policy, tc.connect, path)
			require.True(t, strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';"), policy)
			require.NotContains(t, policy, "unsafe")
			require.NotContains(t, policy, "*")
			require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
			require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
		}
	}
}

// TestConsoleMethods tells that nothing can be changed.
func TestConsoleMethods(t *testing.T) {
	c := &Console{}
	for _, path := range []string{"/", "/console.css", "/api/v1/streams", "/api/v1/streams/a/b"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodConnect} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Method = method
			c.ServeHTTP(w, r)
			require.Equal(t, http.StatusMethodNotAllowed, w.Code, "%s %s", method, path)
			require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

// TestConsoleMounted serves the page from several places of a mux.
func TestConsoleMounted(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", &Console{}))
	mux.Handle("/", &Console{Next: next})
	for path, want := range map[string]int{
		"/":                        http.StatusOK,
		"/index.html":              http.StatusOK,
		"/main.js":                 http.StatusOK,
		"/api/v1/streams":          http.StatusOK,
		"/api/v1/nothing":          http.StatusNotFound,
		"/live/t.live.flv":         http.StatusTeapot,
		"/console":                 http.StatusTemporaryRedirect,
		"/console/":                http.StatusOK,
		"/console/console.css":     http.StatusOK,
		"/console/api/v1/server":   http.StatusOK,
		"/console/none":            http.StatusNotFound,
		"/console/vendor/":         http.StatusNotFound,
		"/vendor/../console.go":    http.StatusTemporaryRedirect,
		"/console/%2e%2e/doc.go":   http.StatusNotFound,
		"/console/..%2fdoc.go":     http.StatusNotFound,
		"/console/vendor%2fREADME": http.StatusNotFound,
	} {
		require.Equal(t, want, get(mux, path).Code, path)
	}
}
