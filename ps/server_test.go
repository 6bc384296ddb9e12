package ps

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// A device makes packets of G.711, which are a stream after the third.
type device struct {
	ssrc     uint32
	sequence uint16
}

const payloadPCMA = 8

// packet returns the next packet, of 20 ms.
func (d *device) packet() []byte {
	b := make([]byte, rtpHeader+160)
	b[0], b[1] = 0x80, payloadPCMA
	binary.BigEndian.PutUint16(b[2:], d.sequence)
	binary.BigEndian.PutUint32(b[4:], uint32(d.sequence)*160)
	binary.BigEndian.PutUint32(b[8:], d.ssrc)
	for i := range b[rtpHeader:] {
		b[rtpHeader+i] = byte(d.sequence)
	}
	d.sequence++
	return b
}

// packets returns the next ones.
func (d *device) packets(n int) (packets [][]byte) {
	for range n {
		packets = append(packets, d.packet())
	}
	return packets
}

// goodbye returns an RTCP BYE.
func (d *device) goodbye() []byte {
	return binary.BigEndian.AppendUint32([]byte{0x81, 203, 0, 1}, d.ssrc)
}

// framed returns packets as they go over a connection.
func framed(f framing.Form, packets ...[]byte) (b []byte) {
	for _, p := range packets {
		b = f.Append(b, 0, p)
	}
	return b
}

// A gate is a Handler that counts who asks, and lets nobody in as long as it is
// closed.
type gate struct {
	source.Handler
	closed atomic.Bool
	asked  atomic.Int32
	hang   func(source.Key) // while somebody waits; nil: not at all
}

func (g *gate) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	g.asked.Add(1)
	if g.hang != nil {
		g.hang(req.Key)
	}
	if g.closed.Load() {
		return nil, source.Refuse(source.ErrForbidden, "not you")
	}
	return g.Handler.Publish(ctx, req)
}

// ends collects the ends of sessions.
type ends struct {
	mu  sync.Mutex
	all []SessionStats
}

func (e *ends) add(st SessionStats) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, st)
}

func (e *ends) list() []SessionStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]SessionStats(nil), e.all...)
}

// serve starts s on a port of loopback and returns its address and what stops it.
func serve(t *testing.T, s *Server) (addr string, stop func()) {
	t.Helper()
	ln, pc, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln, pc) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.ErrorIs(t, <-done, ErrServerClosed)
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// dial connects to addr.
func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// write writes each of b.
func write(t *testing.T, c net.Conn, b ...[]byte) {
	t.Helper()
	for _, p := range b {
		_, err := c.Write(p)
		require.NoError(t, err)
	}
}

func eventually(t *testing.T, what func() bool, why string, args ...any) {
	t.Helper()
	require.Eventually(t, what, 20*time.Second, time.Millisecond, append([]any{why}, args...)...)
}

func rtpKey(stream string) source.Key {
	return source.Key{Vhost: source.DefaultVhost, App: "rtp", Stream: stream}
}

// play returns a reading of the stream, which is waited for.
func play(t *testing.T, hub *source.Hub, key source.Key) source.Reader {
	t.Helper()
	r, err := hub.Play(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: key})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// TestServer: streams come by datagrams and by connections, and have the names of
