package rtsp

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A udpCamera is a camera that sends by datagrams.
type udpCamera struct {
	camera
	sockets [2]*udp.Conn // for RTP and RTCP of all medias
	to      []netip.AddrPort
	hides   bool // does not tell its ports
}

// newUDPCamera returns a camera that plays film by UDP: play sends it with the
// camera's method.
func newUDPCamera(t testing.TB, film *filmed, play func(u *udpCamera)) *udpCamera {
	u := &udpCamera{camera: camera{sdp: film.sdp, headers: film.info}}
	var err error
	u.sockets[0], u.sockets[1], err = new(udp.Ports).Pair(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	t.Cleanup(func() {
		u.sockets[0].Close()
		u.sockets[1].Close()
	})
	u.answer = func(c *cameraConn, req *wire.Request) bool {
		if req.Method != wire.MethodSetup {
			return false
		}
		ts, err := parseTransports(req.Header.Get("Transport"))
		require.NoError(t, err)
		if ts[0].carrier != overUDP {
			c.reply(req, "461 Unsupported Transport", "", "")
			return true
		}
		host := netip.MustParseAddrPort(c.nc.RemoteAddr().String()).Addr()
		u.to = append(u.to, netip.AddrPortFrom(host, ts[0].clientPorts.rtp), netip.AddrPortFrom(host, ts[0].clientPorts.ctl))
		if !u.hides {
			ts[0].serverPorts = pair{true, u.sockets[0].LocalAddr().Port(), u.sockets[1].LocalAddr().Port()}
		}
		c.reply(req, "200 OK", "Session: 1\nTransport: "+string(ts[0].append(nil))+"\n", "")
		return true
	}
	u.played = func(c *cameraConn) {
		play(u)
		c.untilClosed()
	}
	return u
}

// send sends packets that are framed for a connection.
func (u *udpCamera) send(wire []byte) {
	for channel, b := range rtp.Datagrams(wire) {
		_, _ = u.sockets[channel%2].WriteTo(b, u.to[channel])
	}
}

// Packets that come in another order, or twice, are put in order; what others
// send is not taken in.
func TestClientUDP(t *testing.T) {
	film := filming(t, camStream, 2*time.Second)
	stranger, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Log("no strangers here:", err)
	} else {
		defer stranger.Close()
	}
	for name, c := range map[string]struct {
		play  func(u *udpCamera)
		hides bool
	}{
		"in order": {func(u *udpCamera) { film.send(u.send) }, false},
		"in disorder": {func(u *udpCamera) {
			r := rand.New(rand.NewPCG(1, 2))
			var packets [][]byte
			film.send(func(b []byte) {
				for ; len(b) > 0; b = b[4+int(b[2])<<8+int(b[3]):] {
					packets = append(packets, b[:4+int(b[2])<<8+int(b[3])])
				}
			})
			packets = append(packets[:20:20], append(packets[10:15:15], packets[20:]...)...) // some twice
			for from := 10; from < len(packets); from += 8 {                                 // not the first ones: a stream may begin anywhere
				part := packets[from:min(from+8, len(packets))]
				r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
			}
			for _, p := range packets {
				u.send(p)
			}
		}, false},
		"strangers": {func(u *udpCamera) {
			film.send(func(b []byte) {
				if stranger != nil {
					_, _ = stranger.WriteTo(b[4:], net.UDPAddrFromAddrPort(u.to[0]))
					_, _ = stranger.WriteTo([]byte{0x80, 203, 0, 0}, net.UDPAddrFromAddrPort(u.to[1]))
				}
				u.send(b)
			})
		}, false},
		"garbage": {func(u *udpCamera) {
			for _, to := range u.to {
				_, _ = u.sockets[0].WriteTo(nil, to)
				_, _ = u.sockets[0].WriteTo([]byte{1, 2, 3}, to)
				_, _ = u.sockets[0].WriteTo(make([]byte, 20000), to)
			}
			film.send(u.send)
		}, false},
		"ports of its own": {func(u *udpCamera) { film.send(u.send) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUDPCamera(t, film, func(u *udpCamera) {
				c.play(u)
				u.send(film.bye())
			})
			u.hides = c.hides
			client := &Client{Transport: TransportUDP, Logger: testLog(t)}
			r, err := client.Open(soon(t), u.start(t))
			require.NoError(t, err)
			requireSame(t, film.frames, readAll(t, r))
			require.NoError(t, r.Close())
			require.Zero(t, client.ports.Open())
		})
	}
}

