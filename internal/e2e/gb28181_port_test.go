package e2e

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// receive has r receive for the server. What has ended comes through ends.
func receive(t testing.TB, s *server, r *ps.Receivers) (ends chan ps.ReceiverStats) {
	t.Helper()
	ends = make(chan ps.ReceiverStats, 1000)
	r.Handler, r.OnEnd = s, func(st ps.ReceiverStats) { ends <- st }
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		require.Empty(t, r.List())
	})
	return ends
}

// at is the address of a port of this machine.
func at(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }

// TestGB28181Ports: a stream on a port of its own, to which a device sends by UDP,
// connects, or is connected to, has the name that the port was opened for. Packets
// of other SSRCs than the one that is wanted do not belong to it.
func TestGB28181Ports(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second}
	for _, x := range []struct {
		name    string
		mode    ps.TCPMode
		network string
	}{
		{"UDP", ps.UDPOnly, "udp"},
		{"UDP beside TCP", ps.TCPPassive, "udp"},
		{"TCP passive", ps.TCPPassive, "tcp"},
		{"TCP active", ps.TCPActive, "tcp"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			f := load(t, c)
			s, receivers := serve(t, briefly()), &ps.Receivers{}
			ends := receive(t, s, receivers)
			r, err := receivers.Open(ps.ReceiverOptions{
				Key: named("live/door"), Addr: loopback, Mode: x.mode, SSRC: 7, Receive: ps.ReceiveOptions{Timeout: brief},
			})
			require.NoError(t, err)
			require.Zero(t, r.Port()%2)
			require.Same(t, r, receivers.Receiver(named("live/door")))
			viewer := play(t, s.url("rtmp", "live/door"))
			s.viewers(t, 1)
			r.SetSSRC(8)
			units := programStream(t, f)
			d := device{Sender: rtptest.Sender{SSRC: 8, PayloadType: 96}, network: x.network}
			var wait func()
			if x.mode == ps.TCPActive {
				wait = d.accept(t, units, func(addr string) { require.NoError(t, r.Connect(t.Context(), addr)) })
			} else {
				wait = d.send(t, at(r.Port()), units)
			}
			if x.network == "udp" {
				other := device{Sender: rtptest.Sender{SSRC: 7, PayloadType: 96}, network: "udp"}
				other.send(t, at(r.Port()), programStream(t, load(t, clip{video: "h264", duration: time.Second})))()
			}
			wait()
			f.requireTail(t, viewer())
			select {
			case end := <-ends:
				require.Equal(t, r.Port(), end.Port)
				require.Equal(t, x.network == "udp", end.Foreign > 0, "packets of another SSRC")
				if x.network == "udp" {
					require.ErrorIs(t, end.Err, source.ErrTimeout)
				}
			case <-time.After(patience):
				t.Fatal("the port is open for ever")
			}
		})
	}
}