// their SSRCs.
func TestServer(t *testing.T) {
	hub := &source.Hub{}
	var gone ends
	s := &Server{Handler: hub, OnEnd: gone.add}
	addr, stop := serve(t, s)
	for i, c := range []struct {
		network string
		form    framing.Form
	}{{"udp", 0}, {"tcp", framing.Short}, {"tcp", framing.Interleaved}} {
		d := &device{ssrc: 0x0badca00 + uint32(i)}
		nc := dial(t, c.network, addr)
		for _, p := range d.packets(5) {
			if c.network == "tcp" {
				p = framed(c.form, p)
			}
			write(t, nc, p)
		}
		key := rtpKey(ssrcName(d.ssrc))
		require.Equal(t, []string{"0BADCA00", "0BADCA01", "0BADCA02"}[i], key.Stream)
		r := play(t, hub, key)
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, codec.PCMA, f.Track.Codec)
		v := s.Session(key)
		require.NotNil(t, v)
		st := v.Stats()
		require.Equal(t, c.network, st.Protocol)
		require.Equal(t, d.ssrc, st.SSRC)
		require.Equal(t, nc.LocalAddr().String(), st.Remote.String())
		require.Equal(t, addr, st.Local.String())
	}
	require.Nil(t, s.Session(rtpKey("0BADCA03")))
	require.Len(t, s.Sessions(), 3)
	st := s.Stats()
	require.EqualValues(t, 3, st.Sessions)
	require.EqualValues(t, 2, st.Conns)
	require.Positive(t, st.ReadBuffer)
	stop()
	require.Len(t, gone.list(), 3)
	for _, st := range gone.list() {
		require.ErrorIs(t, st.Err, ErrServerClosed)
	}
	require.Empty(t, s.Sessions())
}

// TestServerDefaults: names can be chosen.
func TestServerDefaults(t *testing.T) {
	hub := &source.Hub{}
	s := &Server{Handler: hub, Vhost: "example.org", App: "cameras"}
	addr, _ := serve(t, s)
	d := &device{ssrc: 0xff}
	write(t, dial(t, "udp", addr), d.packets(3)...)
	play(t, hub, source.Key{Vhost: "example.org", App: "cameras", Stream: "000000FF"})
}

// TestServerGoodbye: who says goodbye by a report ends the stream, others cannot.
func TestServerGoodbye(t *testing.T) {
	hub := &source.Hub{}
	var gone ends
	s := &Server{Handler: hub, OnEnd: gone.add}
	addr, _ := serve(t, s)
	a, b := &device{ssrc: 1}, &device{ssrc: 2}
	nc := dial(t, "udp", addr)
	write(t, nc, a.packets(3)...)
	write(t, nc, b.packets(3)...)
	eventually(t, func() bool { return len(s.Sessions()) == 2 }, "both are there")
	write(t, nc, a.goodbye())
	eventually(t, func() bool { return len(gone.list()) == 1 }, "one has gone")
	require.Equal(t, a.ssrc, gone.list()[0].SSRC)
	require.ErrorIs(t, gone.list()[0].Err, io.EOF)
	require.NotNil(t, s.Session(rtpKey(ssrcName(b.ssrc))))
}

