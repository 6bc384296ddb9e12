package ps

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// receivers returns Receivers on loopback that are closed at the end of t, and
// collects their ends.
type receivers struct {
	*Receivers
	t   *testing.T
	hub *source.Hub
	g   *gate

	mu   sync.Mutex
	ends []ReceiverStats
}

func newReceivers(t *testing.T) *receivers {
	r := &receivers{t: t, hub: &source.Hub{}}
	r.g = &gate{Handler: r.hub}
	r.Receivers = &Receivers{Handler: r.g, OnEnd: func(st ReceiverStats) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ends = append(r.ends, st)
	}}
	t.Cleanup(func() {
		require.NoError(t, r.Close())
		require.Empty(t, r.List())
		require.Zero(t, r.ports.Open(), "ports are left open")
		require.Zero(t, r.Panics())
	})
	return r
}

func (r *receivers) ended() []ReceiverStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ReceiverStats(nil), r.ends...)
}

var loopback = netip.MustParseAddr("127.0.0.1")

// start opens a Receiver for a stream.
func (r *receivers) start(stream string, o ReceiverOptions) *Receiver {
	r.t.Helper()
	o.Key.Stream = stream
	o.Addr = loopback
	v, err := r.Open(o)
	require.NoError(r.t, err)
	return v
}

// to connects to a Receiver's port.
func (r *receivers) to(network string, v *Receiver) net.Conn {
	r.t.Helper()
	return dial(r.t, network, net.JoinHostPort("127.0.0.1", strconv.Itoa(int(v.Port()))))
}

func (r *receivers) wait(v *Receiver) ReceiverStats {
	r.t.Helper()
	select {
	case <-v.Done():
	case <-time.After(20 * time.Second):
		require.FailNow(r.t, "the receiver does not end")
	}
	return v.Stats()
}

// TestReceiver: a stream comes by datagrams and by a connection to a port of its
// own, whatever its SSRC is, and its sender may change.
func TestReceiver(t *testing.T) {
	r := newReceivers(t)
	for _, c := range []struct {
		network string
		mode    TCPMode
	}{{"udp", UDPOnly}, {"udp", TCPPassive}, {"tcp", TCPPassive}, {"udp", TCPActive}} {
		name := c.mode.String() + " " + c.network
		v := r.start(name, ReceiverOptions{Mode: c.mode})
		require.Zero(t, v.Port()%2)
		require.Nil(t, v.Session())
		d := &device{ssrc: 77}
		nc := r.to(c.network, v)
		for _, p := range d.packets(5) {
			if c.network == "tcp" {
				p = framed(framing.Short, p)
			}
			write(t, nc, p)
		}
		f, err := play(t, r.hub, rtpKey(name)).ReadFrame(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, f.Data)
		require.Equal(t, rtpKey(name), v.Session().Key())
		require.Equal(t, c.network, v.Session().Stats().Protocol)
		require.Same(t, v, r.Receiver(source.Key{Stream: name}))
		st := v.Stats()
		require.Equal(t, v.Port(), st.Port)
		require.Equal(t, c.mode, st.Options.Mode)
		require.Positive(t, st.ReadBuffer)
		require.NoError(t, v.Close())
		require.Nil(t, r.Receiver(source.Key{Stream: name}))
		require.NoError(t, v.Stats().Err)
		_, err = r.hub.Play(expired(t), &source.Request{ID: "1", Schema: "test", Key: rtpKey(name)})
		require.Error(t, err, "the stream has ended")
	}
	eventually(t, func() bool { return len(r.ended()) == 4 }, "all have told")
}

