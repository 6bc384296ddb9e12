package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrNoPorts is wrapped by the error of [Ports.Pair] and its kin when all ports
// are in use.
var ErrNoPorts = errors.New("udp: no ports are left")

// ErrInUse is wrapped by the error of [Ports.At] when somebody has the port.
var ErrInUse = errors.New("udp: port is in use")

// The range of Ports if none is set.
const (
	defaultMin = 30000
	defaultMax = 35000
)

// writeBuffer is what we ask the system to take of a burst before it loses
// datagrams, in bytes: a large key frame.
const writeBuffer = 1 << 20

// foreignRest is how long ports which others have are left alone.
const foreignRest = time.Second

// Ports hands out pairs of ports from a range. It is ready for use by several
// goroutines. Fields must not change once Pair was called.
//
// All ports of a pair are bound when it is handed out. It is free again when all
// its connections are closed, and is the last one that is then handed out: what is
// still on its way to it has time to get lost. Handing out does not take longer
// when more pairs are open. Ports that somebody else has are skipped, and tried
// again after a second.
type Ports struct {
	Min, Max uint16        // the range, both included; 0, 0 means 30000 to 35000
	Rest     time.Duration // how long a pair that was closed is not handed out even if there is no other; 0: only while there is

	// Listen opens a port; nil means net.ListenPacket. The error for a port that
	// is in use wraps the system's; any other is returned by Pair.
	Listen func(network, address string) (net.PacketConn, error)

	// ListenTCP is the same for the port of TCP; nil means net.Listen.
	ListenTCP func(network, address string) (net.Listener, error)

	watchers watchers // of quiet ports

	mu      sync.Mutex // guards what follows
	begun   bool
	low     uint16      // port of pair 0
	free    queue       // pairs
	closed  []time.Time // when each pair was, or was somebody else's; zero: never
	pairs   int         // open
	foreign []foreign   // pairs that others have, the first ones to be tried again first
}

type foreign struct {
	pair  uint16
	until time.Time
}

// Pair opens an even port and the next one on ip; the zero Addr means all
// addresses.
func (p *Ports) Pair(ip netip.Addr) (rtp, rtcp *Conn, err error) {
	s, err := p.next(ip, p.open, false)
	return s.rtp, s.rtcp, err
}

// PairTCP is Pair, and listens to TCP on the even port as well. The pair is free
// again when the listener is closed, too.
func (p *Ports) PairTCP(ip netip.Addr) (rtp, rtcp *Conn, ln net.Listener, err error) {
	s, err := p.next(ip, p.open, true)
	return s.rtp, s.rtcp, s.listener(), err
}

// QuietPair is Pair for ports that are read with Watch. On Linux they need no
// goroutine each to listen on, and cost less to send from, for nobody is woken
// whenever a datagram has left. On other systems datagrams of more than 2 KiB are
// cut.
func (p *Ports) QuietPair(ip netip.Addr) (rtp, rtcp *Conn, err error) {
	s, err := p.next(ip, p.openQuiet, false)
	return s.rtp, s.rtcp, err
}

// QuietPairTCP is PairTCP for ports that are read with Watch. Datagrams come whole
// on all systems.
func (p *Ports) QuietPairTCP(ip netip.Addr) (rtp, rtcp *Conn, ln net.Listener, err error) {
	s, err := p.next(ip, p.openQuiet, true)
	s.whole()
	return s.rtp, s.rtcp, s.listener(), err
}

