package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A server is what a user of the packages puts together: RTMP, RTSP and HTTP,
// with and without TLS, in front of a hub. Over HTTP and WebSocket there are
// FLV, TS, fMP4 and HLS.
type server struct {
	next  source.Handler
	addrs map[string]string // by URL scheme
	roots *x509.CertPool    // trusts the server's certificate
	plays atomic.Int64      // how often somebody asked to play
}

// Play and Publish make the server the handler in front of its hub.
func (s *server) Play(ctx context.Context, r *source.Request) (source.Reader, error) {
	s.plays.Add(1)
	return s.next.Play(ctx, r)
}

func (s *server) Publish(ctx context.Context, r *source.Request) (source.Publication, error) {
	return s.next.Publish(ctx, r)
}

// viewers waits until so many have asked to play in all.
func (s *server) viewers(t testing.TB, n int) {
	t.Helper()
	eventually(t, func() bool { return s.plays.Load() >= int64(n) }, "%d viewers have come", n)
}

// serve starts a server for the test on free ports of the loopback interface.
// A nil hub is a new one.
func serve(t testing.TB, hub *source.Hub) *server {
	t.Helper()
	if hub == nil {
		hub = &source.Hub{}
	}
	return serveHandler(t, hub, hub)
}

// serveHandler is serve with something in front of the hub.
func serveHandler(t testing.TB, hub *source.Hub, next source.Handler) *server {
	t.Helper()
	return serveViewers(t, hub, next, source.ViewerOptions{})
}

// serveViewers is serveHandler with options for the viewers of TS and fMP4.
func serveViewers(t testing.TB, hub *source.Hub, next source.Handler, viewer source.ViewerOptions) *server {
	t.Helper()
	cert := newCertificate(t)
	s := &server{next: next, addrs: map[string]string{}, roots: cert.roots(t)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	live := &hls.Handler{Handler: s, Next: &ts.Handler{Handler: s, Viewer: viewer, Next: &mp4.Handler{
		Handler: s, Viewer: viewer, Next: &flv.Handler{Handler: s},
	}}}
	web := &http.Server{Handler: live, ReadHeaderTimeout: 10 * time.Second}
	for _, scheme := range []string{"rtmp", "rtmps", "rtsp", "rtsps", "http", "https"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s.addrs[scheme] = ln.Addr().String()
		switch scheme {
		case "rtmp":
			running.Go(func() { (&rtmp.Server{Handler: s}).Serve(ctx, ln) })
		case "rtmps":
			running.Go(func() { (&rtmp.Server{Handler: s, TLSConfig: cert.server()}).Serve(ctx, ln) })
		case "rtsp":
			groups := rtsp.Multicast{Groups: netip.MustParsePrefix("239.255.0.0/16"), Loopback: true}
			running.Go(func() { (&rtsp.Server{Handler: s, Multicast: groups}).Serve(ctx, ln) })
		case "rtsps":
			running.Go(func() { (&rtsp.Server{Handler: s, TLSConfig: cert.server()}).Serve(ctx, ln) })
		case "http":
			running.Go(func() { web.Serve(ln) })
		case "https":
			running.Go(func() { web.Serve(tls.NewListener(ln, cert.server())) })
		}
	}
	s.addrs["ws"], s.addrs["wss"] = s.addrs["http"], s.addrs["https"]
	t.Cleanup(func() {
		hub.Close()
		live.Shutdown(context.Background())
		cancel()
		web.Close()
		running.Wait()
	})
	return s
}

// url returns the URL of a stream, such as "live/t".
func (s *server) url(scheme, name string) string {
	u := scheme + "://" + s.addrs[scheme] + "/" + name
	if scheme[0] == 'r' {
		return u
	}
	return u + ".live.flv"
}

// at returns the URL of a path, such as "live/t/hls.m3u8".
func (s *server) at(scheme, path string) string { return scheme + "://" + s.addrs[scheme] + "/" + path }

// A certificate is for 127.0.0.1, signed by itself.
type certificate struct {
	der []byte
	key *ecdsa.PrivateKey
}

func newCertificate(t testing.TB) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "127.0.0.1"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return certificate{der, key}
}

// server returns what a server needs to present the certificate.
func (c certificate) server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.der}, PrivateKey: c.key}}}
}

// roots returns what a client needs to trust the certificate.
func (c certificate) roots(t testing.TB) *x509.CertPool {
	t.Helper()
	cert, err := x509.ParseCertificate(c.der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// files writes the certificate and its key as PEM files.
func (c certificate) files(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: c.der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return certFile, keyFile
}