// TestServerOneSSRCTwoSenders: the first one keeps it, over whatever the second
// comes.
func TestServerOneSSRCTwoSenders(t *testing.T) {
	hub := &source.Hub{}
	s := &Server{Handler: hub}
	addr, _ := serve(t, s)
	for i, first := range []string{"udp", "tcp"} {
		d := &device{ssrc: uint32(i + 1)}
		wire := func(network string, n int) []byte { return framed(framing.Short, d.packets(n)...) }
		nc := dial(t, first, addr)
		if first == "tcp" {
			write(t, nc, wire(first, 4))
		} else {
			write(t, nc, d.packets(4)...)
		}
		key := rtpKey(ssrcName(d.ssrc))
		eventually(t, func() bool { v := s.Session(key); return v != nil && v.Stats().Packets == 4 }, "the first is there")
		before := s.Stats().Foreign
		write(t, dial(t, "udp", addr), d.packets(4)...)
		eventually(t, func() bool { return s.Stats().Foreign >= before+4 }, "datagrams are counted")
		other := dial(t, "tcp", addr)
		write(t, other, wire("tcp", 4))
		require.NoError(t, other.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err := other.Read(make([]byte, 1))
		require.Error(t, err)
		require.False(t, errors.Is(err, context.DeadlineExceeded), "it is closed")
		require.Greater(t, s.Stats().Foreign, before+4)
		require.EqualValues(t, 4, s.Session(key).Stats().Packets)
		require.GreaterOrEqual(t, s.Session(key).Stats().Foreign, uint64(5))
	}
}

// TestServerSlowHandler: while one waits to be let in, others get in, and what came
// meanwhile is not lost.
func TestServerSlowHandler(t *testing.T) {
	hub := &source.Hub{}
	open := make(chan struct{})
	g := &gate{Handler: hub, hang: func(k source.Key) {
		if k.Stream == ssrcName(1) {
			<-open
		}
	}}
	s := &Server{Handler: g}
	addr, _ := serve(t, s)
	nc := dial(t, "udp", addr)
	slow, fast := &device{ssrc: 1}, &device{ssrc: 2}
	write(t, nc, slow.packets(5)...)
	write(t, nc, fast.packets(5)...)
	play(t, hub, rtpKey(ssrcName(2)))
	eventually(t, func() bool { return g.asked.Load() == 2 }, "both have asked")
	require.False(t, s.Session(rtpKey(ssrcName(1))).accepted())
	close(open)
	play(t, hub, rtpKey(ssrcName(1)))
	require.EqualValues(t, 5, s.Session(rtpKey(ssrcName(1))).Stats().Frames)
}

// TestServerRefused: a sender that was refused is taken in again after a second,
// not with each packet; a connection is closed.
func TestServerRefused(t *testing.T) {
	g := &gate{Handler: &source.Hub{}}
	g.closed.Store(true)
	var gone ends
	s := &Server{Handler: g, OnEnd: gone.add}
	addr, _ := serve(t, s)
	nc := dial(t, "udp", addr)
	d := &device{ssrc: 7}
	began := time.Now()
	eventually(t, func() bool { write(t, nc, d.packet()); return g.asked.Load() == 2 }, "it asks again")
	require.GreaterOrEqual(t, time.Since(began), askAgain)
	require.Greater(t, d.sequence, uint16(20))
	require.ErrorIs(t, gone.list()[0].Err, source.ErrForbidden)
	require.NotZero(t, s.Stats().Refused)

	tcp := dial(t, "tcp", addr)
	other := &device{ssrc: 8}
	write(t, tcp, framed(framing.Short, other.packets(5)...))
	_, err := io.ReadAll(tcp)
	require.True(t, err == nil || !errors.Is(err, context.DeadlineExceeded), "it is closed")
}

// TestServerNoHandler: nobody is let in.
func TestServerNoHandler(t *testing.T) {
	s := &Server{}
	addr, _ := serve(t, s)
	d := &device{ssrc: 7}
	write(t, dial(t, "udp", addr), d.packets(3)...)
	eventually(t, func() bool { return s.Stats().Refused == 1 }, "refused")
}

// TestServerInvalid: what is no RTP is counted, whatever its length is.
func TestServerInvalid(t *testing.T) {
	s := &Server{Handler: &source.Hub{}}
	addr, _ := serve(t, s)
	nc := dial(t, "udp", addr)
	d := &device{ssrc: 7}
	write(t, nc, []byte{}, []byte{0x80}, d.packet()[:rtpHeader-1], bytes.Repeat([]byte{0xff}, 1400), make([]byte, 65507))
	eventually(t, func() bool { return s.Stats().Invalid == 5 }, "all are counted")
	require.Zero(t, s.Stats().Pending)
	require.Zero(t, s.Stats().Panics)
}

// TestServerLoudLog: nothing but lines within limits is said of a flood.
func TestServerLoudLog(t *testing.T) {
	var log lockedBuffer
	s := &Server{Handler: &source.Hub{}, MaxPending: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	addr, _ := serve(t, s)
	nc := dial(t, "udp", addr)
	for i := range 200 {
		d := &device{ssrc: uint32(i + 1)}
		write(t, nc, d.packet())
	}
	eventually(t, func() bool { return s.Stats().Overflows >= 100 }, "too many are counted")
	require.LessOrEqual(t, s.Stats().Pending, int64(10))
	eventually(t, func() bool { return bytes.Contains(log.bytes(), []byte("too many streams")) }, "and told")
	require.Less(t, bytes.Count(log.bytes(), []byte("\n")), 30)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// TestServerFlood: 20,000 senders of whom nothing is known are bounded in number
// and memory, and forgotten after 5 s; who was there before goes on.
func TestServerFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: &source.Hub{}}
		s.init()
		r := s.newRoster()
		port := udp.NewConn(&deafPort{})
		from := netip.MustParseAddrPort("192.0.2.1:5000")
		here := &device{ssrc: 0xffffffff}
		for range 10 {
			r.datagram(port, here.packet(), from, time.Now())
		}
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b := make([]byte, 1400) // of no known payload
		b[0], b[1] = 0x80, 96
		for range 3 {
			for i := range uint32(20000) {
				binary.BigEndian.PutUint32(b[8:], i)
				r.datagram(port, b, from, time.Now())
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20))
		require.EqualValues(t, 1000, s.Stats().Pending, "with the one that has begun since the last tick")
		require.EqualValues(t, 3*20000-3*999, s.Stats().Overflows)
		for range 60 {
			time.Sleep(tickEvery)
			r.datagram(port, here.packet(), from, time.Now())
			r.tick(time.Now())
		}
		require.Zero(t, s.Stats().Pending)
		require.EqualValues(t, 1, s.Stats().Sessions)
		require.EqualValues(t, 70, r.sessions()[0].Stats().Packets)
		s.leave(r)
		synctest.Wait()
	})
}