// expired returns a context that ends soon.
func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// TestReceiversPorts: ports are even, nobody else's, and none is left open.
func TestReceiversPorts(t *testing.T) {
	const n = 500
	r := newReceivers(t)
	before := runtime.NumGoroutine()
	for round, mode := range []TCPMode{UDPOnly, TCPPassive} {
		seen := map[uint16]bool{}
		var all []*Receiver
		for i := range n {
			v := r.start(strconv.Itoa(i), ReceiverOptions{Mode: mode})
			require.Zero(t, v.Port()%2)
			require.False(t, seen[v.Port()], "twice")
			seen[v.Port()] = true
			all = append(all, v)
			if round == 0 {
				continue
			}
			if i%10 != 0 { // opened and closed at once
				require.NoError(t, v.Close())
				delete(seen, v.Port())
			}
		}
		for _, v := range all {
			require.NoError(t, v.Close())
		}
		require.Empty(t, r.List())
		require.Zero(t, r.ports.Open())
	}
	eventually(t, func() bool { return len(r.ended()) == 2*n }, "all have told")
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, "goroutines are left")
}

// TestReceiverTimeout: a port that nothing sensible comes to is closed and told of;
// so is one whose stream stops.
func TestReceiverTimeout(t *testing.T) {
	r := newReceivers(t)
	receive := ReceiveOptions{Timeout: 300 * time.Millisecond}
	v := r.start("silent", ReceiverOptions{Receive: receive, Mode: TCPPassive})
	require.ErrorIs(t, r.wait(v).Err, source.ErrTimeout)
	eventually(t, func() bool { return len(r.ended()) == 1 }, "an event")
	require.Equal(t, "silent", r.ended()[0].Options.Key.Stream)
	require.ErrorIs(t, r.ended()[0].Err, source.ErrTimeout)
	require.Zero(t, r.ports.Open())

	v = r.start("stops", ReceiverOptions{Receive: receive})
	write(t, r.to("udp", v), (&device{ssrc: 1}).packets(5)...)
	require.ErrorIs(t, r.wait(v).Err, source.ErrTimeout)
	require.EqualValues(t, 1, r.g.asked.Load())

	v = r.start("leaves", ReceiverOptions{Receive: receive, Mode: TCPPassive})
	nc := r.to("tcp", v)
	write(t, nc, framed(framing.Short, (&device{ssrc: 1}).packets(5)...))
	eventually(t, func() bool { return v.Session() != nil }, "a stream")
	require.NoError(t, nc.Close())
	require.ErrorIs(t, r.wait(v).Err, source.ErrTimeout)
}

// TestReceiverPause: without a time-out a port stays open as long as that was asked
// for, with a stream or without.
func TestReceiverPause(t *testing.T) {
	r := newReceivers(t)
	const timeout = 200 * time.Millisecond
	began := time.Now()
	o := ReceiverOptions{Receive: ReceiveOptions{Timeout: timeout}}
	silent, stops, never := r.start("silent", o), r.start("stops", o), r.start("never", ReceiverOptions{Receive: ReceiveOptions{Timeout: -1}})
	resumed := r.start("resumed", o)
	silent.PauseTimeout(2 * timeout)
	stops.PauseTimeout(2 * timeout)
	resumed.PauseTimeout(time.Hour)
	write(t, r.to("udp", stops), (&device{ssrc: 1}).packets(5)...)
	for _, v := range []*Receiver{silent, stops} {
		require.ErrorIs(t, r.wait(v).Err, source.ErrTimeout)
		require.GreaterOrEqual(t, time.Since(began), 3*timeout)
	}
	require.Len(t, r.List(), 2)
	resumed.PauseTimeout(0)
	require.ErrorIs(t, r.wait(resumed).Err, source.ErrTimeout)
	require.Equal(t, []*Receiver{never}, r.List())
}

// TestReceiverSSRC: others than the one that is wanted are counted; which is wanted
// can be changed, and the stream goes on.
func TestReceiverSSRC(t *testing.T) {
	r := newReceivers(t)
	v := r.start("cam", ReceiverOptions{SSRC: 1})
	one, two := &device{ssrc: 1}, &device{ssrc: 2}
	a, b := r.to("udp", v), r.to("udp", v)
	write(t, b, two.packets(5)...)
	write(t, a, one.packets(5)...)
	eventually(t, func() bool { return v.Session() != nil && v.Session().Stats().Frames == 5 }, "the one that is wanted")
	require.EqualValues(t, 5, v.Stats().Foreign)
	session := v.Session()
	v.SetSSRC(2)
	require.EqualValues(t, 2, v.Stats().Options.SSRC)
	write(t, a, one.packets(5)...)
	eventually(t, func() bool { return v.Stats().Foreign == 10 }, "it is not wanted any more")
	write(t, b, two.packets(10)...)
	eventually(t, func() bool { return session.Stats().SSRC == 2 && session.Stats().Frames >= 10 }, "the other one is")
	require.Same(t, session, v.Session())
	require.EqualValues(t, 1, r.g.asked.Load())
	require.Equal(t, b.LocalAddr().String(), session.Stats().Remote.String())
}

