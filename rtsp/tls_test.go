package rtsp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

// serverTLS returns a configuration with a certificate of its own making.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// clientTLS returns a configuration that accepts that certificate.
func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// TestPlayTLS plays by rtsps, where packets do not leave the connection.
func TestPlayTLS(t *testing.T) {
	hub := newHub(t)
	var req *source.Request
	s := &Server{TLSConfig: serverTLS(t), Handler: handlerFuncs{play: hub.Play}}
	s.Handler = playFunc(func(r *source.Request) { req = r }, hub)
	url := startServer(t, s) + "cam"
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	nc, err := tls.Dial("tcp", strings.Split(url, "/")[2], clientTLS())
	require.NoError(t, err)
	p := newTestPeer(t, nc)
	p.do(461, "SETUP", url+"/trackID=0", "Transport", "RTP/AVP;unicast;client_port=5000-5001")
	p.setupAll(url, "RTP/AVP;unicast;client_port=5000-5001,"+tcp)
	r := p.do(200, "PLAY", url)
	p.starts(r.Header.Get("RTP-Info"))
	require.Equal(t, "rtsps", req.Protocol)
	require.NotNil(t, req.TLS)
	p.do(200, "PAUSE", url)
	p.do(200, "TEARDOWN", url)
	p.requireClosed()

	// Without TLS there is nothing.
	q := dialPeer(t, url)
	_, err = q.nc.Write([]byte("OPTIONS * RTSP/1.0\r\n\r\n"))
	require.NoError(t, err)
	q.requireClosed()
	require.EqualValues(t, 1, s.Stats().HandshakesFailed)
}
