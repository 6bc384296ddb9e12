package rtsp

import "github.com/mediakit-go/mediakit/rtsp/internal/wire"

// parameters answers GET_PARAMETER and SET_PARAMETER (RFC 2326, 10.8 and 10.9):
// there are none, but peers use them to say that they are there.
func (c *conn) parameters(r *wire.Request) error {
	c.reply(r, &reply{status: 200})
	return nil
}
