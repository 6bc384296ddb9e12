package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
)

// A hall is an HTTP in memory, in virtual time.
type hall struct {
	t      *testing.T
	http   *HTTP
	ln     *memnet.Listener
	cancel context.CancelFunc
	done   chan error
	roots  *x509.CertPool // of its certificate
}

// inHall serves s while body runs.
func inHall(t *testing.T, s *HTTP, body func(t *testing.T, h *hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hall{t: t, http: s, ln: memnet.Listen(4 << 10), done: make(chan error, 1)}
		if s.TLSConfig != nil {
			var cert tls.Certificate
			cert, h.roots = certificate(t)
			s.TLSConfig.Certificates = []tls.Certificate{cert}
		}
		var ctx context.Context
		ctx, h.cancel = context.WithCancel(t.Context())
		go func() { h.done <- s.Serve(ctx, h.ln) }()
		body(t, h)
		h.cancel()
		require.ErrorIs(t, <-h.done, ErrServerClosed)
		synctest.Wait()
		require.Zero(t, s.Stats().Conns)
	})
}

// dial connects to the hall and says something.
func (h *hall) dial(say string) *memnet.Conn {
	h.t.Helper()
	c, err := h.ln.Dial(h.t.Context())
	require.NoError(h.t, err)
	_, err = io.WriteString(c, say)
	require.NoError(h.t, err)
	return c
}

// lasts returns how long a connection is open, and what comes meanwhile.
func lasts(c net.Conn) (time.Duration, string) {
	began := time.Now()
	b, _ := io.ReadAll(c)
	_ = c.Close()
	return time.Since(began), string(b)
}

// drip says something every second, until it is stopped or nobody listens.
func drip(c io.Writer, say string) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		for {
			select {
			case <-time.After(time.Second):
			case <-stopped:
				return
			}
			if _, err := io.WriteString(c, say); err != nil {
				return
			}
		}
	}()
	return func() { close(stopped) }
}

