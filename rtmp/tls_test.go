package rtmp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// serverTLS returns a configuration with a certificate of its own making.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// clientTLS returns a configuration that accepts that certificate.
func clientTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// TestTLS publishes and plays by rtmps.
func TestTLS(t *testing.T) {
	rec := newRecording()
	hub := newHub(t)
	url := startServer(t, &Server{TLSConfig: serverTLS(t), Handler: handlerFuncs{play: hub.Play, publish: hub.Publish}})
	st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	c := &Client{TLSConfig: clientTLS()}
	w, err := c.Create(t.Context(), url+"cam", st.Tracks())
	require.NoError(t, err)
	want := writeFrames(t, w, st, 60)
	r, err := c.Open(t.Context(), url+"cam")
	require.NoError(t, err)
	got := readFrames(t, r, 40)
	require.Equal(t, want[0].Data, got[0].Data)
	require.NoError(t, w.Close())
	require.NoError(t, source.Copy(t.Context(), discard{}, r))
	require.NoError(t, r.Close())

	s := &Server{TLSConfig: serverTLS(t), Handler: rec}
	w, err = c.Create(t.Context(), startServer(t, s)+"cam", nil)
	require.NoError(t, err)
	require.Equal(t, "rtmps", rec.req.Protocol)
	require.NotNil(t, rec.req.TLS)
	require.NoError(t, w.Close())
	require.NoError(t, <-rec.ended)

	_, err = new(Client).Open(t.Context(), url+"cam")
	require.ErrorIs(t, err, ErrHandshake, "the certificate is not checked")
	require.ErrorAs(t, err, new(*tls.CertificateVerificationError))
}
