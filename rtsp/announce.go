package rtsp

import (
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// announce answers ANNOUNCE (RFC 2326, 10.3): the Handler is asked whether the
// peer may publish what it describes.
func (c *conn) announce(r *wire.Request) error {
	if s := c.session; s != nil {
		if s.cursor == nil || len(s.setups) > 0 {
			return c.notNow(r)
		}
		s.close(nil) // it had only described something
		c.session = nil
	}
	p, err := parseSDP(r.Body)
	if err != nil {
		key, _, _ := c.srv.resolve(r.URL)
		return c.refuse(r, key.Path(), source.Refuse(source.ErrForbidden, err.Error()), true)
	}
	return c.ask(r, r.URL, true, c.offer, func(a answer) error {
		c.session = &session{id: newSessionID(), base: r.URL, req: a.req, medias: p.medias, pub: a.pub}
		c.reply(r, &reply{status: 200})
		return nil
	})
}

// offer asks the Handler whether a stream may be published.
func (c *conn) offer(req *source.Request) (answer, error) {
	pub, err := c.srv.Handler.Publish(c.ctx, req)
	return answer{pub: pub}, err
}