// certificate makes one for "host".
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "host"}, DNSNames: []string{"host"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(100, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// echoBody answers with the length of the body, or what was wrong with it.
func echoBody(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.WriteHeader(http.StatusRequestTimeout)
	case errors.As(err, new(*http.MaxBytesError)):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	}
	_, _ = io.WriteString(w, "got "+time.Duration(n).String())
}

// TestRequestTimeout: nobody who has not made a request is there after 10 s,
// whatever he does meanwhile (G3). Requests after that may wait for 15 s.
func TestRequestTimeout(t *testing.T) {
	for _, c := range []struct {
		name, say, drip string
		want            time.Duration
		answer          string // begins so
	}{
		{"silent", "", "", 10 * time.Second, ""},
		{"stuck in the first line", "GET / HT", "", 10 * time.Second, ""},
		{"drips headers", "GET / HTTP/1.1\r\n", "X: y\r\n", 10 * time.Second, ""},
		{"drips bytes", "GET /", "x", 10 * time.Second, ""},
		{"drips empty lines", "", "\r\n", 0, "HTTP/1.1 400"},
		{"idle", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", 15 * time.Second, "HTTP/1.1 200"},
		{"drips a second request", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", "X: y\r\n", 10 * time.Second, "HTTP/1.1 200"},
		{"says it closes", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "", 0, "HTTP/1.1 200"},
		{"is old", "GET / HTTP/1.0\r\n\r\n", "", 0, "HTTP/1.0 200"},
		{"drips a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "x", 10 * time.Second, "HTTP/1.1 408"},
		{"drips chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 10 * time.Second, "HTTP/1.1 408"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inHall(t, &HTTP{Handler: http.HandlerFunc(echoBody)}, func(t *testing.T, h *hall) {
				nc := h.dial(c.say)
				if c.drip != "" {
					defer drip(nc, c.drip)()
				}
				d, got := lasts(nc)
				if c.answer == "HTTP/1.1 408" { // lets the peer read that before it goes
					require.Less(t, d-c.want, time.Second)
					d = min(d, c.want)
				}
				if c.answer == "HTTP/1.1 400" {
					require.LessOrEqual(t, d, 10*time.Second)
				} else {
					require.Equal(t, c.want, d)
				}
				if c.answer == "" && strings.HasPrefix(got, "HTTP/1.1 400") {
					got = "" // what net/http says when it is the first to lose patience
				}
				require.True(t, strings.HasPrefix(got, c.answer) && (got == "") == (c.answer == ""), "%.300s", got)
			})
		})
	}
}

// TestRequestTimeoutInAll: header and body have one time.
func TestRequestTimeoutInAll(t *testing.T) {
	inHall(t, &HTTP{Handler: http.HandlerFunc(echoBody)}, func(t *testing.T, h *hall) {
		c := h.dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
		time.Sleep(6 * time.Second)
		_, err := io.WriteString(c, "\r\nx")
		require.NoError(t, err)
		d, got := lasts(c)
		require.Contains(t, got, "408")
		require.InDelta(t, 4*time.Second, d, float64(time.Second))
	})
}

// TestTLSTimeout: nor is anybody there after 10 s who cannot get his handshake, or
// anything after it, done.
func TestTLSTimeout(t *testing.T) {
	for name, say := range map[string]string{
		"silent":           "",
		"a record's begin": "\x16\x03\x01\x02\x00",
		"a record of 16 K": "\x16\x03\x01\x40\x00\x01\x00\x3f\xfc",
	} {
		t.Run(name, func(t *testing.T) {
			inHall(t, &HTTP{TLSConfig: &tls.Config{}}, func(t *testing.T, h *hall) {
				d, got := lasts(h.dial(say))
				require.Equal(t, 10*time.Second, d)
				require.Empty(t, got)
			})
		})
	}
	for _, proto := range []string{"h2", "http/1.1"} {
		t.Run("silent after it, "+proto, func(t *testing.T) {
			inHall(t, &HTTP{TLSConfig: &tls.Config{}}, func(t *testing.T, h *hall) {
				nc := h.dial("")
				began := time.Now()
				time.Sleep(5 * time.Second)
				c := tls.Client(nc, &tls.Config{ServerName: "host", RootCAs: h.roots, NextProtos: []string{proto}})
				require.NoError(t, c.Handshake())
				require.Equal(t, proto, c.ConnectionState().NegotiatedProtocol)
				if proto == "h2" {
					_, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and settings
					require.NoError(t, err)
				}
				_, _ = io.Copy(io.Discard, c)
				require.Equal(t, 10*time.Second, time.Since(began))
				_ = nc.Close()
			})
		})
	}
	t.Run("garbage", func(t *testing.T) {
		inHall(t, &HTTP{TLSConfig: &tls.Config{}}, func(t *testing.T, h *hall) {
			d, _ := lasts(h.dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			require.Zero(t, d)
		})
	})
	t.Run("old", func(t *testing.T) {
		inHall(t, &HTTP{TLSConfig: &tls.Config{}}, func(t *testing.T, h *hall) {
			nc := h.dial("")
			defer nc.Close()
			require.Error(t, tls.Client(nc, &tls.Config{ServerName: "host", RootCAs: h.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake())
		})
	})
}

// TestLargeBody: a body may take as long again for each MiB, and handlers may take
// their time before they read it.
func TestLargeBody(t *testing.T) {
	var wait time.Duration
	s := &HTTP{MaxBody: 3 << 20, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(wait)
		echoBody(w, r)
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		for _, c := range []struct {
			kbps int // what comes in a second, in KiB
			wait time.Duration
			want string
		}{{200, 0, "200 OK"}, {110, time.Minute, "200 OK"}, {90, 0, "408"}, {20, 0, "408"}} {
			wait = c.wait
			nc := h.dial("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3145728\r\n\r\n")
			var sending sync.WaitGroup
			sending.Go(func() {
				for range 3 << 20 / 1024 {
					time.Sleep(time.Second / time.Duration(c.kbps))
					if _, err := nc.Write(make([]byte, 1024)); err != nil {
						return
					}
				}
			})
			_, got := lasts(nc)
			sending.Wait()
			require.Contains(t, got, c.want, "%d KiB/s", c.kbps)
		}
	})
}

func TestMaxBody(t *testing.T) {
	for _, c := range []struct {
		limit int64
		body  string
		want  string
	}{
		{0, "Content-Length: 1048576\r\n\r\n", "200"},
		{0, "Content-Length: 1048577\r\n\r\n", "413"},
		{0, "Content-Length: 10000000000\r\n\r\n", "413"},
		{0, "Content-Length: 9223372036854775807\r\n\r\n", "413"},
		{0, "Content-Length: 9223372036854775808\r\n\r\n", "400"},
		{5, "Content-Length: 6\r\nExpect: 100-continue\r\n\r\n", "413"},
		{5, "Content-Length: 5\r\n\r\n", "200"},
		{5, "Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n", "413"},
		{5, "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", "200"},
		{-1, "Content-Length: 2000000\r\n\r\n", "200"},
	} {
		inHall(t, &HTTP{MaxBody: c.limit, Handler: http.HandlerFunc(echoBody)}, func(t *testing.T, h *hall) {
			nc := h.dial("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + c.body)
			if strings.HasSuffix(c.body, "\r\n\r\n") && c.want == "200" && strings.HasPrefix(c.body, "Content") {
				go func() { _, _ = nc.Write(make([]byte, 2_000_000)) }()
			}
			_, got := lasts(nc)
			require.Contains(t, got, "HTTP/1.1 "+c.want, c.body)
		})
	}
}

// TestHeaderLimits: at most 64 KiB, and what is malformed or says two things is
// refused, with the connection closed (H5).
func TestHeaderLimits(t *testing.T) {
	addr := serving(t, &HTTP{Handler: http.HandlerFunc(echoBody)})
	for _, c := range []struct {
		name, request string
		want          string
	}{
		{"60 KiB", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 60<<10) + "\r\n\r\n", "200"},
		{"a long line", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 66<<10), "431"},
		{"a long URI", "GET /" + strings.Repeat("x", 66<<10), "431"},
		{"many lines", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 20_000), "431"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		{"a length list", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\nxx", "400"},
		{"a signed length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx", "400"},
		{"a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nx", "400"},
		{"hexadecimal", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\nx", "400"},
		{"space before the colon", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\nx", "400"},
		{"space before chunked's colon", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"a folded line first", "POST / HTTP/1.1\r\n Host: x\r\n\r\n", "400"},
		{"other codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
		{"two codings", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
		{"chunked twice", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501"},
		{"a bad chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "400"},
		{"a huge chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "400"},
		{"NUL in a header", "GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "400"},
		{"CR in a header", "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", "400"},
		{"control bytes in the URI", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"bad escapes", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
		{"a bad host", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
		{"another version", "GET / HTTP/3.7\r\nHost: x\r\n\r\n", "505"},
		{"no version", "GET /\r\n\r\n", "400"},
		{"RTSP", "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", "400"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	} {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		go func() { _, _ = io.WriteString(nc, c.request) }()
		b := make([]byte, 12)
		_, err = io.ReadFull(nc, b)
		require.NoError(t, err, c.name)
		require.Equal(t, "HTTP/1.1 "+c.want, string(b), c.name)
		if c.want != "200" {
			_, err = io.Copy(io.Discard, nc) // ends: it is closed
			if !errors.Is(err, syscall.ECONNRESET) {
				require.NoError(t, err, c.name)
			}
		}
		_ = nc.Close()
	}
}

// TestSmuggling: what comes behind a request that somebody on the way may have
// taken for longer or shorter is no request.
func TestSmuggling(t *testing.T) {
	const second = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, request := range map[string]string{
		"length and chunks":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + second,
		"chunks and length":    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + second,
		"two lengths":          "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 38\r\n\r\n" + second,
		"half chunked":         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\nTransfer-Encoding: identity\r\n\r\n" + second,
		"chunked in HTTP/1.0":  "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + second,
		"hidden in an unknown": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + second,
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				paths = append(paths, r.URL.Path)
				echoBody(w, r)
			})}
			inHall(t, s, func(t *testing.T, h *hall) {
				d, got := lasts(h.dial(request))
				require.Less(t, d, time.Second)
				require.Equal(t, 1, strings.Count(got, "HTTP/1."), got)
			})
			require.NotContains(t, paths, "/second")
		})
	}
	// The same without a lie: two requests, two answers.
	inHall(t, &HTTP{Handler: http.HandlerFunc(hello)}, func(t *testing.T, h *hall) {
		_, got := lasts(h.dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" + second))
		require.Equal(t, 2, strings.Count(got, "HTTP/1.1 200"))
		require.Contains(t, got, "Server: MediaKit\r\n")
	})
}

// TestStall: who takes nothing for 10 s is cut, who takes something may take as
// long as he likes.
func TestStall(t *testing.T) {
	var failed atomic.Pointer[error]
	const size = 200_000
	s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		_, err := w.Write(make([]byte, size))
		if err != nil {
			err = errors.Join(err, errors.New(time.Since(began).String()))
		}
		failed.Store(&err)
	})}
	const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	inHall(t, s, func(t *testing.T, h *hall) {
		nc := h.dial(request)
		time.Sleep(11 * time.Second)
		require.NotNil(t, failed.Load())
		require.ErrorIs(t, *failed.Load(), os.ErrDeadlineExceeded)
		require.ErrorContains(t, *failed.Load(), "10s")
		_, got := lasts(nc)
		require.Less(t, len(got), size)

		failed.Store(nil)
		nc = h.dial(request)
		began := time.Now()
		b, all := make([]byte, 1000), 0
		for {
			n, err := nc.Read(b)
			all += n
			if err != nil {
				break
			}
			time.Sleep(9 * time.Second)
		}
		require.NoError(t, *failed.Load())
		require.Greater(t, all, size)
		require.Greater(t, time.Since(began), time.Minute)
	})
}

// TestHandlersDeadline: a handler may want its answer to be read sooner.
func TestHandlersDeadline(t *testing.T) {
	var took chan time.Duration
	s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		began := time.Now()
		_ = http.NewResponseController(w).SetWriteDeadline(began.Add(3 * time.Second))
		_, _ = w.Write(make([]byte, 100_000))
		took <- time.Since(began)
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		took = make(chan time.Duration, 1)
		nc := h.dial("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		defer nc.Close()
		require.Equal(t, 3*time.Second, <-took)
	})
}

// h2 returns a client that speaks HTTP/2 with the hall.
func (h *hall) h2() *http.Client {
	return &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{ServerName: "host", RootCAs: h.roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return h.ln.Dial(ctx)
		},
	}}
}

func TestHTTP2(t *testing.T) {
	var log bytes.Buffer
	s := &HTTP{TLSConfig: &tls.Config{}, MaxBody: 10, Logger: slog.New(slog.NewTextHandler(&log, nil)), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/panic":
			panic("oops")
		case "/flush":
			_, _ = io.WriteString(w, "hel")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Minute) // a stream's deadline must not run while nobody writes
			_, _ = io.WriteString(w, "lo")
		default:
			echoBody(w, r)
		}
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		c := h.h2()
		for _, req := range []struct {
			path, body string
			status     int
			want       string
		}{{"/", "12345", 200, "got 5ns"}, {"/", "12345678901", 413, ""}, {"/flush", "", 200, "hello"}} {
			resp, err := c.Post("https://host"+req.path, "", strings.NewReader(req.body))
			require.NoError(t, err)
			require.Equal(t, 2, resp.ProtoMajor)
			require.Equal(t, req.status, resp.StatusCode)
			require.Equal(t, "MediaKit", resp.Header.Get("Server"))
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Contains(t, string(b), req.want)
			_ = resp.Body.Close()
		}
		_, err := c.Get("https://host/panic")
		require.Error(t, err)
		resp, err := c.Get("https://host/")
		require.NoError(t, err, "the other streams live on")
		_ = resp.Body.Close()
		require.EqualValues(t, 1, s.Stats().PanicsTotal)
		require.EqualValues(t, 1, s.Stats().Accepted)
		c.CloseIdleConnections()
	})
	require.Contains(t, log.String(), "http: panic")
	require.Contains(t, log.String(), "oops")
}

// TestHTTP2Stall: a stream that takes nothing is cut, though its connection is
// well.
func TestHTTP2Stall(t *testing.T) {
	var took chan time.Duration
	s := &HTTP{TLSConfig: &tls.Config{}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			hello(w, r)
			return
		}
		began := time.Now()
		for range 16 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				break
			}
		}
		took <- time.Since(began)
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		took = make(chan time.Duration, 1)
		c := h.h2()
		defer c.CloseIdleConnections()
		resp, err := c.Get("https://host/large")
		require.NoError(t, err)
		defer resp.Body.Close()
		for range 9 {
			time.Sleep(time.Second)
			other, err := c.Get("https://host/")
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, other.Body)
			_ = other.Body.Close()
		}
		require.Equal(t, 10*time.Second, <-took)
		_, err = io.Copy(io.Discard, resp.Body)
		require.Error(t, err)
		require.EqualValues(t, 1, s.Stats().Accepted)
	})
}

