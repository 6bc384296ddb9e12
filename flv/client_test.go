package flv

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/containertest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

var clientStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 100_000}

// serve starts a server of other people's.
func serve(t *testing.T, h http.HandlerFunc) string {
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL
}

func TestClientHTTP(t *testing.T) {
	want := clientStream.Take(time.Second)
	file := write(t, FormStandard, clientStream.Tracks(), want)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/live/t.flv?token=x", http.StatusFound)
			return
		case "/live/t.flv":
			require.Equal(t, "token=x", r.URL.RawQuery)
			require.Equal(t, "tester", r.Header.Get("User-Agent"))
		}
		for _, b := range file { // chunked, in small pieces
			_, _ = w.Write([]byte{b})
		}
	})
	c := &Client{Header: http.Header{"User-Agent": {"tester"}}}
	r, err := c.Open(t.Context(), url+"/moved")
	require.NoError(t, err)
	require.Len(t, r.Tracks(), 2)
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got)
	require.NoError(t, r.Close())
}

// Messages need not be whole tags; text is not media.
func TestClientWebSocket(t *testing.T) {
	want := clientStream.Take(time.Second)
	file := write(t, FormStandard, clientStream.Tracks(), want)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		require.NoError(t, err)
		ctx := r.Context()
		for b := file; len(b) > 0; {
			n := min(1000, len(b))
			require.NoError(t, conn.Write(ctx, websocket.MessageBinary, b[:n]))
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
			b = b[n:]
		}
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	r, err := Open(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/live/t.flv")
	require.NoError(t, err)
	got, err := containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	requireSameFrames(t, want, got)
	require.NoError(t, r.Close())
}

// A server that says nothing, at any stage.
func TestClientSilence(t *testing.T) {
	file := write(t, FormStandard, clientStream.Tracks(), clientStream.Take(time.Second))
	for _, c := range []struct {
		name string
		send []byte
		open bool
	}{{"no answer", nil, false}, {"no header", []byte{}, false}, {"in mid-stream", file[:len(file)-3], true}} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan struct{})
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				defer func() { <-done }()
				if c.send != nil {
					_, _ = w.Write(c.send)
					w.(http.Flusher).Flush()
				}
			})
			defer close(done)
			r, err := (&Client{ReadTimeout: 100 * time.Millisecond}).Open(t.Context(), url)
			if c.open {
				require.NoError(t, err)
				_, err = containertest.ReadAll(r)
				require.NoError(t, r.Close())
			}
			require.ErrorIs(t, err, source.ErrTimeout)
		})
	}
}

// The context ends the opening, not what was opened.
func TestClientContext(t *testing.T) {
	file := write(t, FormStandard, clientStream.Tracks(), clientStream.Take(time.Second))
	more := make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(file[:len(file)/2])
		w.(http.Flusher).Flush()
		select {
		case <-more:
			_, _ = w.Write(file[len(file)/2:])
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Open(ctx, url)
	require.NoError(t, err)
	cancel()
	close(more)
	_, err = containertest.ReadAll(r)
	require.Equal(t, io.EOF, err)
	require.NoError(t, r.Close())

	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, url)
	require.ErrorIs(t, err, context.Canceled)
}