// TestReceiverMultiplex: one port for many streams, and no time-out of the port.
func TestReceiverMultiplex(t *testing.T) {
	r := newReceivers(t)
	v := r.start("", ReceiverOptions{Multiplex: true, Mode: TCPPassive, Receive: ReceiveOptions{Timeout: 300 * time.Millisecond}})
	began := time.Now()
	write(t, r.to("udp", v), (&device{ssrc: 1}).packets(5)...)
	write(t, r.to("tcp", v), framed(framing.Short, (&device{ssrc: 2}).packets(5)...))
	play(t, r.hub, rtpKey("00000001"))
	play(t, r.hub, rtpKey("00000002"))
	eventually(t, func() bool { return len(v.Sessions()) == 0 && time.Since(began) > time.Second }, "they time out")
	require.Equal(t, []*Receiver{v}, r.List())
	require.Empty(t, r.ended())
}

// TestReceiverRefused: a stream that is refused closes the port, and so does one
// that is ended by an operator.
func TestReceiverRefused(t *testing.T) {
	r := newReceivers(t)
	r.g.closed.Store(true)
	v := r.start("refused", ReceiverOptions{})
	write(t, r.to("udp", v), (&device{ssrc: 1}).packets(5)...)
	require.ErrorIs(t, r.wait(v).Err, source.ErrForbidden)
	r.g.closed.Store(false)
	v = r.start("kicked", ReceiverOptions{})
	write(t, r.to("udp", v), (&device{ssrc: 1}).packets(5)...)
	eventually(t, func() bool { return v.Session() != nil && v.Session().accepted() }, "a stream")
	v.Session().Close(nil)
	require.ErrorIs(t, r.wait(v).Err, source.ErrKicked)
	eventually(t, func() bool { return r.ports.Open() == 0 }, "ports are left open")
}

// TestReceiverSecondConnection: one that comes while there is another is closed and
// counted; after it, the next one is welcome.
func TestReceiverSecondConnection(t *testing.T) {
	r := newReceivers(t)
	v := r.start("cam", ReceiverOptions{Mode: TCPPassive})
	d := &device{ssrc: 1}
	first, second := r.to("tcp", v), r.to("tcp", v)
	write(t, first, framed(framing.Short, d.packets(5)...))
	eventually(t, func() bool { return v.Session() != nil && v.Session().accepted() }, "a stream")
	write(t, second, framed(framing.Short, d.packets(5)...))
	closedAfter(second)
	require.EqualValues(t, 1, v.Stats().Foreign)
	require.NoError(t, first.Close())
	eventually(t, func() bool { return v.Session() == nil }, "it has gone")
	third := r.to("tcp", v)
	write(t, third, framed(framing.Short, d.packets(5)...))
	eventually(t, func() bool { return v.Session() != nil && v.Session().accepted() }, "another")
	require.Equal(t, third.LocalAddr().String(), v.Session().Stats().Remote.String())
}

// TestReceiverIdleConnections: those who connect and say nothing do not keep the
// sender out; the first of them goes.
func TestReceiverIdleConnections(t *testing.T) {
	r := newReceivers(t)
	v := r.start("cam", ReceiverOptions{Mode: TCPPassive})
	idle := make([]net.Conn, maxPortConns)
	for i := range idle {
		idle[i] = r.to("tcp", v)
		eventually(t, func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return len(v.conns) == i+1
		}, "it is accepted")
	}
	camera := r.to("tcp", v)
	write(t, camera, framed(framing.Short, (&device{ssrc: 1}).packets(5)...))
	eventually(t, func() bool { return v.Session() != nil && v.Session().accepted() }, "a stream")
	closedAfter(idle[0])
	more := r.to("tcp", v)
	closedAfter(idle[1])
	require.NotNil(t, v.Session())
	require.NoError(t, more.Close())
}

