package rtsp

import "github.com/mediakit-go/mediakit/rtsp/internal/wire"

// teardown ends the session, and with it the connection (RFC 2326, 10.7).
func (c *conn) teardown(r *wire.Request) error {
	if c.session == nil {
		c.reply(r, &reply{status: wire.StatusSessionNotFound})
	} else {
		c.reply(r, &reply{status: 200})
	}
	return errLeft
}
