package server

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLargeFile: a file comes whole, though the writing of it was interrupted
// again and again by deadlines, as it is for those who read slowly.
func TestLargeFile(t *testing.T) {
	const size, interruptions = 16 << 20, 3
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f.mp4"), content, 0o600))
	files := &Files{Root: dir}
	var visiting atomic.Pointer[visit]
	addr := serving(t, &HTTP{StallTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		require.Implements(t, (*io.ReaderFrom)(nil), w)
		visiting.Store(visitOf(r))
		require.NoError(t, visitOf(r).nc.(*net.TCPConn).SetWriteBuffer(64<<10)) // the writer is never far ahead of the reader
		if r.URL.Path == "/memory" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = w.Write(content)
			return
		}
		files.ServeHTTP(w, r)
	})})
	for _, target := range []string{"/f.mp4", "/memory"} {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		require.NoError(t, nc.(*net.TCPConn).SetReadBuffer(64<<10))
		_, err = io.WriteString(nc, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		var got bytes.Buffer
		for range interruptions {
			_, err := io.CopyN(&got, nc, size/(interruptions+1))
			require.NoError(t, err)
			v := visiting.Load()
			armed := func() time.Time {
				v.mu.Lock()
				defer v.mu.Unlock()
				return v.armed
			}
			before := armed()
			require.NoError(t, v.nc.SetWriteDeadline(time.Unix(1, 0)))
			require.Eventually(t, func() bool { return armed() != before }, 10*time.Second, time.Millisecond, "the writer goes on")
		}
		_, err = io.Copy(&got, nc)
		require.NoError(t, err)
		_, body, ok := bytes.Cut(got.Bytes(), []byte("\r\n\r\n"))
		require.True(t, ok)
		require.True(t, bytes.Equal(content, body), "%s: %d bytes", target, len(body))
		_ = nc.Close()
	}
}

// TestHijack: who takes a connection over gets all that a TCP connection can do.
func TestHijack(t *testing.T) {
	taken := make(chan net.Conn, 1)
	s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		taken <- nc
	})}
	addr := serving(t, s)
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	nc := <-taken
	require.Implements(t, (*syscall.Conn)(nil), nc, "for writes that do not wait")
	require.Implements(t, (*interface{ CloseWrite() error })(nil), nc)
	require.Implements(t, (*interface{ NetConn() net.Conn })(nil), nc)
	bufs := net.Buffers{[]byte("a"), []byte("b"), []byte("c")}
	n, err := bufs.WriteTo(nc)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	require.NoError(t, nc.SetWriteDeadline(time.Unix(1, 0)))
	_, err = nc.Write([]byte("x"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "deadlines are the new owner's")
	require.NoError(t, nc.(interface{ CloseWrite() error }).CloseWrite())
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "abc", string(b))
	require.EqualValues(t, 1, s.Stats().Conns)
	require.NoError(t, nc.Close())
	require.Zero(t, s.Stats().Conns)
}

// TestSlowloris: 500 slow connections do not disturb the others (H6). How long
// those wait is in the log.
func TestSlowloris(t *testing.T) {
	const slow, requests = 600, 2000
	files, content := fileOf(t, 20_000)
	s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		files.ServeHTTP(w, r)
	})}
	addr := serving(t, s)
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	for i := range slow {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer nc.Close()
		begin := []string{"", "GET /f.mp4 HTTP/1.1\r\nHost: x\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"}[i%3]
		_, err = io.WriteString(nc, begin)
		require.NoError(t, err)
		dripping.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for begin != "" {
				select {
				case <-tick.C:
					_, _ = io.WriteString(nc, "x")
				case <-stop:
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return s.Stats().Conns == slow }, 10*time.Second, time.Millisecond)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var took []time.Duration
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range requests / 4 {
				began := time.Now()
				resp, err := client.Get("http://" + addr + "/f.mp4")
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(b, content) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				d := time.Since(began)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	close(stop)
	dripping.Wait()
	slices.Sort(took)
	require.Len(t, took, requests)
	t.Logf("%d slow connections; %d requests took: median %v, p99 %v, at most %v", slow, requests, took[requests/2], took[requests*99/100], took[requests-1])
}

// BenchmarkFile fetches a file of 1 MiB again and again.
func BenchmarkFile(b *testing.B) {
	files, content := fileOf(b, 1<<20)
	for name, h := range map[string]http.Handler{"Files": files, "net/http": http.FileServer(http.Dir(files.Root))} {
		b.Run(name, func(b *testing.B) {
			addr := serving(b, &HTTP{Handler: h})
			client := &http.Client{Transport: &http.Transport{ReadBufferSize: 256 << 10}}
			defer client.CloseIdleConnections()
			buf := make([]byte, 256<<10)
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				resp, err := client.Get("http://" + addr + "/f.mp4")
				require.NoError(b, err)
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, buf)
				require.NoError(b, err)
				_ = resp.Body.Close()
			}
		})
	}
}