// A deafPort is a port that nothing comes to. It keeps what is sent.
type deafPort struct {
	net.PacketConn

	mu   sync.Mutex
	sent []sentDatagram
}

type sentDatagram struct {
	b  string
	to string
}

func (*deafPort) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 10000} }
func (*deafPort) SetWriteDeadline(time.Time) error { return nil }
func (*deafPort) Close() error                     { return nil }

func (p *deafPort) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, sentDatagram{string(b), to.String()})
	return len(b), nil
}

func (p *deafPort) taken() []sentDatagram {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = nil
	return sent
}

// TestServerTakeOver: an SSRC is somebody else's when it has been silent for 5 s,
// at once if nothing sensible came before; packets are never mixed.
func TestServerTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: &source.Hub{}}
		s.init()
		r := s.newRoster()
		port := udp.NewConn(&deafPort{})
		one, two := netip.MustParseAddrPort("192.0.2.1:5000"), netip.MustParseAddrPort("192.0.2.2:5000")
		d := &device{ssrc: 9}
		send := func(from netip.AddrPort, n int) {
			for range n {
				r.datagram(port, d.packet(), from, time.Now())
			}
			synctest.Wait()
			r.tick(time.Now())
		}
		send(one, 1) // may be a stranger's
		time.Sleep(holdsUnprovenOf)
		send(two, 5)
		require.Zero(t, s.Stats().Foreign)
		v := r.sessions()[0]
		require.Equal(t, two.String(), v.Stats().Remote.String())
		had := v.Stats().Packets
		time.Sleep(holdsFor - time.Nanosecond)
		send(one, 5)
		require.EqualValues(t, 5, s.Stats().Foreign)
		require.Equal(t, had, v.Stats().Packets)
		time.Sleep(time.Nanosecond)
		send(one, 5)
		time.Sleep(time.Second) // until those that one had lost are not waited for any more
		r.tick(time.Now())
		require.EqualValues(t, 5, s.Stats().Foreign)
		require.Equal(t, had+5, v.Stats().Packets)
		require.Equal(t, one.String(), v.Stats().Remote.String())
		send(two, 5)
		require.EqualValues(t, 10, s.Stats().Foreign)
		require.Len(t, r.sessions(), 1)
		s.leave(r)
		synctest.Wait()
	})
}

