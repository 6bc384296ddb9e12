package livehttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/coder/websocket"
)

// dial asks over WebSocket.
func (c *Client) dial(b *Body, u *url.URL) error {
	conn, resp, err := websocket.Dial(b.ctx, u.String(), &websocket.DialOptions{
		HTTPClient: c.client(), HTTPHeader: c.header(), CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return Refusal(resp)
		}
		return err
	}
	conn.SetReadLimit(-1) // messages are a stream to us: nothing is kept of them
	b.body = &messages{ctx: b.ctx, conn: conn}
	return nil
}

// messages is the binary messages of a WebSocket as one stream of bytes.
type messages struct {
	ctx  context.Context
	conn *websocket.Conn
	r    io.Reader // of the message; nil between two
}

func (m *messages) Read(b []byte) (int, error) {
	for {
		if m.r == nil {
			kind, r, err := m.conn.Reader(m.ctx)
			if err == nil && kind != websocket.MessageBinary {
				_, err = io.Copy(io.Discard, r)
				r = nil
			}
			if err != nil {
				return 0, ended(err)
			}
			if m.r = r; r == nil {
				continue
			}
		}
		n, err := m.r.Read(b)
		switch {
		case errors.Is(err, io.EOF):
			m.r, err = nil, nil
		case err != nil:
			err = ended(err)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close closes the connection without waiting for the peer to agree.
func (m *messages) Close() error {
	_ = m.conn.CloseNow() // fails if it is closed already
	return nil
}

// ended returns io.EOF for the normal end of a WebSocket, a *StatusError for
// another, of which ours begin with the HTTP status.
func ended(err error) error {
	var e websocket.CloseError
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == websocket.StatusNormalClosure {
		return io.EOF
	}
	if len(e.Reason) > 4 && e.Reason[3] == ' ' {
		if code, err := strconv.Atoi(e.Reason[:3]); err == nil && code >= 400 {
			return &StatusError{Code: code, Text: e.Reason[4:]}
		}
	}
	return &StatusError{Code: int(e.Code), Text: e.Reason}
}