// A packet that does not come is not waited for any longer than half a second,
// also if no other one comes.
func TestClientUDPLoss(t *testing.T) {
	film := filming(t, camStream, 2*time.Second)
	u := newUDPCamera(t, film, func(u *udpCamera) {
		n := 0
		film.send(func(b []byte) {
			if b[1] != 2 { // video as it is
				u.send(b)
				return
			}
			if n++; n != 10 && n != len(ofKind(film.frames, codec.KindAudio))-1 {
				u.send(b)
			}
		})
	})
	r, err := (&Client{Transport: TransportUDP}).Open(soon(t), u.start(t))
	require.NoError(t, err)
	defer r.Close()
	got := readSome(t, r, len(film.frames)-2)
	require.Equal(t, len(ofKind(film.frames, codec.KindAudio))-2, len(ofKind(got, codec.KindAudio)))
	require.Equal(t, len(ofKind(film.frames, codec.KindVideo)), len(ofKind(got, codec.KindVideo)))
}

// A connection that is closed with the last packet takes none of them along.
func TestClientUDPEnd(t *testing.T) {
	film := filming(t, camStream, time.Second)
	for _, bye := range []bool{true, false} {
		u := newUDPCamera(t, film, nil)
		u.played = func(c *cameraConn) {
			film.send(u.send)
			if bye {
				u.send(film.bye())
			}
			c.nc.Close()
		}
		r, err := (&Client{Transport: TransportUDP}).Open(soon(t), u.start(t))
		require.NoError(t, err)
		got := readSome(t, r, len(film.frames))
		requireSame(t, film.frames, got)
		_, err = r.ReadFrame(soon(t))
		if bye {
			require.Equal(t, io.EOF, err)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		require.NoError(t, r.Close())
	}
}

// A server that sends no datagram, or refuses to, is played by TCP; not if UDP
// alone is wanted.
func TestClientFallsBack(t *testing.T) {
	film := filming(t, camStream, time.Second)
	udpOnly := func(c *cameraConn, req *wire.Request) bool {
		if req.Method != wire.MethodSetup || strings.Contains(req.Header.Get("Transport"), "TCP") {
			return false
		}
		c.reply(req, "461 Unsupported Transport", "", "")
		return true
	}
	for name, c := range map[string]struct {
		camera
		after time.Duration
	}{
		"refused":             {camera{answer: udpOnly}, 0},
		"answered otherwise":  {camera{transport: "RTP/AVP/TCP;unicast;interleaved=0-1"}, 0},
		"nothing comes of it": {camera{}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.transport != "" {
					film = filming(t, onlyVideo, time.Second)
				}
				c.sdp = film.sdp
				c.played = func(cc *cameraConn) {
					if strings.HasSuffix(cc.seen[len(cc.seen)-2], "udp") {
						cc.untilClosed()
					}
					film.show(cc)
				}
				answer := c.answer
				c.answer = func(cc *cameraConn, req *wire.Request) bool {
					if req.Method == wire.MethodSetup && !strings.Contains(req.Header.Get("Transport"), "TCP") {
						cc.seen[len(cc.seen)-1] += " udp"
					}
					return answer != nil && answer(cc, req)
				}
				client := &Client{Dial: c.dial, ListenPacket: listenNowhere}
				began := time.Now()
				r, err := client.Open(t.Context(), memURL)
				require.NoError(t, err)
				require.Equal(t, c.after, time.Since(began))
				require.Len(t, readAll(t, r), len(film.frames))
				require.NoError(t, r.Close())
				require.Zero(t, client.ports.Open())

				client.Transport = TransportUDP
				r, err = client.Open(t.Context(), memURL)
				if c.after == 0 {
					require.ErrorIs(t, err, errNoUDP)
				} else {
					require.NoError(t, err)
					_, err = r.ReadFrame(t.Context())
					require.ErrorIs(t, err, source.ErrTimeout)
					require.NoError(t, r.Close())
				}
				require.Zero(t, client.ports.Open())
			})
		})
	}
	t.Run("publishing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := camera{answer: udpOnly}
			client := &Client{Dial: c.dial, ListenPacket: listenNowhere}
			w, err := client.Create(t.Context(), memURL, camStream.Tracks())
			require.NoError(t, err)
			require.NoError(t, w.Close())
			client.Transport = TransportUDP
			_, err = client.Create(t.Context(), memURL, camStream.Tracks())
			var status *StatusError
			require.ErrorAs(t, err, &status)
			require.Equal(t, 461, status.Status)
			require.Zero(t, client.ports.Open())

			silent := camera{transport: "RTP/AVP;unicast"} // says no ports
			client.Dial = silent.dial
			_, err = client.Create(t.Context(), memURL, camStream.Tracks())
			require.ErrorIs(t, err, errNoUDP)
		})
	})
}

// A connection that has no addresses for UDP beside it is used itself.
func TestClientNoAddresses(t *testing.T) {
	film := filming(t, camStream, time.Second)
	synctest.Test(t, func(t *testing.T) {
		c := camera{sdp: film.sdp, played: film.show}
		client := &Client{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := c.dial(ctx, network, addr)
			return nc.(ipConn).Conn, err
		}}
		r, err := client.Open(t.Context(), memURL)
		require.NoError(t, err)
		require.Len(t, readAll(t, r), len(film.frames))
		require.NoError(t, r.Close())
	})
}