// TestReceiverConnect: an active one connects to where it is told to, again when
// the connection has gone.
func TestReceiverConnect(t *testing.T) {
	r := newReceivers(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	v := r.start("cam", ReceiverOptions{Mode: TCPActive})
	d := &device{ssrc: 1}
	for range 2 {
		require.NoError(t, v.Connect(t.Context(), addr))
		err := v.Connect(t.Context(), addr)
		require.ErrorIs(t, err, source.ErrBusy)
		require.Equal(t, "ps: connect: there is a connection", err.Error())
		nc, err := ln.Accept()
		require.NoError(t, err)
		write(t, nc, framed(framing.Short, d.packets(5)...))
		eventually(t, func() bool { return v.Session() != nil && v.Session().accepted() }, "a stream")
		require.Equal(t, addr, v.Session().Stats().Remote.String())
		require.NoError(t, nc.Close())
		eventually(t, func() bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			return !v.connected
		}, "it has gone")
	}
	require.NoError(t, v.Connect(t.Context(), addr))
	nc, err := ln.Accept()
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.NoError(t, v.Close())
	closedAfter(nc)
	require.NoError(t, nc.Close())
	require.ErrorIs(t, v.Connect(t.Context(), addr), source.ErrClosed)

	v = r.start("nobody", ReceiverOptions{Mode: TCPActive})
	require.Error(t, v.Connect(t.Context(), addr), "nobody listens")
	require.ErrorIs(t, r.start("passive", ReceiverOptions{Mode: TCPPassive}).Connect(t.Context(), addr), source.ErrUnsupported)
	r.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	hangs := make(chan error)
	go func() { hangs <- v.Connect(t.Context(), addr) }()
	eventually(t, func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.connected
	}, "it connects")
	require.NoError(t, v.Close())
	require.Error(t, <-hangs, "closing ends it")
}

// TestReceiverReports: a receiver report goes out of the second port.
func TestReceiverReports(t *testing.T) {
	r := newReceivers(t)
	v := r.start("cam", ReceiverOptions{})
	var ports udp.Ports
	rtp, rtcp, err := ports.Pair(loopback)
	require.NoError(t, err)
	defer rtp.Close()
	defer rtcp.Close()
	to := netip.AddrPortFrom(loopback, v.Port())
	d := &device{ssrc: 1}
	for _, p := range d.packets(5) {
		_, err = rtp.WriteTo(p, to)
		require.NoError(t, err)
	}
	eventually(t, func() bool { return v.Session() != nil }, "a stream")
	require.NoError(t, v.Session().peer().report([]byte("report")))
	b := make([]byte, 2000)
	require.NoError(t, rtcp.SetReadDeadline(time.Now().Add(20*time.Second)))
	n, from, err := rtcp.ReadFrom(b)
	require.NoError(t, err)
	require.Equal(t, "report", string(b[:n]))
	require.Equal(t, netip.AddrPortFrom(loopback, v.Port()+1), from)
	_, err = rtcp.WriteTo(d.goodbye(), from)
	require.NoError(t, err)
	eventually(t, func() bool { return v.Session() == nil }, "a goodbye to the second port ends the stream")
	require.Equal(t, []*Receiver{v}, r.List())
}

