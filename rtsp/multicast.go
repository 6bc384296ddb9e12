package rtsp

import (
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

const defaultTTL = 16

// setupMulticast sets up a media over multicast, which takes a caster.
func (c *conn) setupMulticast(r *wire.Request, x *setup) error {
	s := c.session
	key := casterKey{s.mux, addrOf(c.nc.LocalAddr())}
	if s.caster == nil {
		s.caster = c.srv.casters.join(key)
	}
	if s.caster != nil {
		return c.setupGroup(r, x)
	}
	return c.ask(r, s.base, false, func(req *source.Request) (answer, error) {
		req.Passive = true
		a, err := c.watch(req)
		if err != nil {
			return answer{}, err
		}
		caster, err := c.srv.cast(key, a.cursor)
		return answer{caster: caster}, err
	}, func(a answer) error {
		s.caster = a.caster
		return c.setupGroup(r, x)
	})
}

// setupGroup tells a peer where the group gets a media.
func (c *conn) setupGroup(r *wire.Request, x *setup) error {
	k := c.session.caster
	if x.media >= len(k.tracks) { // it came later
		c.reply(r, &reply{status: wire.StatusUnsupportedTransport})
		return nil
	}
	ends := k.tracks[x.media].ends
	x.transport.destination, x.transport.source = k.group.String(), k.key.local.String()
	x.transport.groupPorts = pair{true, ends[0].LocalAddr().Port(), ends[1].LocalAddr().Port()}
	x.transport.ttl = c.srv.ttl()
	c.wasSetUp(r, x)
	return nil
}

func (s *Server) ttl() int {
	if s.Multicast.TTL > 0 {
		return min(s.Multicast.TTL, 255)
	}
	return defaultTTL
}

// A member is the PacketWriter of a viewer who gets the group's packets: it sends
// nothing, but finds out how the stream goes.
type member struct{ w *viewer }

// WritePackets implements source.PacketWriter.
func (member) WritePackets(*source.Batch) (int, error) { return 0, nil }

// Close implements source.PacketWriter.
func (m member) Close() error {
	m.w.session.caster.exit(m.w)
	m.w.hangUp()
	return nil
}
