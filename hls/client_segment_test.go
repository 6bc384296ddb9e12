package hls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

func newDecrypter(t *testing.T, key string, src io.Reader) *decrypter {
	block, err := aes.NewCipher([]byte(key))
	require.NoError(t, err)
	return &decrypter{src: src, cbc: cipher.NewCBCDecrypter(block, sequenceIV(7))}
}

func TestDecrypter(t *testing.T) {
	const key = "0123456789abcdef"
	all := bytes.Repeat([]byte("a segment of some kind;"), cryptBuf/10)
	for _, n := range []int{0, 1, 15, 16, 17, 100, cryptBuf - 17, cryptBuf - 16, cryptBuf - 1, cryptBuf, cryptBuf + 1, 2*cryptBuf + 5} {
		b := encrypt([]byte(key), sequenceIV(7), all[:n])
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "end with data": iotest.DataErrReader, "halves": iotest.HalfReader,
		} {
			got, err := io.ReadAll(newDecrypter(t, key, wrap(bytes.NewReader(b))))
			require.NoError(t, err, "%d %s", n, name)
			require.True(t, bytes.Equal(all[:n], got), "%d %s", n, name)
		}
		_, err := io.ReadAll(newDecrypter(t, key, bytes.NewReader(b[:len(b)-1])))
		require.ErrorIs(t, err, ErrInvalid, "cut")
		got, err := io.ReadAll(newDecrypter(t, key, io.MultiReader(bytes.NewReader(b), iotest.ErrReader(io.ErrClosedPipe))))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.LessOrEqual(t, len(got), n)
	}
	b := encrypt([]byte(key), sequenceIV(7), all[:100])
	_, err := io.ReadAll(newDecrypter(t, "another key 0000", bytes.NewReader(b)))
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "key")
}

func FuzzDecrypter(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := io.ReadAll(newDecrypter(t, "0123456789abcdef", iotest.HalfReader(bytes.NewReader(b))))
		if len(got) > len(b) || err == nil && len(b) > 0 && len(got) == len(b) {
			t.Fatalf("%d bytes of %d", len(got), len(b))
		}
	})
}

// newPiece returns a piece of what h has.
func newPiece(t *testing.T, h http.HandlerFunc) *piece {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	f := &fetcher{livehttp.Fetcher{HTTP: srv.Client(), Silence: -1}}
	p := &piece{ctx: t.Context(), fetch: f, url: u, left: -1, limit: maxSegment, retries: new(atomic.Uint64)}
	t.Cleanup(p.Close)
	return p
}

// A segment without end is not read for ever, nor one that drips.
func TestPieceLimits(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 1000))
		}
	}
	p := newPiece(t, endless)
	p.limit = 100_000
	n, err := io.Copy(io.Discard, p)
	require.ErrorIs(t, err, source.ErrLimit)
	require.LessOrEqual(t, n, int64(100_000))

	p = newPiece(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte{0})
			w.(http.Flusher).Flush()
		}
	})
	p.budget, p.failed = 50*time.Millisecond, attempts-1
	_, err = io.Copy(io.Discard, p)
	require.ErrorIs(t, err, source.ErrTimeout)
}

// Somebody who is slow himself does not use up the server's time.
func TestPieceBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newRemote()
		o.files["/a"] = make([]byte, 1<<20)
		f := &fetcher{livehttp.Fetcher{HTTP: &http.Client{Transport: o}, Silence: -1}}
		p := &piece{
			ctx: t.Context(), fetch: f, url: &url.URL{Scheme: "http", Host: "origin", Path: "/a"},
			left: -1, limit: maxSegment, budget: time.Second, retries: new(atomic.Uint64),
		}
		b := make([]byte, 32<<10)
		_, err := io.ReadFull(p, b)
		require.NoError(t, err)
		time.Sleep(2 * p.budget)
		n, err := io.Copy(io.Discard, p)
		require.NoError(t, err)
		require.EqualValues(t, 1<<20-len(b), n)
		require.Zero(t, p.retries.Load())
		p.Close()
	})
}

// A server that sends another range than it was asked for is not believed.
func TestPieceOtherRange(t *testing.T) {
	p := newPiece(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-9/100")
		w.WriteHeader(http.StatusPartialContent)
	})
	p.from, p.left = 10, 10
	_, err := io.ReadAll(p)
	require.ErrorIs(t, err, ErrInvalid)
}
