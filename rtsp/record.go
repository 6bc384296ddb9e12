package rtsp

import (
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// record answers RECORD (RFC 2326, 10.11), which begins publishing, or goes on
// with it after PAUSE.
func (c *conn) record(r *wire.Request) error {
	s := c.session
	if s.cursor != nil || len(s.setups) < len(s.medias) {
		return c.notNow(r)
	}
	if c.pub == nil {
		if err := c.startPublishing(); err != nil {
			return c.refuse(r, s.req.Key.Path(), err, true)
		}
	}
	c.reply(r, &reply{status: 200, header: fields("RTP-Info", recordInfo(s.setups))})
	return nil
}

// startPublishing makes the peer a publisher.
func (c *conn) startPublishing() error {
	p, err := c.newPublisher()
	if err != nil {
		return err
	}
	c.pub = p
	c.session.pub = nil
	c.until = time.Time{}
	_ = c.nc.SetDeadline(c.until)
	limits := wire.Limits{Wanted: p.wants, Garbage: publisherGarbage}
	if c.session.carrier == overTCP {
		c.in.Use(c, publisherBuffer, limits)
		c.patience.Silence = limit(c.srv.ReadTimeout, defaultReadTimeout)
		return nil
	}
	c.in.Use(c, connBuffer, limits)
	p.listen(c.serving)
	return nil
}

// recordInfo returns the RTP-Info (RFC 2326, 12.33) of what is being received.
func recordInfo(setups []*setup) string {
	var b strings.Builder
	for i, x := range setups {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("url=" + infoURL(x.url))
	}
	return b.String()
}