// TestHTTP2SlowBody: a body has its time with HTTP/2, too.
func TestHTTP2SlowBody(t *testing.T) {
	s := &HTTP{TLSConfig: &tls.Config{}, Handler: http.HandlerFunc(echoBody)}
	inHall(t, s, func(t *testing.T, h *hall) {
		c := h.h2()
		defer c.CloseIdleConnections()
		r, w := io.Pipe()
		defer drip(w, "x")()
		began := time.Now()
		resp, err := c.Post("https://host/", "", r)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestTimeout, resp.StatusCode)
		require.InDelta(t, 10*time.Second, time.Since(began), float64(time.Second))
		_ = resp.Body.Close()
		_ = r.Close()
	})
}

// TestPanic: it ends a connection, is logged with its stack, and counted (G1);
// ErrAbortHandler is none.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := &HTTP{Logger: slog.New(slog.NewTextHandler(&log, nil)), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("oops")
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		for i, path := range []string{"/abort", "/panic"} {
			d, got := lasts(h.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
			require.Zero(t, d)
			require.Empty(t, got)
			require.EqualValues(t, i, s.Stats().PanicsTotal)
		}
		require.EqualValues(t, 2, s.Stats().Requests)
	})
	require.Contains(t, log.String(), "http: panic")
	require.Contains(t, log.String(), "TestPanic")
}

