package rtsp

import (
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// pause answers a peer that does not play (RFC 2326, 10.6): one that publishes
// may say so and send nothing for a while, as long as the server waits.
func (c *conn) pause(r *wire.Request) error {
	if c.pub == nil {
		return c.notNow(r)
	}
	c.reply(r, &reply{status: 200})
	return nil
}

// pause stops the stream (RFC 2326, 10.6): a file stands still, of a live stream
// nothing is sent.
func (w *viewer) pause(r *wire.Request) error {
	w.paused = true
	w.delivery.Pause(true)
	if p, ok := source.As[source.Pauser](w.session.cursor.Reader()); ok {
		if err := p.Pause(true); err != nil {
			return err
		}
	}
	return w.reply(r, &reply{status: 200})
}
