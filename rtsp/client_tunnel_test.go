package rtsp

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/source"
)

// Tunnels that do not come about fail as they should, and leave nothing.
func TestClientTunnelRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		answer string // to the GET; "" none
		err    error
		status int
		login  bool // an Authorization came with the second GET
	}{
		"silence":   {"", source.ErrTimeout, 0, false},
		"not found": {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", source.ErrNotFound, 404, false},
		"login":     {"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n\r\n", source.ErrUnauthorized, 401, true},
		"no HTTP":   {"RTSP/1.0 400 Bad Request\r\n\r\n", nil, 0, false},
		"a bomb":    {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100_000), nil, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				login := false
				dial := func(context.Context, string, string) (net.Conn, error) {
					client, server := memnet.Pipe(0)
					go func() {
						defer server.Close()
						req, err := http.ReadRequest(bufio.NewReader(server))
						if err != nil {
							return
						}
						require.Equal(t, "/cam?x=1", req.URL.String())
						require.NotEmpty(t, req.Header.Get("x-sessioncookie"))
						login = login || authorized(req.Header.Get("Authorization"))["uri"] == "/cam?x=1"
						_, _ = io.WriteString(server, c.answer)
						_, _ = io.Copy(io.Discard, server)
					}()
					return client, nil
				}
				began := time.Now()
				_, err := (&Client{Transport: TransportHTTP, Dial: dial}).Open(t.Context(), memURL+"?x=1")
				require.Error(t, err)
				if c.err != nil {
					require.ErrorIs(t, err, c.err)
				}
				if c.status != 0 {
					var status *StatusError
					require.ErrorAs(t, err, &status)
					require.Equal(t, c.status, status.Status)
				}
				require.Equal(t, c.login, login)
				require.LessOrEqual(t, time.Since(began), 10*time.Second)
			})
		})
	}
}

// What goes through a tunnel: the whole of each write in base64 one way, as it is
// the other way.
func TestTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down, get := memnet.Pipe(0)
		up, post := memnet.Pipe(0)
		tn := &tunnel{Conn: down, in: bufio.NewReader(down), up: up}
		go func() { _, _ = get.Write([]byte("answer")) }()
		b := make([]byte, 6)
		_, err := io.ReadFull(tn, b)
		require.NoError(t, err)
		require.Equal(t, "answer", string(b))
		var want string
		for _, s := range []string{"a", "bc", "def", ""} {
			n, err := tn.Write([]byte(s))
			require.NoError(t, err)
			require.Equal(t, len(s), n)
			want += base64.StdEncoding.EncodeToString([]byte(s))
		}
		require.NoError(t, tn.SetWriteDeadline(time.Now().Add(time.Second)))
		require.NoError(t, up.SetWriteBuffer(1))
		_, err = tn.Write(make([]byte, 100))
		require.Error(t, err)
		require.NoError(t, tn.SetDeadline(time.Now()))
		_, err = tn.Read(b)
		require.Error(t, err)
		require.NoError(t, tn.Close())
		got, err := io.ReadAll(post)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(got), want), fmt.Sprint(string(got)))
		_, err = get.Write([]byte("x"))
		require.Error(t, err)
	})
}
