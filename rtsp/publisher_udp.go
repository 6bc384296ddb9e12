package rtsp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/udp"
)

// tolerated is how many errors in a row a socket may give: some systems report
// what became of packets sent.
const tolerated = 100

// A publisherPort is a socket on which packets of a publisher come: 2n for RTP of
// the nth media, 2n+1 for its RTCP.
type publisherPort struct {
	number int
	socket *udp.Conn
	peer   netip.AddrPort // where packets come from: the port only once bound
	bound  bool           // one has come; guarded by the publisher's mu, as peer
}

// listen begins to take in what comes by datagrams.
func (p *publisher) listen(serving *listen.Serving) {
	for _, x := range p.session.setups {
		x.rtp.SetReadBuffer(readBuffer)
		p.ports = append(p.ports,
			publisherPort{number: 2 * x.media, socket: x.rtp, peer: x.peer[0]},
			publisherPort{number: 2*x.media + 1, socket: x.rtcp, peer: x.peer[1]})
	}
	begin := func(f func() error) {
		serving.Go(func() {
			if err := serving.Guard(p.raw, f); err != nil {
				p.fail(err)
			}
		})
	}
	for i := range p.ports {
		p.readers.Add(1)
		begin(func() error {
			defer p.readers.Done()
			return p.read(&p.ports[i])
		})
	}
	begin(p.tend)
}

// read takes in what comes to a port until it is closed.
func (p *publisher) read(port *publisherPort) error {
	var slab []byte
	keeps, size := port.number%2 == 0, smallBuffer
	if keeps {
		size = slabSize
	}
	for failures := 0; ; {
		if len(slab) < min(size, maxDatagram) {
			slab = make([]byte, size)
		}
		n, from, err := port.socket.ReadFrom(slab)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || p.ctx.Err() != nil {
				return nil
			}
			if failures++; failures > tolerated {
				return err
			}
			continue
		}
		failures = 0
		now := time.Now()
		if !p.admits(port, from, slab[:n]) {
			p.srv.stats.foreignPackets.Add(1)
			continue
		}
		if n == len(slab) {
			continue // longer than what there was room for
		}
		b := slab[:n:n]
		if keeps { // packets are kept, and with them the slab
			slab = slab[n:]
		}
		if err := p.take(port.number, b, now); err != nil {
			return err
		}
	}
}

// drain takes in the datagrams of a publisher that has said goodbye or hung up:
// the last of them may be behind that, which came another way.
func (p *publisher) drain() {
	const soon, latest = 50 * time.Millisecond, 200 * time.Millisecond
	if len(p.ports) == 0 {
		return
	}
	for i := range p.ports {
		_ = p.ports[i].socket.SetReadDeadline(time.Now().Add(soon))
	}
	read := make(chan struct{})
	go func() {
		p.readers.Wait()
		close(read)
	}()
	timeout := time.NewTimer(latest) // for one whose frames nobody takes
	defer timeout.Stop()
	select {
	case <-read:
	case <-timeout.C:
	}
}

// admits reports whether a packet is the publisher's. It must come from the
// address of the connection; the port is that of the first one, which need not be
// the one that was announced: there may be a translator of addresses between.
func (p *publisher) admits(port *publisherPort, from netip.AddrPort, b []byte) bool {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	p.mu.Lock()
	defer p.mu.Unlock()
	if port.bound {
		return from == port.peer
	}
	const rtpHeader = 12
	if from.Addr() != port.peer.Addr() || len(b) < rtpHeader && !isRTCP(b) || b[0]>>6 != 2 {
		return false
	}
	port.peer, port.bound = from, true
	return true
}

// tend does what is due by the clock, until publishing ends: it gives up packets
// that do not come, sends reports, and notices silence.
func (p *publisher) tend() error {
	timer := time.NewTimer(reportEvery)
	defer timer.Stop()
	report := p.began.Add(reportEvery)
	for {
		now := time.Now()
		if !now.Before(report) {
			p.reportDatagrams(now)
			report = now.Add(reportEvery)
		}
		next, err := p.look(now)
		if err != nil {
			return err
		}
		if next.IsZero() || report.Before(next) {
			next = report
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.ctx.Done():
			return nil
		}
	}
}

// look does what is due of what is received, and returns when it will be again.
func (p *publisher) look(now time.Time) (next time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return next, nil
	}
	if p.expiring {
		frames, due := p.recv.Expire(p.frames[:0], now)
		p.expiring = !due.IsZero()
		next = due
		if err := p.write(frames); err != nil {
			return next, err
		}
	}
	if silence := limit(p.srv.ReadTimeout, defaultReadTimeout); silence > 0 {
		until := p.heard.Add(silence)
		if !now.Before(until) {
			return next, errSilent
		}
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next, nil
}

// reportDatagrams sends receiver reports to where the publisher's come from.
func (p *publisher) reportDatagrams(now time.Time) {
	for i := range p.ports {
		port := &p.ports[i]
		if port.number%2 == 0 {
			continue
		}
		b := p.report(port.number/2, now)
		if len(b) == 0 {
			continue
		}
		p.mu.Lock()
		to := port.peer
		p.mu.Unlock()
		_, _ = port.socket.WriteTo(b, to) // lost, as datagrams are
	}
}