// TestMaxConns: what is hijacked counts until it is closed.
func TestMaxConns(t *testing.T) {
	var mu sync.Mutex
	var taken []net.Conn
	s := &HTTP{MaxConns: 2, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		mu.Lock()
		defer mu.Unlock()
		taken = append(taken, nc)
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
		a := h.dial(request)
		defer a.Close()
		synctest.Wait()
		b := h.dial(request)
		defer b.Close()
		synctest.Wait()
		require.Len(t, taken, 2)
		d, _ := lasts(h.dial(""))
		require.Zero(t, d, "one too many")
		time.Sleep(time.Minute) // nobody has a timeout for them
		require.Equal(t, HTTPStats{Conns: 2, Accepted: 2, Rejected: 1, Requests: 2}, s.Stats())
		go func() { _, _ = taken[0].Write(make([]byte, 100_000)) }()
		time.Sleep(time.Minute)
		_, err := io.ReadFull(a, make([]byte, 100_000))
		require.NoError(t, err)
		require.NoError(t, taken[0].Close())
		require.ErrorIs(t, taken[0].Close(), net.ErrClosed)
		require.EqualValues(t, 1, s.Stats().Conns)

		// The end of the server is not theirs.
		h.cancel()
		h.done <- <-h.done
		_, err = taken[1].Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, taken[1].Close())
	})
}