// TestServerPanic: what panics while a packet is taken in is counted; the next one
// is taken in.
func TestServerPanic(t *testing.T) {
	s := &Server{Handler: &source.Hub{}}
	s.init()
	r := s.newRoster()
	key := r.key
	r.key = func(ssrc uint32) source.Key {
		if ssrc == 666 {
			panic("oops")
		}
		return key(ssrc)
	}
	from := netip.MustParseAddrPort("192.0.2.1:5000")
	for _, d := range []*device{{ssrc: 666}, {ssrc: 1}} {
		r.datagram(udp.NewConn(&deafPort{}), d.packet(), from, time.Now())
	}
	require.EqualValues(t, 1, s.Stats().Panics)
	require.EqualValues(t, 1, s.Stats().Pending)
	s.leave(r)
}

// serveMemory starts s on a network in memory, for what is about time.
func serveMemory(t *testing.T, s *Server, f func(t *testing.T, ln *memnet.Listener)) {
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, ln, nil) }()
		f(t, ln)
		cancel()
		require.ErrorIs(t, <-done, ErrServerClosed)
	})
}

// closedAfter returns how long it takes until the other side closes nc.
func closedAfter(nc net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, nc)
	return time.Since(began)
}

// TestServerConnTimes: who does not begin a stream is given up after 10 s, and who
// does not end a packet; a stream is given up for its silence.
func TestServerConnTimes(t *testing.T) {
	two := (&device{ssrc: 1}).packets(2)
	for _, c := range []struct {
		name     string
		say      []byte // at once
		drip     []byte // a byte every second
		want     time.Duration
		sessions int
	}{
		{name: "silent", want: 10 * time.Second},
		{name: "dripping", drip: bytes.Repeat([]byte{1}, 60), want: 10 * time.Second},
		{name: "half a packet", say: framed(framing.Short, two...)[:100], want: 10 * time.Second},
		{name: "one and a half", say: framed(framing.Short, two...)[:300], want: 5 * time.Second},
		{name: "a stream that stops", say: framed(framing.Short, (&device{ssrc: 1}).packets(5)...), want: 15 * time.Second, sessions: 1},
		{name: "a stream that stops in a packet", say: framed(framing.Short, (&device{ssrc: 1}).packets(5)...)[:800], want: 10 * time.Second, sessions: 1},
		{name: "a stream that drips", say: framed(framing.Short, (&device{ssrc: 1}).packets(5)...)[:800],
			drip: bytes.Repeat([]byte{1}, 60), want: 10 * time.Second, sessions: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var gone ends
			s := &Server{Handler: &source.Hub{}, OnEnd: gone.add}
			serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
				nc, err := ln.Dial(t.Context())
				require.NoError(t, err)
				defer nc.Close()
				write(t, nc, c.say)
				go func() {
					for _, b := range c.drip {
						time.Sleep(time.Second)
						if _, err := nc.Write([]byte{b}); err != nil {
							return
						}
					}
				}()
				require.InDelta(t, c.want, closedAfter(nc), float64(2*time.Second))
				time.Sleep(time.Second)
				require.Len(t, gone.list(), c.sessions)
				require.Zero(t, s.Stats().Conns)
			})
		})
	}
}

// TestServerConnGarbage: a connection is given up when there is no packet in 128
// KiB; with less between packets the stream goes on.
func TestServerConnGarbage(t *testing.T) {
	garbage := bytes.Repeat([]byte("no packet. "), 150<<10/11)
	var gone ends
	s := &Server{Handler: &source.Hub{}, OnEnd: gone.add}
	serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		nc, err := ln.Dial(t.Context())
		require.NoError(t, err)
		defer nc.Close()
		d := &device{ssrc: 5}
		write(t, nc, framed(framing.Short, d.packets(10)...), garbage[:50000], framed(framing.Short, d.packets(10)...))
		synctest.Wait()
		v := s.Sessions()
		require.Len(t, v, 1)
		require.EqualValues(t, 20, v[0].Stats().Packets)
		require.EqualValues(t, 1, v[0].Stats().Resyncs)
		require.Zero(t, v[0].Stats().Lost)
		_, _ = nc.Write(garbage)
		require.Less(t, closedAfter(nc), time.Second)
		time.Sleep(time.Second)
		require.ErrorIs(t, gone.list()[0].Err, framing.ErrGarbage)
	})
}