// TestReceiversOpen: what cannot be opened, and that nothing is left of it.
func TestReceiversOpen(t *testing.T) {
	r := newReceivers(t)
	v := r.start("cam", ReceiverOptions{Mode: TCPPassive})
	_, err := r.Open(ReceiverOptions{Key: source.Key{Vhost: source.DefaultVhost, App: "rtp", Stream: "cam"}})
	require.ErrorIs(t, err, source.ErrBusy)
	require.NotErrorIs(t, err, ErrPort)
	require.Equal(t, "ps: rtp/cam has a receiver", err.Error())
	_, err = r.Open(ReceiverOptions{Key: source.Key{Stream: "mode"}, Mode: TCPActive + 1})
	require.ErrorIs(t, err, ErrInvalid)
	_, err = r.Open(ReceiverOptions{Key: source.Key{Stream: "payload"}, Receive: ReceiveOptions{Payload: PayloadES + 1}})
	require.ErrorIs(t, err, ErrInvalid)
	_, err = r.Open(ReceiverOptions{})
	require.ErrorIs(t, err, source.ErrBadKey)
	_, err = r.Open(ReceiverOptions{Key: source.Key{Stream: "same port"}, Addr: loopback, Port: v.Port()})
	requirePortError(t, err, source.ErrBusy)
	port := v.Port()
	require.NoError(t, v.Close())
	v = r.start("named", ReceiverOptions{Port: port, Mode: TCPPassive})
	require.Equal(t, port, v.Port())
	write(t, r.to("tcp", v), framed(framing.Short, (&device{ssrc: 1}).packets(5)...))
	play(t, r.hub, rtpKey("named"))

	require.Len(t, r.List(), 1)
	require.NoError(t, r.Close())
	require.NoError(t, r.Close())
	_, err = r.Open(ReceiverOptions{Key: source.Key{Stream: "late"}})
	require.ErrorIs(t, err, source.ErrClosed)
}

// TestReceiversFull: when all ports are in use that is said, and goes by.
func TestReceiversFull(t *testing.T) {
	r := newReceivers(t)
	var ports udp.Ports
	rtp, rtcp, err := ports.Pair(loopback)
	require.NoError(t, err)
	first := rtp.LocalAddr().Port()
	require.NoError(t, rtp.Close())
	require.NoError(t, rtcp.Close())
	r.Ports = [2]uint16{first, first + 1}
	v := r.start("one", ReceiverOptions{})
	_, err = r.Open(ReceiverOptions{Key: source.Key{Stream: "two"}, Addr: loopback})
	requirePortError(t, err, source.ErrLimit)
	require.NoError(t, v.Close())
	require.Equal(t, first, r.start("two", ReceiverOptions{}).Port())
}

// requirePortError fails unless err tells in one line that a port is not to be had.
func requirePortError(t *testing.T, err, why error) {
	t.Helper()
	require.ErrorIs(t, err, ErrPort)
	require.ErrorIs(t, err, why)
	for _, other := range []error{source.ErrBusy, source.ErrLimit} {
		require.Equal(t, other == why, errors.Is(err, other), err)
	}
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), why.Error(), "words of something else")
}

// TestReceiverReusePort: two sockets share a port where both want that.
func TestReceiverReusePort(t *testing.T) {
	r := newReceivers(t)
	v := r.start("one", ReceiverOptions{})
	port := v.Port()
	require.NoError(t, v.Close())
	a := r.start("a", ReceiverOptions{Port: port, ReusePort: true})
	b := r.start("b", ReceiverOptions{Port: port, ReusePort: true})
	require.Equal(t, a.Port(), b.Port())
}

// TestReceiversChurn opens, uses and closes ports from several goroutines.
func TestReceiversChurn(t *testing.T) {
	r := newReceivers(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 25 {
				v, err := r.Open(ReceiverOptions{Key: source.Key{Stream: strconv.Itoa(i)}, Addr: loopback, Mode: TCPMode(j % 3)})
				if err != nil {
					t.Error(err)
					return
				}
				c, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(v.Port()))))
				if err == nil {
					for _, p := range (&device{ssrc: uint32(i)}).packets(4) {
						_, _ = c.Write(p)
					}
					_ = c.Close()
				}
				v.SetSSRC(uint32(j))
				v.PauseTimeout(time.Duration(j))
				_, _, _ = v.Stats(), r.List(), v.Sessions()
				_ = v.Close()
			}
		})
	}
	all.Wait()
	eventually(t, func() bool { return len(r.ended()) == 100 }, "all have told")
}