// TestServeEnds: answers get two seconds, those who asked for nothing none.
func TestServeEnds(t *testing.T) {
	s := &HTTP{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.URL.Path[1:])
		select {
		case <-time.After(d):
			hello(w, r)
		case <-r.Context().Done():
		}
	})}
	inHall(t, s, func(t *testing.T, h *hall) {
		ends := map[string]time.Duration{}
		conns := map[string]net.Conn{"silent": h.dial(""), "half": h.dial("GET")}
		for _, path := range []string{"0s", "1s", "1h"} {
			conns[path] = h.dial("GET /" + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		synctest.Wait()
		began := time.Now()
		h.cancel()
		for _, name := range []string{"silent", "half", "0s", "1s", "1h"} {
			_, got := lasts(conns[name])
			ends[name] = time.Since(began).Truncate(time.Second)
			require.Equal(t, name == "0s" || name == "1s", strings.HasSuffix(got, "hello"), name)
		}
		require.Equal(t, map[string]time.Duration{"silent": 0, "half": 0, "0s": 0, "1s": time.Second, "1h": farewell}, ends)
		_, err := h.ln.Dial(t.Context())
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// A brokenListener fails at once.
type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("broken") }

func TestServeFails(t *testing.T) {
	err := new(HTTP).Serve(t.Context(), brokenListener{memnet.Listen(0)})
	require.ErrorContains(t, err, "server: ")
	require.ErrorContains(t, err, "broken")
	require.Error(t, (&HTTP{Addr: "127.0.0.1:99999"}).ListenAndServe(t.Context()))
}