// TestServerConnReturns: whose connection has ended may come back at once with
// another.
func TestServerConnReturns(t *testing.T) {
	hub := &source.Hub{}
	var gone ends
	s := &Server{Handler: hub, OnEnd: gone.add}
	serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		d := &device{ssrc: 5}
		for i := range 3 {
			nc, err := ln.Dial(t.Context())
			require.NoError(t, err)
			write(t, nc, framed(framing.Interleaved, d.packets(10)...))
			synctest.Wait()
			require.Len(t, s.Sessions(), 1)
			require.True(t, s.Sessions()[0].accepted(), "attempt %d", i)
			require.NoError(t, nc.Close())
			synctest.Wait()
		}
		time.Sleep(time.Second)
		require.Len(t, gone.list(), 3)
		require.ErrorIs(t, gone.list()[0].Err, io.ErrUnexpectedEOF)
		time.Sleep(time.Minute) // the hub lets the stream go
	})
}

// TestServerConnTwoStreams: a connection may carry several SSRCs.
func TestServerConnTwoStreams(t *testing.T) {
	s := &Server{Handler: &source.Hub{}}
	serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		nc, err := ln.Dial(t.Context())
		require.NoError(t, err)
		defer nc.Close()
		a, b := &device{ssrc: 5}, &device{ssrc: 6}
		for range 10 {
			write(t, nc, framed(framing.Short, a.packet(), b.packet()))
		}
		write(t, nc, framed(framing.Short, a.goodbye(), b.packet()))
		time.Sleep(time.Second)
		require.Len(t, s.Sessions(), 1)
		require.EqualValues(t, 6, s.Sessions()[0].Stats().SSRC)
		write(t, nc, framed(framing.Short, b.packet()))
		synctest.Wait()
		require.EqualValues(t, 12, s.Sessions()[0].Stats().Packets)
	})
}

// TestServerConnLimits: connections above a limit are closed.
func TestServerConnLimits(t *testing.T) {
	s := &Server{Handler: &source.Hub{}, MaxConns: 1}
	serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		first, err := ln.Dial(t.Context())
		require.NoError(t, err)
		defer first.Close()
		second, err := ln.Dial(t.Context())
		require.NoError(t, err)
		defer second.Close()
		require.Zero(t, closedAfter(second))
		require.EqualValues(t, 1, s.Stats().Rejected)
	})
}

// TestServerMaxSessions: streams above the limit are not taken in.
func TestServerMaxSessions(t *testing.T) {
	hub := &source.Hub{}
	s := &Server{Handler: hub, MaxSessions: 1}
	addr, _ := serve(t, s)
	nc := dial(t, "udp", addr)
	write(t, nc, (&device{ssrc: 1}).packets(5)...)
	write(t, nc, (&device{ssrc: 2}).packets(5)...)
	eventually(t, func() bool { return s.Stats().Overflows == 5 }, "one is too many")
	require.Len(t, s.Sessions(), 1)
}

// TestListen: both ports are the same one.
func TestListen(t *testing.T) {
	ln, pc, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.Equal(t, ln.Addr().String(), pc.LocalAddr().String())
	_, _, err = Listen(t.Context(), ln.Addr().String())
	require.Error(t, err)
	require.NoError(t, ln.Close())
	_, _, err = Listen(t.Context(), pc.LocalAddr().String())
	require.Error(t, err, "the other one is taken")
	ln, err = net.Listen("tcp", pc.LocalAddr().String())
	require.NoError(t, err, "and nothing is left open")
	require.NoError(t, ln.Close())
	require.NoError(t, pc.Close())

	s := &Server{Addr: "127.0.0.1:0", NoUDP: true, NoTCP: true}
	require.Error(t, s.ListenAndServe(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = &Server{Addr: "127.0.0.1:0", NoUDP: true}
	require.ErrorIs(t, s.ListenAndServe(ctx), ErrServerClosed)
}