// All ports in use is no reason to give up, either.
func TestClientNoPorts(t *testing.T) {
	film := filming(t, camStream, time.Second)
	synctest.Test(t, func(t *testing.T) {
		c := camera{sdp: film.sdp, played: film.show}
		client := &Client{Dial: c.dial, UDPPorts: [2]uint16{40000, 40001}, ListenPacket: listenNowhere}
		r, err := client.Open(t.Context(), memURL)
		require.NoError(t, err)
		require.Len(t, readAll(t, r), len(film.frames))
		require.NoError(t, r.Close())
	})
}

// The first thing that a server hears by UDP are packets which open the way.
func TestClientPunches(t *testing.T) {
	film := filming(t, onlyVideo, time.Second)
	heard := make(chan string, 2)
	u := newUDPCamera(t, film, nil)
	answer := u.answer
	u.answer = func(c *cameraConn, req *wire.Request) bool {
		if req.Method == wire.MethodPlay {
			for _, s := range u.sockets {
				b := make([]byte, 100)
				n, from, err := s.ReadFrom(b)
				require.NoError(t, err)
				heard <- fmt.Sprint(n, b[0]>>6, from == u.to[len(heard)])
			}
		}
		return answer(c, req)
	}
	u.played = func(c *cameraConn) {
		film.send(u.send)
		u.send(film.bye())
		c.untilClosed()
	}
	r, err := (&Client{Transport: TransportUDP}).Open(soon(t), u.start(t))
	require.NoError(t, err)
	requireSame(t, film.frames, readAll(t, r))
	require.NoError(t, r.Close())
	require.Equal(t, "12 2 true", <-heard)
	require.Equal(t, "8 2 true", <-heard)
}

// What is sent to a group is played, where the system has groups.
func TestClientMulticast(t *testing.T) {
	film := filming(t, onlyVideo, time.Second)
	lo, err := udp.InterfaceOf(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	socket, other, err := new(udp.Ports).Pair(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	defer socket.Close()
	defer other.Close()
	require.NoError(t, socket.SetMulticast(udp.Multicast{Interface: lo, Loopback: true}))
	one, two, err := new(udp.Ports).Pair(netip.Addr{})
	require.NoError(t, err)
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.77.2"), one.LocalAddr().Port())
	one.Close()
	two.Close()
	if probe, err := udp.ListenMulticast(group, netip.Addr{}, lo); err != nil {
		t.Skip("no groups here:", err)
	} else {
		probe.Close()
	}
	ports := fmt.Sprintf("port=%d-%d;ttl=1", group.Port(), group.Port()+1)
	c := camera{
		sdp:       film.sdp,
		transport: "RTP/AVP;multicast;destination=239.255.77.2;source=127.0.0.1;" + ports,
		played: func(c *cameraConn) {
			film.send(func(wire []byte) {
				for channel, b := range rtp.Datagrams(wire) {
					if channel == 0 {
						_, err := socket.WriteTo(b, group)
						require.NoError(t, err)
					}
				}
			})
			bye := film.bye()[4:]
			_, _ = socket.WriteTo(bye, netip.AddrPortFrom(group.Addr(), group.Port()+1))
			c.untilClosed()
		},
	}
	r, err := (&Client{Transport: TransportMulticast, Logger: testLog(t)}).Open(soon(t), c.start(t))
	require.NoError(t, err)
	requireSame(t, film.frames, readAll(t, r))
	require.NoError(t, r.Close())

	for _, transport := range []string{
		"RTP/AVP;multicast;" + ports,
		"RTP/AVP;multicast;destination=192.0.2.1;" + ports,
		"RTP/AVP;multicast;destination=239.255.77.2",
		"RTP/AVP;unicast;server_port=5000-5001",
		"RTP/AVP/TCP;unicast;interleaved=0-1",
	} {
		c.transport = transport
		_, err = (&Client{Transport: TransportMulticast}).Open(soon(t), c.start(t))
		require.ErrorIs(t, err, source.ErrUnsupported, transport)
	}
}

// listenNowhere is a network for datagrams on which none ever comes.
func listenNowhere(_, address string) (net.PacketConn, error) {
	if strings.HasSuffix(address, ":40000") {
		return nil, fmt.Errorf("port %s: %w", address, syscall.EADDRINUSE)
	}
	a := netip.MustParseAddrPort(address)
	return &nowhere{addr: net.UDPAddrFromAddrPort(a), closed: make(chan struct{})}, nil
}

type nowhere struct {
	addr   net.Addr
	closed chan struct{}
}

func (n *nowhere) ReadFrom([]byte) (int, net.Addr, error) {
	<-n.closed
	return 0, nil, net.ErrClosed
}

func (n *nowhere) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

func (n *nowhere) Close() error {
	close(n.closed)
	return nil
}

func (n *nowhere) LocalAddr() net.Addr              { return n.addr }
func (n *nowhere) SetDeadline(time.Time) error      { return nil }
func (n *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (n *nowhere) SetWriteDeadline(time.Time) error { return nil }