// accept sends units to whoever connects to the address that it calls.
func (d device) accept(t testing.TB, units []rtptest.Unit, call func(addr string)) (wait func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	call(ln.Addr().String())
	require.NoError(t, ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	conn, err := ln.Accept()
	require.NoError(t, err)
	return d.over(t, conn, units)
}

// TestGB28181Multiplex: on one port come several streams, which are told apart by
// their SSRC.
func TestGB28181Multiplex(t *testing.T) {
	t.Parallel()
	s, receivers := serve(t, briefly()), &ps.Receivers{}
	receive(t, s, receivers)
	r, err := receivers.Open(ps.ReceiverOptions{
		Key: source.Key{Vhost: source.DefaultVhost, App: "many"}, Addr: loopback, Multiplex: true, Receive: ps.ReceiveOptions{Timeout: brief},
	})
	require.NoError(t, err)
	f := load(t, clip{video: "h264", audio: "aac", bframes: 2, duration: 3 * time.Second})
	g := load(t, clip{video: "h265", audio: "aac", duration: 3 * time.Second})
	patiently := &player.Client{Timeout: patience, ReadTimeout: patience}
	first, second := playFrom(t, patiently.Source(s.url("rtmp", "many/0000000A"))), playFrom(t, patiently.Source(s.url("rtmp", "many/0000000B")))
	s.viewers(t, 2)
	one := device{Sender: rtptest.Sender{SSRC: 0xA, PayloadType: 96}, network: "udp"}.send(t, at(r.Port()), programStream(t, f))
	two := device{Sender: rtptest.Sender{SSRC: 0xB, PayloadType: 96}, network: "udp"}.send(t, at(r.Port()), programStream(t, g))
	one()
	two()
	// Sound of the time of the first picture may come before it, where no viewer begins.
	f.requireTail(t, first())
	g.requireTail(t, second())
}

// TestGB28181OpenAndClose opens and closes 500 ports, one after the other and all
// at once: they are even ones, no two are the same, and none is left.
func TestGB28181OpenAndClose(t *testing.T) {
	t.Parallel()
	const n = 500
	s := serve(t, nil)
	modes := []ps.TCPMode{ps.UDPOnly, ps.TCPPassive, ps.TCPActive}
	// A program that another test starts has all sockets for a moment.
	free := func(t *testing.T, ports map[uint16]ps.TCPMode) {
		require.Len(t, ports, n, "no port was handed out twice")
		for port, mode := range ports {
			require.Zero(t, port%2)
			for i := range uint16(2) {
				eventually(t, func() bool {
					pc, err := net.ListenPacket("udp", at(port+i))
					return err == nil && pc.Close() == nil
				}, "UDP port %d is closed", port+i)
			}
			if mode == ps.TCPPassive {
				eventually(t, func() bool {
					ln, err := net.Listen("tcp", at(port))
					return err == nil && ln.Close() == nil
				}, "TCP port %d is closed", port)
			}
		}
	}
	t.Run("in turn", func(t *testing.T) {
		t.Parallel()
		receivers, ports := &ps.Receivers{Ports: [2]uint16{20000, 21999}}, map[uint16]ps.TCPMode{}
		ends := receive(t, s, receivers)
		for i := range n {
			r, err := receivers.Open(ps.ReceiverOptions{Key: named("live/" + strconv.Itoa(i)), Addr: loopback, Mode: modes[i%len(modes)]})
			require.NoError(t, err)
			ports[r.Port()] = modes[i%len(modes)]
			require.NoError(t, r.Close())
		}
		require.Empty(t, receivers.List())
		eventually(t, func() bool { return len(ends) == n }, "was told of the end of each")
		free(t, ports)
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		receivers, ports := &ps.Receivers{Ports: [2]uint16{22000, 23999}}, map[uint16]ps.TCPMode{}
		ends := receive(t, s, receivers)
		for i := range n {
			r, err := receivers.Open(ps.ReceiverOptions{Key: named("live/" + strconv.Itoa(i)), Addr: loopback, Mode: modes[i%len(modes)]})
			require.NoError(t, err)
			ports[r.Port()] = modes[i%len(modes)]
		}
		require.Len(t, receivers.List(), n)
		require.NoError(t, receivers.Close())
		require.Len(t, ends, n)
		free(t, ports)
	})
}

// TestGB28181Idle: a port to which nobody sends is closed after its time, which can
// be put off, and told of.
func TestGB28181Idle(t *testing.T) {
	t.Parallel()
	s, receivers := serve(t, nil), &ps.Receivers{}
	ends := receive(t, s, receivers)
	open := func(name string) *ps.Receiver {
		r, err := receivers.Open(ps.ReceiverOptions{Key: named(name), Addr: loopback, Receive: ps.ReceiveOptions{Timeout: time.Second}})
		require.NoError(t, err)
		return r
	}
	paused, idle := open("live/paused"), open("live/idle")
	paused.PauseTimeout(time.Hour)
	select {
	case end := <-ends:
		require.Equal(t, named("live/idle"), end.Options.Key)
		require.ErrorIs(t, end.Err, source.ErrTimeout)
	case <-time.After(patience):
		t.Fatal("the port is open for ever")
	}
	<-idle.Done()
	require.Equal(t, []*ps.Receiver{paused}, receivers.List())
	paused.PauseTimeout(0)
	select {
	case end := <-ends:
		require.Equal(t, named("live/paused"), end.Options.Key)
		require.ErrorIs(t, end.Err, source.ErrTimeout)
	case <-time.After(patience):
		t.Fatal("the port is open for ever")
	}
}

// TestGB28181Refused: a port whose stream is refused is closed.
func TestGB28181Refused(t *testing.T) {
	t.Parallel()
	s, receivers := serveHandler(t, &source.Hub{}, refuser{}), &ps.Receivers{}
	ends := receive(t, s, receivers)
	r, err := receivers.Open(ps.ReceiverOptions{Key: named("live/t"), Addr: loopback})
	require.NoError(t, err)
	units := programStream(t, load(t, clip{video: "h264", duration: time.Second}))
	device{Sender: rtptest.Sender{SSRC: 1, PayloadType: 96}, network: "udp"}.send(t, at(r.Port()), units)
	select {
	case end := <-ends:
		require.ErrorIs(t, end.Err, source.ErrForbidden)
	case <-time.After(patience):
		t.Fatal("the port is open for ever")
	}
	require.Empty(t, receivers.List())
}

// A refuser allows nobody anything.
type refuser struct{}

func (refuser) Play(context.Context, *source.Request) (source.Reader, error) {
	return nil, source.ErrForbidden
}

func (refuser) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}
