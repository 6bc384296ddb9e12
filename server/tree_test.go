package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// secret is what must never be seen: it lies outside of the root.
const secret = "the secret lies outside"

// tree makes a folder with files to serve and files that must not be, and returns
// the one to serve.
//
//	secret.txt  www_sibling/secret.txt  other/o.txt
//	www/a.txt  www/sub/b.txt  www/page/Index.HTM  www/.hidden  www/…links
func tree(t testing.TB) (www string) {
	t.Helper()
	top := t.TempDir()
	www = filepath.Join(top, "www")
	for name, content := range map[string]string{
		"secret.txt":             secret,
		"www_sibling/secret.txt": secret,
		"other/o.txt":            "other",
		"www/a.txt":              "content of a",
		"www/sub/b.txt":          "content of b",
		"www/page/Index.HTM":     "<p>the page",
		"www/.hidden":            secret,
		"www/.git/config":        secret,
		"www/empty.bin":          "",
	} {
		name = filepath.Join(top, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
	if runtime.GOOS != "windows" { // where it takes privileges
		for name, to := range map[string]string{
			"out":      "../secret.txt",
			"out_dir":  "..",
			"out_far":  "sub/../../secret.txt",
			"absolute": filepath.Join(top, "secret.txt"),
			"loop":     "loop",
			"nowhere":  "none",
			"in":       "a.txt",
			"in_dir":   "sub",
		} {
			require.NoError(t, os.Symlink(to, filepath.Join(www, name)))
		}
	}
	return www
}

// fetch asks h in memory.
func fetch(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	return ask(h, http.MethodGet, target, header...)
}

func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// serving serves s on the loopback interface until the test ends.
func serving(t testing.TB, s *HTTP) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, ErrServerClosed)
		require.Zero(t, s.Stats().PanicsTotal)
	})
	return ln.Addr().String()
}

// A rawClient sends requests as they are. It connects again when it has to.
type rawClient struct {
	t    testing.TB
	addr string
	nc   net.Conn
	r    *bufio.Reader
}

// ask sends a request and returns the answer, read to its end.
func (c *rawClient) ask(request string) (*http.Response, string) {
	c.t.Helper()
	if c.nc == nil {
		nc, err := net.Dial("tcp", c.addr)
		require.NoError(c.t, err)
		c.nc, c.r = nc, bufio.NewReader(nc)
	}
	_, err := io.WriteString(c.nc, request)
	require.NoError(c.t, err)
	resp, err := http.ReadResponse(c.r, nil)
	require.NoError(c.t, err, "an answer to %.200q", request)
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	if resp.Close {
		c.close()
	}
	return resp, string(b)
}

func (c *rawClient) close() {
	if c.nc != nil {
		_ = c.nc.Close()
		c.nc = nil
	}
}
