package rtsp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
)

// setup answers SETUP (RFC 2326, 10.4): of a media that was announced, or of one
// to be played, which need not have been described.
func (c *conn) setup(r *wire.Request) error {
	offers, err := parseTransports(r.Header.Get("Transport"))
	if errors.Is(err, errNoTransport) {
		c.reply(r, &reply{status: wire.StatusUnsupportedTransport})
		return nil
	}
	if err != nil {
		c.reply(r, &reply{status: 400, body: []byte(err.Error())})
		return nil
	}
	s := c.session
	switch {
	case c.pub != nil:
		return c.notNow(r)
	case s != nil && s.cursor == nil:
		return c.setupMedia(r, offers)
	case offers[0].record: // and nothing was announced
		return c.notNow(r)
	}
	base, _ := cutControl(r.URL)
	switch {
	case s != nil && c.srv.related(s.base, base):
		return c.setupMedia(r, offers)
	case s != nil && len(s.setups) > 0:
		return c.notNow(r)
	}
	return c.open(r, base, func() error { return c.setupMedia(r, offers) })
}

// related reports whether two URLs name the same stream, or one of them what is
// below the other: some peers put the control of a media in the place of the
// last path element.
func (s *Server) related(a, b string) bool {
	pa, pb := strings.Trim(splitURL(a).path, "/")+"/", strings.Trim(splitURL(b).path, "/")+"/"
	ka, _, err := s.resolve(a)
	if kb, _, errB := s.resolve(b); err == nil && errB == nil && ka == kb {
		return true
	}
	return strings.HasPrefix(pa, pb) || strings.HasPrefix(pb, pa)
}

// setupMedia sets up the media of the session that r names.
func (c *conn) setupMedia(r *wire.Request, offers []transport) error {
	s := c.session
	i := findMedia(s.medias, s.base, r.URL)
	if i < 0 {
		status, reason := 404, "Stream Not Found"
		if c.srv.related(s.base, r.URL) {
			if _, ok := cutControl(r.URL); !ok {
				status, reason = wire.StatusAggregateOperationNotAllowed, ""
			}
		}
		c.reply(r, &reply{status: status, reason: reason})
		return nil
	}
	for _, t := range offers {
		if c.supports(&t) {
			return c.setupOver(r, &setup{media: i, url: r.URL, transport: t})
		}
	}
	c.reply(r, &reply{status: wire.StatusUnsupportedTransport})
	return nil
}

// supports reports whether the session can be carried over t.
func (c *conn) supports(t *transport) bool {
	s := c.session
	if s.carrier != 0 && t.carrier != s.carrier {
		return false
	}
	if t.carrier == overTCP {
		return !c.srv.NoTCP
	}
	remote, local := addrOf(c.nc.RemoteAddr()), addrOf(c.nc.LocalAddr())
	if c.srv.NoUDP || c.tls != nil || c.tunnelled || !remote.IsValid() || !local.IsValid() {
		return false
	}
	if t.carrier == overMulticast {
		return s.cursor != nil && s.length == 0 && c.srv.Multicast.Groups.IsValid() && c.srv.Multicast.Groups.Addr().Is4() == local.Is4()
	}
	if t.destination == "" {
		return true
	}
	// Else we would send to whom a stranger has named.
	to, err := netip.ParseAddr(t.destination)
	return err == nil && to.Unmap() == remote
}

// setupOver sets up a media over the transport that was chosen.
func (c *conn) setupOver(r *wire.Request, x *setup) error {
	s, t := c.session, x.transport
	plays := s.cursor != nil
	x.transport = transport{carrier: t.carrier, record: !plays}
	switch {
	case t.carrier == overMulticast:
		return c.setupMulticast(r, x)
	case t.carrier == overUDP:
		if !t.clientPorts.ok {
			c.reply(r, &reply{status: 400, body: []byte("No client_port.")})
			return nil
		}
		if err := c.bind(x, t.clientPorts); err != nil {
			return c.refuse(r, s.req.Key.Path(), err, !plays) // and what it has is given back
		}
	case plays: // we say which channels
		x.transport.channels = pair{true, uint16(2 * x.media), uint16(2*x.media + 1)}
	case !t.channels.ok:
		c.reply(r, &reply{status: 400, body: []byte("No interleaved channels.")})
		return fmt.Errorf("%w: no interleaved channels", ErrProtocol)
	default:
		x.transport.channels = t.channels
	}
	c.wasSetUp(r, x)
	return nil
}

// bind gives x ports of ours, those it has if it was set up before, and the
// peer's.
func (c *conn) bind(x *setup, client pair) error {
	if old := c.session.setupOf(x.media); old != nil {
		x.rtp, x.rtcp = old.rtp, old.rtcp
	} else {
		open := c.srv.ports.Pair
		if c.session.cursor != nil {
			open = c.srv.ports.QuietPair
		}
		var err error
		if x.rtp, x.rtcp, err = open(addrOf(c.nc.LocalAddr())); err != nil {
			return err
		}
	}
	remote := addrOf(c.nc.RemoteAddr())
	x.peer[0], x.peer[1] = netip.AddrPortFrom(remote, client.rtp), netip.AddrPortFrom(remote, client.ctl)
	x.transport.clientPorts = client
	x.transport.serverPorts = pair{true, x.rtp.LocalAddr().Port(), x.rtcp.LocalAddr().Port()}
	return nil
}

// wasSetUp takes in a media that was set up, and tells the peer.
func (c *conn) wasSetUp(r *wire.Request, x *setup) {
	s := c.session
	s.carrier = x.transport.carrier
	s.add(x)
	answer := &reply{status: 200}
	if s.cursor != nil {
		x.transport.ssrc = fmt.Sprintf("%08X", s.sent[x.media].ssrc)
		answer.header = fields("x-Transport-Options", "late-tolerance=1.400000", "x-Dynamic-Rate", "1")
	}
	answer.header = append(fields("Transport", string(x.transport.append(nil))), answer.header...)
	c.reply(r, answer)
}
