package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A clientMedia is a media that a client has set up.
type clientMedia struct {
	track int    // number of the track at the Receiver or muxer
	url   string // of the SETUP

	// Playing: as it was described.
	payload   rtp.Payload
	described *codec.Track

	// Interleaved:
	channels pair

	// By datagrams:
	rtp, rtcp     *udp.Conn      // nil if interleaved
	server        []netip.Addr   // where packets may come from
	rtpTo, rtcpTo netip.AddrPort // where they are sent; invalid if unknown
}

// close closes the sockets.
func (m *clientMedia) close() {
	if m.rtp != nil {
		_ = m.rtp.Close()
		_ = m.rtcp.Close()
	}
}

// setup sets up the media with this URL, the ith of the session (RFC 2326, 10.4).
// The packets of the media may come as soon as take has been called.
func (c *Client) setup(ctx context.Context, s *clientConn, t Transport, i int, url string, record bool, take func(*clientMedia)) error {
	m := clientMedia{track: i, url: url}
	want := transport{record: record}
	switch t {
	case TransportUDP:
		var err error
		if err = c.listenPair(s, &m); err != nil {
			return err
		}
		want.carrier, want.clientPorts = overUDP, pair{true, m.rtp.LocalAddr().Port(), m.rtcp.LocalAddr().Port()}
	case TransportMulticast:
		want.carrier = overMulticast
	default:
		want.carrier, want.channels = overTCP, pair{true, uint16(2 * i), uint16(2*i + 1)}
	}
	var failed error
	_, err := s.doThen(ctx, wire.MethodSetup, url, fields("Transport", string(want.append(nil))), nil, func(res *wire.Response) {
		got := want
		if header := res.Header.Get("Transport"); header != "" {
			if ts, err := parseTransports(header); err == nil {
				got = ts[0]
			}
		}
		if failed = c.agree(s, &m, &want, &got); failed == nil {
			take(&m)
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		m.close()
	}
	var status *StatusError
	if t == TransportUDP && errors.As(err, &status) {
		switch status.Status {
		case 401, 403, 404, 407, 454:
		default:
			return fmt.Errorf("%w: %w", errNoUDP, err)
		}
	}
	return err
}

// agree completes m by what the server has made of what was wanted. Servers
// leave out a lot of it.
func (c *Client) agree(s *clientConn, m *clientMedia, want, got *transport) error {
	if got.channels.ok && got.carrier == overUDP && want.carrier == overTCP {
		got.carrier = overTCP // some forget to say so
	}
	if got.carrier != want.carrier {
		err := fmt.Errorf("rtsp: %w: the server wants %v instead of %v", source.ErrUnsupported, got.carrier, want.carrier)
		if want.carrier == overUDP {
			err = fmt.Errorf("%w: %w", errNoUDP, err)
		}
		return err
	}
	switch want.carrier {
	case overTCP:
		if m.channels = got.channels; !m.channels.ok {
			m.channels = want.channels
		}
		return nil
	case overMulticast:
		return c.join(s, m, got)
	}
	peer := addrOf(s.nc.RemoteAddr())
	m.server = append(m.server, peer)
	if from, err := netip.ParseAddr(got.source); err == nil && from.Unmap() != peer {
		m.server = append(m.server, from.Unmap())
		peer = from.Unmap()
	}
	if got.serverPorts.ok {
		m.rtpTo, m.rtcpTo = netip.AddrPortFrom(peer, got.serverPorts.rtp), netip.AddrPortFrom(peer, got.serverPorts.ctl)
	} else if want.record {
		return fmt.Errorf("%w: the server does not say where to", errNoUDP)
	}
	return nil
}

// from reports whether packets of an address are of the server.
func (m *clientMedia) from(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, s := range m.server {
		if s.WithZone("") == a {
			return true
		}
	}
	return false
}
