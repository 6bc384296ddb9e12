package wire

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/internal/amf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server for one connection and returns the client's end.
func serve(t *testing.T, fn func(net.Conn)) net.Conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		ln.Close()
		if err == nil {
			fn(conn)
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return conn
}

func TestPlayHTTP(t *testing.T) {
	const flv = "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
	for _, c := range []struct{ name, reply, err string }{
		{"ok", "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\n" + flv, ""},
		{"missing", "HTTP/1.1 404 Not Found\r\n\r\n", "404"},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked"},
		{"cut", "HTTP/1.1 200", "EOF"},
		{"long", "HTTP/1.1 200 OK\r\n" + string(bytes.Repeat([]byte("x"), 5000)), "more than"},
		{"other", "FTP\r\n\r\n", "FTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := serve(t, func(conn net.Conn) {
				buf := make([]byte, 1000)
				n, _ := conn.Read(buf)
				if !bytes.HasPrefix(buf[:n], []byte("GET /live/x.live.flv HTTP/1.1\r\nHost: 127.0.0.1:")) {
					t.Errorf("request %q", buf[:n])
				}
				io.WriteString(conn, c.reply)
			})
			var got []Message
			s, err := PlayHTTP(conn, "/live/x.live.flv", NewFLVScanner(false, func(m Message) { got = append(got, m) }))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, s.Scan(AppendTag(nil, 8, 0, []byte("x"))))
			require.Len(t, got, 1)
		})
	}
}

// rtmpServer answers the handshake, then each command with what reply returns
// for its name.
func rtmpServer(t *testing.T, conn net.Conn, reply func(name string) []byte) {
	c := make([]byte, 1537)
	if _, err := io.ReadFull(conn, c); err != nil {
		return
	}
	conn.Write(append(c, c[1:]...))
	io.ReadFull(conn, c[1:])
	s := NewRTMPScanner(func(m Message) {
		if m.Type != 20 {
			return
		}
		v, err := amf.Unmarshal(m.Head)
		if err != nil {
			t.Error(err)
			return
		}
		name, _ := amf.String(v[0])
		conn.Write(reply(name))
	})
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil || s.Scan(buf[:n]) != nil {
			return
		}
	}
}

func TestRTMP(t *testing.T) {
	set := AppendMessage(nil, 2, 1, 0, 0, []byte{0, 0, ChunkSize >> 8, 0}, 128)
	ok := map[string][]byte{
		"connect":      appendCommand(set, 0, "_result", 1, nil, amf.Object{{Name: "code", Value: "NetConnection.Connect.Success"}}),
		"createStream": append(appendCommand(nil, 0, "onBWDone", 0, nil), appendCommand(nil, 0, "_result", 2, nil, 3.0)...),
		"play":         AppendMessage(nil, 6, 9, 3, 0, []byte{0x17, 1}, ChunkSize),
		"publish":      appendCommand(nil, 3, "onStatus", 0, nil, amf.Object{{Name: "code", Value: "NetStream.Publish.Start"}}),
	}
	t.Run("play", func(t *testing.T) {
		conn := serve(t, func(c net.Conn) { rtmpServer(t, c, func(name string) []byte { return ok[name] }) })
		var keys int
		s, err := PlayRTMP(conn, "live", "x", func(m Message) {
			if m.Key {
				keys++
			}
		})
		require.NoError(t, err)
		for buf := make([]byte, 4096); keys == 0; {
			n, err := conn.Read(buf)
			require.NoError(t, err)
			require.NoError(t, s.Scan(buf[:n]))
		}
	})
	t.Run("publish", func(t *testing.T) {
		conn := serve(t, func(c net.Conn) { rtmpServer(t, c, func(name string) []byte { return ok[name] }) })
		id, err := PublishRTMP(conn, "live", "x")
		require.NoError(t, err)
		require.Equal(t, uint32(3), id)
	})
	t.Run("refused", func(t *testing.T) {
		conn := serve(t, func(c net.Conn) {
			rtmpServer(t, c, func(name string) []byte {
				if name == "publish" {
					return appendCommand(nil, 3, "onStatus", 0, nil, amf.Object{{Name: "code", Value: "NetStream.Publish.BadName"}})
				}
				return ok[name]
			})
		})
		_, err := PublishRTMP(conn, "live", "x")
		require.ErrorContains(t, err, "BadName")
	})
	t.Run("connect refused", func(t *testing.T) {
		conn := serve(t, func(c net.Conn) {
			rtmpServer(t, c, func(string) []byte { return appendCommand(nil, 0, "_error", 1, nil, "no") })
		})
		_, err := PlayRTMP(conn, "live", "x", func(Message) {})
		require.ErrorContains(t, err, "refused")
	})
	t.Run("garbage", func(t *testing.T) {
		conn := serve(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
		_, err := PlayRTMP(conn, "live", "x", func(Message) {})
		require.Error(t, err)
	})
}
