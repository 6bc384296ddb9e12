package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// A recording is a viewer that writes what it is sent to a file until the
// stream ends.
type recording struct {
	t    testing.TB
	path string
	done chan error // what it ended for; nil at the end of the stream
}

// record starts a viewer of url for the scheme it has: http(s) and ws(s) by
// clients in Go, RTMP by ffmpeg.
func record(t testing.TB, url string) *recording {
	t.Helper()
	scheme, _, _ := strings.Cut(url, ":")
	path := filepath.Join(t.TempDir(), scheme+".flv")
	if scheme[0] == 'r' {
		return recordedBy(start(t, "ffmpeg", "-v", "error", "-y", "-i", url, "-c", "copy", "-flush_packets", "1", path), path)
	}
	r := &recording{t: t, path: path, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		r.done <- download(ctx, url, path)
	}()
	return r
}

// recordedBy is the recording that a program writes to path.
func recordedBy(p *process, path string) *recording {
	r := &recording{t: p.t, path: path, done: make(chan error, 1)}
	go func() {
		<-p.done
		r.done <- p.err
	}()
	return r
}

// size returns how much was recorded so far.
func (r *recording) size() int64 {
	if st, err := os.Stat(r.path); err == nil {
		return st.Size()
	}
	return 0
}

// wait waits for the end of the stream and returns the file.
func (r *recording) wait() string {
	r.t.Helper()
	select {
	case err := <-r.done:
		require.NoError(r.t, err, "viewer of %s", r.path)
	case <-time.After(patience):
		r.t.Fatalf("viewer of %s: the stream does not end", r.path)
	}
	return r.path
}

// download writes the body of an HTTP or WebSocket stream to a file.
func download(ctx context.Context, url, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	body, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(f, body)
	return err
}

// open returns the body of an HTTP stream or the payload of a WebSocket's
// messages. It trusts any certificate.
func open(ctx context.Context, url string) (io.ReadCloser, error) {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport}
	if strings.HasPrefix(url, "ws") {
		conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			return nil, err
		}
		conn.SetReadLimit(-1)
		return &messages{ctx: ctx, conn: conn}, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, errors.New(res.Status)
	}
	return res.Body, nil
}

// messages reads a WebSocket's messages one after the other.
type messages struct {
	ctx  context.Context
	conn *websocket.Conn
	r    io.Reader // the rest of the message; nil between messages
}

func (m *messages) Read(p []byte) (int, error) {
	for {
		if m.r == nil {
			_, r, err := m.conn.Reader(m.ctx)
			switch {
			case errors.As(err, new(websocket.CloseError)):
				return 0, io.EOF
			case err != nil:
				return 0, err
			}
			m.r = r
		}
		n, err := m.r.Read(p)
		if errors.Is(err, io.EOF) {
			m.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (m *messages) Close() error { return m.conn.CloseNow() }
