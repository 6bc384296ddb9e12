package ps

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

const (
	byeAfter = 200 * time.Millisecond // how long after the last packet a BYE goes, for it has another way
	pace     = 4                      // times the media's rate: what was there before is sent with
)

// A sendUDP sends to an address. It has ports for RTP and RTCP.
type sendUDP struct {
	x      *Sender
	ports  [2]*udp.Conn // that of RTCP may be nil
	to     [2]atomic.Pointer[netip.AddrPort]
	met    chan struct{} // closed when to is known
	bound  bool          // RTCP goes to where some came from; of who hears
	began  time.Time
	heard  atomic.Int64  // nanoseconds after began at which the receiver was heard last
	silent chan struct{} // closed when that is too long ago
	timer  *time.Timer   // nil: no limit
	mux    *streamMuxer  // nil before deliver
	reports
}

// openSendUDP opens the ports. The address that they have is the one that leads to
// the receiver, if that is known.
func openSendUDP(x *Sender) (sendWay, error) {
	o := &x.options
	w := &sendUDP{x: x, met: make(chan struct{}), began: time.Now(), silent: make(chan struct{})}
	var ip netip.Addr
	if !o.Mode.passive() {
		local, remote, err := route(x.ctx, o.To)
		if err != nil {
			return nil, err
		}
		ip = local.Addr()
		w.meetAt(remote)
	}
	var err error
	if o.Port == 0 {
		w.ports[0], w.ports[1], err = x.set.ports.QuietPair(ip)
	} else {
		w.ports[0], w.ports[1], _, err = x.set.ports.At(ip, o.Port, false, false)
	}
	if err != nil {
		return nil, portError(err)
	}
	for i, port := range w.ports {
		if port == nil {
			continue
		}
		hears := func(b []byte, from netip.AddrPort) {
			if err := x.guard(func() error { w.hear(i, b, from); return nil }); err != nil {
				x.cancel(err)
			}
		}
		if err := port.Watch(x.set.work.Go, hears); err != nil {
			w.close()
			return nil, err
		}
	}
	return w, nil
}

// route returns the address of the receiver, and the one of ours that leads there.
func route(ctx context.Context, to string) (local, remote netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, fmt.Errorf("%w: no address of %s in %v", source.ErrTimeout, to, connectTimeout))
	defer cancel()
	var d net.Dialer
	var c net.Conn
	for _, network := range []string{"udp4", "udp"} { // most receivers listen there only
		if c, err = d.DialContext(ctx, network, to); err == nil {
			break
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return local, remote, err
	}
	defer c.Close()
	return addrPortOf(c.LocalAddr()), addrPortOf(c.RemoteAddr()), nil
}

