package rtsp

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// conversation returns what a server says to who plays film, in one go.
func conversation(film *filmed) []byte {
	answer := func(headers, body string) string {
		if body != "" {
			body = strings.ReplaceAll(body, "\n", "\r\n")
			headers += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
		}
		return "RTSP/1.0 200 OK\r\n" + headers + "\r\n" + body
	}
	s := answer("Public: GET_PARAMETER\r\n", "") + answer("Content-Base: rtsp://h/a/\r\n", film.sdp)
	for i := range strings.Count(film.sdp, "m=") {
		s += answer("Session: 1;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved="+strconv.Itoa(2*i)+"-"+strconv.Itoa(2*i+1)+"\r\n", "")
	}
	b := []byte(s + answer(strings.TrimSuffix(film.info, "\n")+"\r\nRange: npt=0-\r\n", ""))
	film.send(func(p []byte) { b = append(b, p...) })
	return append(b, film.bye()...)
}

// converse dials a server that says the next answer in said, and what follows it,
// whenever it has heard something; then it ends the connection.
func converse(said []byte) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := memnet.Pipe(0)
		go func() {
			defer server.Close()
			b := make([]byte, 4096)
			for rest := said; len(rest) > 0; {
				if _, err := server.Read(b); err != nil {
					return
				}
				n := len(rest)
				if i := bytes.Index(rest[1:], []byte("RTSP/1.0 2")); i >= 0 {
					n = i + 1
				}
				if _, err := server.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		return client, nil
	}
}

// FuzzClient: whatever a server says, playing ends, and nothing is left of it.
func FuzzClient(f *testing.F) {
	for _, st := range []testmedia.Stream{camStream, {Video: codec.H265, Audio: codec.AAC, BFrames: 2, Bitrate: 50_000}, {Audio: codec.Opus}} {
		said := conversation(filming(f, st, 100*time.Millisecond))
		f.Add(said)
		f.Add(bytes.Replace(said, []byte("200 OK"), []byte("401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\""), 1))
		f.Add(bytes.Replace(said, []byte("200 OK"), []byte("302 Go\r\nLocation: rtsp://h/b"), 1))
	}
	f.Add([]byte("TEARDOWN * RTSP/1.0\r\n\r\n$\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, said []byte) {
		synctest.Test(t, func(t *testing.T) {
			r, err := (&Client{Transport: TransportTCP, Dial: converse(said)}).Open(t.Context(), memURL)
			for err == nil {
				_, err = r.ReadFrame(t.Context())
			}
			if r != nil {
				_ = r.Close()
			}
		})
	})
}

// What FuzzClient begins with is no nonsense.
func TestConversation(t *testing.T) {
	film := filming(t, camStream, time.Second)
	synctest.Test(t, func(t *testing.T) {
		r, err := (&Client{Transport: TransportTCP, Dial: converse(conversation(film))}).Open(t.Context(), memURL)
		require.NoError(t, err)
		requireSame(t, film.frames, readAll(t, r))
		require.NoError(t, r.Close())
	})
}