// At opens a port that the caller names, of the range or not, to be read with
// Watch, and listens to TCP on it if asked to. The next port comes with it if it is
// free, else rtcp is nil. With reuse other sockets may have the same ports if they
// want to share them as well; which of them then gets what is up to the system.
// Listen and ListenTCP know nothing of it.
func (p *Ports) At(ip netip.Addr, port uint16, tcp, reuse bool) (rtp, rtcp *Conn, ln net.Listener, err error) {
	if port == 0 {
		return nil, nil, nil, errors.New("udp: no port is named")
	}
	s, err := p.bind(ip.Unmap(), port, p.openQuiet, options{tcp: tcp, reuse: reuse, single: true})
	if err != nil {
		if InUse(err) {
			return nil, nil, nil, fmt.Errorf("%w: %d: %w", ErrInUse, port, err)
		}
		return nil, nil, nil, fmt.Errorf("udp: port %d: %w", port, err)
	}
	s.whole()
	if pair, ok := p.takeNamed(port); ok {
		s.release(p.releaser(pair, s.len()))
	}
	return s.rtp, s.rtcp, s.listener(), nil
}

// next opens the next pair that can be.
func (p *Ports) next(ip netip.Addr, open opener, tcp bool) (s sockets, err error) {
	ip = ip.Unmap()
	for {
		pair, port, ok := p.take()
		if !ok {
			return s, fmt.Errorf("%w between %d and %d", ErrNoPorts, p.min(), p.max())
		}
		s, err = p.bind(ip, port, open, options{tcp: tcp})
		if err == nil {
			s.release(p.releaser(pair, s.len()))
			return s, nil
		}
		taken := InUse(err)
		p.putBack(pair, taken)
		if !taken {
			return s, fmt.Errorf("udp: port %d: %w", port, err)
		}
	}
}

// Open returns how many pairs of the range are open.
func (p *Ports) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pairs
}

func (p *Ports) min() uint16 {
	if p.Min == 0 && p.Max == 0 {
		return defaultMin
	}
	return max(p.Min, 1)
}

func (p *Ports) max() uint16 {
	if p.Min == 0 && p.Max == 0 {
		return defaultMax
	}
	return p.Max
}

// take takes a pair that may be free.
func (p *Ports) take() (pair, port uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	if len(p.foreign) > 0 {
		for now := time.Now(); len(p.foreign) > 0 && !now.Before(p.foreign[0].until); p.foreign = p.foreign[1:] {
			f := p.foreign[0]
			p.closed[f.pair] = f.until // whoever had it may just have closed it
			p.free.push(f.pair)
		}
	}
	if pair, ok = p.free.first(); !ok {
		return 0, 0, false
	}
	if c := p.closed[pair]; p.Rest > 0 && !c.IsZero() && time.Since(c) < p.Rest {
		return 0, 0, false // and so do all others, which were closed after it
	}
	p.free.remove(pair)
	p.pairs++
	return pair, p.low + 2*pair, true
}

// takeNamed takes the pair that port is of, if there is one and it is free.
func (p *Ports) takeNamed(port uint16) (pair uint16, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin()
	if port < p.low || int(port-p.low)/2 >= len(p.closed) {
		return 0, false
	}
	if pair = (port - p.low) / 2; !p.free.has(pair) {
		return 0, false
	}
	p.free.remove(pair)
	p.pairs++
	return pair, true
}

// begin makes the queue, once. It begins in no order, so that several Ports of one
// range seldom meet, and strangers cannot guess what comes next.
func (p *Ports) begin() {
	if p.begun {
		return
	}
	p.begun = true
	low, high := int(p.min()), int(p.max())
	low += low % 2
	if n := (high - low + 1) / 2; n > 0 {
		p.low = uint16(low)
		p.free, p.closed = newQueue(n), make([]time.Time, n)
		for _, i := range rand.Perm(n) {
			p.free.push(uint16(i))
		}
	}
}

// putBack gives a pair back that is not open.
func (p *Ports) putBack(pair uint16, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pairs--
	if taken {
		p.foreign = append(p.foreign, foreign{pair, time.Now().Add(foreignRest)})
	} else {
		p.free.push(pair)
	}
}

// releaser returns what each of n sockets of an open pair calls once.
func (p *Ports) releaser(pair uint16, n int) func() {
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if n--; n == 0 {
			p.pairs--
			p.closed[pair] = time.Now()
			p.free.push(pair)
		}
	}
}