// addrPortOf returns an address of UDP.
func addrPortOf(a net.Addr) netip.AddrPort {
	u, _ := a.(*net.UDPAddr)
	return unmapped(u.AddrPort())
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// meetAt records where the receiver is. RTCP goes to the next port.
func (w *sendUDP) meetAt(a netip.AddrPort) {
	next := netip.AddrPortFrom(a.Addr(), a.Port()+1)
	w.to[1].Store(&next)
	w.to[0].Store(&a)
	close(w.met)
}

// hear takes in what came to a port: the first datagram of a receiver we wait for,
// or RTCP, which may come to either.
func (w *sendUDP) hear(port int, b []byte, from netip.AddrPort) {
	from = unmapped(from)
	to := w.to[0].Load()
	switch {
	case to == nil && port == 0:
		w.meetAt(from)
	case to == nil || to.Addr() != from.Addr() && !to.Addr().IsMulticast() || !rtp.IsRTCP(b):
	default:
		w.heard.Store(int64(time.Since(w.began)))
		if port == 1 && !w.bound && !to.Addr().IsMulticast() {
			w.bound = true
			w.to[1].Store(&from) // there may be a translator of addresses between
		}
	}
}

func (w *sendUDP) meet(ctx context.Context) error {
	select {
	case <-w.met:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *sendUDP) deliver(c *source.Cursor) *source.Delivery {
	w.mux, _ = c.Muxer().(*streamMuxer)
	w.watch()
	return c.DeliverTo(w, source.DeliverOptions{Pace: pace})
}

// watch begins to count how long the receiver is silent.
func (w *sendUDP) watch() {
	if w.x.options.ReportTimeout <= 0 {
		return
	}
	w.heard.Store(int64(time.Since(w.began)))
	w.timer = time.AfterFunc(math.MaxInt64, w.expire)
	w.timer.Reset(w.x.options.ReportTimeout) // now that expire can find it
}

// expire tells that the receiver was silent for too long.
func (w *sendUDP) expire() {
	silent := time.Since(w.began) - time.Duration(w.heard.Load())
	if left := w.x.options.ReportTimeout - silent; left > 0 {
		w.timer.Reset(left)
		return
	}
	close(w.silent)
}

func (w *sendUDP) gone() (<-chan struct{}, func() error) {
	return w.silent, func() error {
		return fmt.Errorf("%w: no report from the receiver in %v", source.ErrTimeout, w.x.options.ReportTimeout)
	}
}

// datagramsOf returns the packets of b, made once for all who are sent them.
func datagramsOf(b *source.Batch) *udp.Burst {
	if p, ok := b.Prepared.(*udp.Burst); ok {
		return p
	}
	p, ok := b.Spare.(*udp.Burst)
	if !ok {
		p = new(udp.Burst)
	}
	b.Spare = nil
	p.Reset()
	for i := range b.Packets {
		for packet := range rtp.Packets(b.Packets[i].Wire) {
			p.Add(packet)
		}
	}
	b.Prepared = p
	return p
}

// WritePackets implements source.PacketWriter.
func (w *sendUDP) WritePackets(b *source.Batch) (bytes int, err error) {
	bytes, err = w.ports[0].Send(datagramsOf(b), *w.to[0].Load())
	if err == nil {
		w.send(w.mux, w.control)
	}
	return bytes, err
}

// control sends RTCP.
func (w *sendUDP) control(b []byte) {
	if w.ports[1] != nil {
		_, _ = w.ports[1].WriteTo(b, *w.to[1].Load()) // nobody has to listen there
	}
}

// Close implements source.PacketWriter. The ports stay for a goodbye.
func (w *sendUDP) Close() error { return nil }

func (w *sendUDP) explain(err error) error { return err }

func (w *sendUDP) rest(ctx context.Context) { sleep(ctx, byeAfter) }

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (w *sendUDP) close() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.bye(w.mux, w.control)
	for _, port := range w.ports {
		if port != nil {
			_ = port.Close()
		}
	}
}

func (w *sendUDP) addrs() (local, remote net.Addr) {
	local = net.UDPAddrFromAddrPort(w.ports[0].LocalAddr())
	if to := w.to[0].Load(); to != nil {
		remote = net.UDPAddrFromAddrPort(*to)
	}
	return local, remote
}

func (w *sendUDP) dropped() uint64 { return w.ports[0].Dropped() }

// reports are the RTCP packets that go with those of RTP.
type reports struct {
	sent time.Time // the newest sender report; zero before the first
	buf  []byte
}

// send sends a report if one is due.
func (r *reports) send(m *streamMuxer, control func([]byte)) {
	now := time.Now()
	if !r.sent.IsZero() && now.Sub(r.sent) < reportEvery {
		return
	}
	r.sent = now
	r.buf = m.appendReport(r.buf[:0])
	r.pass(control)
}

// bye sends a goodbye, if there was a report.
func (r *reports) bye(m *streamMuxer, control func([]byte)) {
	if m == nil || r.sent.IsZero() {
		return
	}
	r.buf = m.appendBye(r.buf[:0])
	r.pass(control)
}

func (r *reports) pass(control func([]byte)) {
	for b := range rtp.Packets(r.buf) {
		control(b)
	}
}
