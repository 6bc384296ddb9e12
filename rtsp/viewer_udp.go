package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// byeAfter is how long after the last packet a BYE is sent by datagram: there are
// players that look at RTCP first, and then at nothing any more.
const byeAfter = 200 * time.Millisecond

// A datagrams sends the packets of a viewer over UDP and listens to it.
type datagrams struct {
	w      *viewer
	tracks []datagramTrack
	began  time.Time
	heard  atomic.Int64 // nanoseconds after began at which the viewer was heard last
	idle   time.Duration
	timer  *time.Timer // nil: no limit
	bye    []byte      // interleaved
	once   sync.Once   // ends it
}

// A datagramTrack is one track of a viewer over UDP: what it has of RTP, then of
// RTCP.
type datagramTrack struct {
	media int
	ends  [2]datagramEnd
}

// A datagramEnd is a port of ours and where it sends to.
type datagramEnd struct {
	port  *udp.Conn
	to    atomic.Pointer[netip.AddrPort]
	bound bool // to has sent us something, and stays; of who hears
}

func newDatagrams(w *viewer, bye []byte) *datagrams {
	setups := w.session.setups
	d := &datagrams{w: w, tracks: make([]datagramTrack, len(setups)), began: time.Now(), bye: bye}
	for i, x := range setups {
		t := &d.tracks[i]
		t.media = x.media
		t.ends[0].port, t.ends[1].port = x.rtp, x.rtcp
		for k := range t.ends {
			t.ends[k].to.Store(&x.peer[k])
		}
	}
	if d.idle = limit(w.srv.IdleTimeout, defaultIdleTimeout); d.idle > 0 {
		d.timer = time.AfterFunc(math.MaxInt64, d.expire)
		d.timer.Reset(d.idle) // now that expire can find it
	}
	return d
}

// listen begins to listen to the viewer.
func (d *datagrams) listen() error {
	w := d.w
	for i := range d.tracks {
		for k := range d.tracks[i].ends {
			e := &d.tracks[i].ends[k]
			hears := func(b []byte, from netip.AddrPort) {
				if err := w.serving.Guard(w.raw, func() error { d.receive(e, k == 1, b, from); return nil }); err != nil {
					w.fail(err)
				}
			}
			if err := e.port.Watch(w.serving.Go, hears); err != nil && !errors.Is(err, net.ErrClosed) { // it may be over
				return err
			}
		}
	}
	return nil
}

// hear records that the viewer is there.
func (d *datagrams) hear() { d.heard.Store(int64(time.Since(d.began))) }

// expire ends the session if the viewer was silent for too long.
func (d *datagrams) expire() {
	silent := time.Since(d.began) - time.Duration(d.heard.Load())
	if silent >= d.idle {
		d.w.fail(fmt.Errorf("%w: nothing from the viewer", source.ErrTimeout))
		return
	}
	d.timer.Reset(d.idle - silent)
}

// receive takes in what came to a port. The first packet from the viewer's address
// tells where its packets really have to go: there may be a translator of
// addresses between. Packets from elsewhere are nobody's.
func (d *datagrams) receive(e *datagramEnd, rtcp bool, b []byte, from netip.AddrPort) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	to := *e.to.Load()
	if from.Addr() != to.Addr() || e.bound && from != to {
		d.w.srv.stats.foreignPackets.Add(1)
		return
	}
	if !e.bound {
		e.bound = true
		e.to.Store(&from)
	}
	if rtcp && isRTCP(b) {
		d.hear()
	}
}

// isRTCP reports whether b begins as an RTCP packet does and is as long as that
// says (RFC 3550, 6.4).
func isRTCP(b []byte) bool {
	return rtp.IsRTCP(b) && len(b) >= 8 && 4*int(binary.BigEndian.Uint16(b[2:]))+4 <= len(b)
}

// A prepared is the datagrams of a batch by their channel, for all who are sent
// them.
type prepared []*udp.Burst

// prepare returns the datagrams of b.
func prepare(b *source.Batch) prepared {
	if p, ok := b.Prepared.(*prepared); ok {
		return *p
	}
	p, ok := b.Spare.(*prepared)
	if !ok {
		p = new(prepared)
	}
	b.Spare = nil
	p.fill(b.Packets)
	b.Prepared = p
	return *p
}

// fill makes p hold the datagrams of packets.
func (p *prepared) fill(packets []source.Packet) {
	for i := range *p {
		(*p)[i].Reset()
	}
	for i := range packets {
		for channel, datagram := range rtp.Datagrams(packets[i].Wire) {
			for int(channel) >= len(*p) {
				*p = append(*p, new(udp.Burst))
			}
			(*p)[channel].Add(datagram)
		}
	}
}

// WritePackets implements source.PacketWriter.
func (d *datagrams) WritePackets(b *source.Batch) (bytes int, err error) {
	p := prepare(b)
	for i := range d.tracks {
		t := &d.tracks[i]
		for k := range t.ends {
			channel := 2*t.media + k
			if channel >= len(p) || p[channel].Len() == 0 {
				continue
			}
			n, err := t.ends[k].port.Send(p[channel], *t.ends[k].to.Load())
			if bytes += n; err != nil {
				return bytes, err
			}
		}
	}
	return bytes, nil
}

// Close implements source.PacketWriter: with the packets ends the session. The
// ports are given back soon, however long the viewer takes to go.
func (d *datagrams) Close() error {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.w.left.Load() {
		d.end(nil)
	} else {
		time.AfterFunc(byeAfter, func() { d.end(d.bye) })
	}
	d.w.hangUp()
	return nil
}

// end gives the ports back, after a goodbye; that it is called again, too, has no
// effect. The Delivery has ended.
func (d *datagrams) end(goodbye []byte) {
	d.once.Do(func() {
		_, _ = d.WritePackets(&source.Batch{Packets: []source.Packet{{Wire: goodbye}}})
		for i := range d.tracks {
			for k := range d.tracks[i].ends {
				port := d.tracks[i].ends[k].port
				d.w.srv.stats.datagramsLost.Add(port.Dropped())
				_ = port.Close()
			}
		}
	})
}

// hangUp ends the connection of a viewer whose packets went elsewhere, when there
// are no more of them. One that has not left itself may still do so: there are
// players that look at the connection first, and what has come by UDP is lost
// when that has ended.
func (w *viewer) hangUp() {
	const patience, farewell = time.Second, 2 * time.Second
	if !w.left.Load() {
		_ = w.nc.SetReadDeadline(time.Now().Add(patience))
		return
	}
	w.saying.Lock()
	defer w.saying.Unlock()
	c, ok := w.nc.(interface{ CloseWrite() error })
	if !ok || c.CloseWrite() != nil {
		_ = w.nc.Close()
		return
	}
	_ = w.nc.SetReadDeadline(time.Now().Add(farewell))
}
