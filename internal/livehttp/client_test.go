package livehttp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// foreign starts a server of other people's.
func foreign(t *testing.T, h http.HandlerFunc) *url.URL {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	return u
}

// both returns u for HTTP and for WebSocket.
func both(u *url.URL) []*url.URL {
	ws := *u
	ws.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	return []*url.URL{u, &ws}
}

func TestClientGet(t *testing.T) {
	agents := make(chan string, 3)
	u := foreign(t, func(w http.ResponseWriter, r *http.Request) {
		agents <- r.Header.Get("User-Agent")
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/live?x=1", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "video/test")
		_, _ = io.WriteString(w, r.URL.RequestURI())
	})
	u.Path = "/moved"
	b, err := (&Client{}).Open(t.Context(), u)
	require.NoError(t, err)
	require.Equal(t, "video/test", b.ContentType())
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.Equal(t, "/live?x=1", string(got))
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
	require.Equal(t, "MediaKit", <-agents)
	require.Equal(t, "MediaKit", <-agents)

	u.Path = "/live"
	b, err = (&Client{Header: http.Header{"User-Agent": {"tester"}}}).Open(t.Context(), u)
	require.NoError(t, err)
	require.NoError(t, b.Close())
	require.Equal(t, "tester", <-agents)
}

// Messages are one stream, whatever their size; text is not media.
func TestClientMessages(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	u := foreign(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for b, n := want, 1; len(b) > 0; n *= 3 {
			n = min(n, len(b))
			_ = conn.Write(r.Context(), websocket.MessageBinary, b[:n])
			_ = conn.Write(r.Context(), websocket.MessageText, []byte("hello"))
			b = b[n:]
		}
		_ = conn.Write(r.Context(), websocket.MessageBinary, nil)
		_ = conn.Close(websocket.StatusNormalClosure, "")
	})
	b, err := (&Client{}).Open(t.Context(), both(u)[1])
	require.NoError(t, err)
	got, err := io.ReadAll(b)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.Empty(t, b.ContentType())
	require.NoError(t, b.Close())
}

func TestClientStatus(t *testing.T) {
	for status, want := range map[int]error{
		401: source.ErrUnauthorized, 403: source.ErrForbidden, 404: source.ErrNotFound, 410: source.ErrNotFound,
		503: source.ErrLimit, 429: source.ErrLimit, 500: nil,
	} {
		u := foreign(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "the reason\nmore", status) })
		for _, u := range both(u) {
			_, err := (&Client{}).Open(t.Context(), u)
			var e *StatusError
			require.ErrorAs(t, err, &e, u)
			require.Equal(t, StatusError{status, "the reason"}, *e)
			if want != nil {
				require.ErrorIs(t, err, want)
			}
		}
	}
}

// A server that says nothing, at any stage.
func TestClientSilence(t *testing.T) {
	for _, c := range []struct {
		name string
		send string
		open bool
	}{{"no answer", "", false}, {"in mid-stream", "begin", true}} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan struct{})
			u := foreign(t, func(w http.ResponseWriter, r *http.Request) {
				defer func() { <-done }()
				if c.send != "" {
					_, _ = io.WriteString(w, c.send)
					w.(http.Flusher).Flush()
				}
			})
			defer close(done)
			b, err := (&Client{ReadTimeout: 100 * time.Millisecond}).Open(t.Context(), u)
			if c.open {
				require.NoError(t, err)
				var got []byte
				got, err = io.ReadAll(b)
				require.Equal(t, c.send, string(got))
				require.NoError(t, b.Close())
			}
			require.ErrorIs(t, err, source.ErrTimeout)
		})
	}
}

// The context ends the opening, not what was opened; Close ends a blocked read.
func TestClientEnds(t *testing.T) {
	u := foreign(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-WebSocket-Key") != "" {
			if conn, err := websocket.Accept(w, r, nil); err == nil {
				_ = conn.Write(r.Context(), websocket.MessageBinary, []byte("begin"))
				_, _, _ = conn.Read(r.Context())
			}
			return
		}
		_, _ = io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	for _, u := range both(u) {
		ctx, cancel := context.WithCancel(t.Context())
		b, err := (&Client{ReadTimeout: -1}).Open(ctx, u)
		require.NoError(t, err)
		cancel()
		begin := make([]byte, 5)
		_, err = io.ReadFull(b, begin)
		require.NoError(t, err)
		done := make(chan error)
		go func() {
			_, err := b.Read(begin)
			done <- err
		}()
		require.NoError(t, b.Close())
		require.ErrorIs(t, <-done, source.ErrClosed)

		_, err = (&Client{}).Open(ctx, u)
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestEnded(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{websocket.CloseError{Code: 1000, Reason: "end of stream"}, io.EOF},
		{websocket.CloseError{Code: 1008, Reason: "404 Not Found"}, &StatusError{404, "Not Found"}},
		{websocket.CloseError{Code: 1001, Reason: "server is shutting down"}, &StatusError{1001, "server is shutting down"}},
		{websocket.CloseError{Code: 1011, Reason: ""}, &StatusError{1011, ""}},
		{io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
	} {
		require.Equal(t, c.want, ended(c.err))
	}
	require.NoError(t, errors.Unwrap(&StatusError{Code: 1001}))
}

// probed is a Reader of nothing.
type probed struct{ *Body }

func (probed) Tracks() []*codec.Track                          { return nil }
func (probed) ReadFrame(context.Context) (*codec.Frame, error) { return nil, io.EOF }

func TestOpenURL(t *testing.T) {
	u := foreign(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	u.User = url.UserPassword("user", "secret")
	bad := errors.New("bad stream")
	for _, c := range []struct {
		url   string
		probe error
		want  error // nil: any
	}{
		{u.String(), bad, bad},
		{"file:///etc/passwd", nil, source.ErrUnsupported},
		{"http://bad host/", nil, nil},
		{"http://user:secret@127.0.0.1:1/x", nil, nil},
	} {
		var body *Body
		r, err := OpenURL(t.Context(), &Client{}, "test", c.url, func(_ context.Context, b *Body) (source.Reader, error) {
			body = b
			return probed{b}, c.probe
		})
		require.Error(t, err, c.url)
		require.Nil(t, r)
		require.True(t, strings.HasPrefix(err.Error(), "test: "), err)
		require.NotContains(t, err.Error(), "secret")
		if c.want != nil {
			require.ErrorIs(t, err, c.want)
		}
		if body != nil {
			_, err = body.Read(make([]byte, 1))
			require.ErrorIs(t, err, source.ErrClosed)
		}
	}

	// A context that ends while probing is the reason, with its cause.
	cause := errors.New("no stream in 1s")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := OpenURL(ctx, &Client{}, "test", u.String(), func(ctx context.Context, b *Body) (source.Reader, error) {
		cancel(cause)
		return probed{b}, ctx.Err()
	})
	require.ErrorIs(t, err, cause)

	r, err := OpenURL(t.Context(), &Client{}, "test", u.String(), func(_ context.Context, b *Body) (source.Reader, error) {
		return probed{b}, nil
	})
	require.NoError(t, err)
	require.NoError(t, r.Close())
}
