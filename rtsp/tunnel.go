package rtsp

import (
	"errors"
	"fmt"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// http takes in the request with which one half of a tunnel begins: GET of the
// one on which we send, which goes on as the connection; POST of the one on which
// the peer does, which lends itself to the other.
func (c *conn) http(r *wire.Request) error {
	var err error
	switch {
	case c.tunnelled || c.session != nil:
		err = &wire.Error{Status: 400, Text: "a tunnel within a session"}
	case r.Method == wire.MethodGet:
		err = c.openTunnel(r)
	case r.Method == wire.MethodPost:
		c.serving.OnLeave(c.raw, func() {}) // it goes with the other half
		if err = c.srv.tunnels.Post(c.nc, c.in, r); err == nil {
			err = errLeft
		}
	default:
		err = &wire.Error{Status: 405, Text: "HTTP is spoken for tunnels only"}
	}
	var e *wire.Error
	if errors.As(err, &e) {
		answer := wire.Response{Status: e.Status, Proto: wire.HTTP10, Header: fields("Server", productName, "Connection", "close", "Content-Type", "text/plain"), Body: []byte(e.Text)}
		c.out = answer.Append(c.out)
	}
	return err
}

// openTunnel makes c the connection in a tunnel.
func (c *conn) openTunnel(r *wire.Request) error {
	t, err := c.srv.tunnels.Get(c.nc, c.in, r, c.until)
	if err != nil {
		return fmt.Errorf("rtsp: tunnel: %w", err)
	}
	c.nc, c.tunnelled = t, true
	_ = c.nc.SetDeadline(c.until)
	limits := beforeAuth
	limits.HTTP = false
	c.in = wire.NewReader(c, connBuffer, limits)
	return nil
}
