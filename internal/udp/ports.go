package udp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// ErrNoPorts is wrapped by the error of [Ports.Pair] when all ports are in use.
var ErrNoPorts = errors.New("udp: no ports are left")

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
// A pair is free again when both its connections are closed, and is the last
// one that is then handed out: what is still on its way to it has time to get
// lost. Handing out does not take longer when more pairs are open. Ports that
// somebody else has are skipped, and tried again after a second.
type Ports struct {
	Min, Max uint16 // the range, both included; 0, 0 means 30000 to 35000

	// Listen opens a port; nil means net.ListenPacket. The error for a port that
	// is in use wraps the system's; any other is returned by Pair.
	Listen func(network, address string) (net.PacketConn, error)

	watchers watchers // of quiet ports

	mu      sync.Mutex // guards what follows
	begun   bool
	first   uint16    // port of pair 0
	free    queue     // pairs
	pairs   int       // open
	foreign []foreign // pairs that others have, the first ones to be tried again first
}

type foreign struct {
	pair  uint16
	until time.Time
}

// Pair opens an even port and the next one on ip; the zero Addr means all
// addresses.
func (p *Ports) Pair(ip netip.Addr) (rtp, rtcp *Conn, err error) {
	return p.pair(ip, p.open)
}

// QuietPair is Pair for one who sends much and hears little: what comes is read
// with Watch. On Linux such ports cost less to send from, for nobody is woken
// whenever a datagram has left, and no goroutine to listen on.
func (p *Ports) QuietPair(ip netip.Addr) (rtp, rtcp *Conn, err error) {
	return p.pair(ip, p.openQuiet)
}

// pair opens a pair of ports with open.
func (p *Ports) pair(ip netip.Addr, open func(netip.AddrPort) (*Conn, error)) (rtp, rtcp *Conn, err error) {
	ip = ip.Unmap()
	for {
		pair, port, ok := p.take()
		if !ok {
			return nil, nil, fmt.Errorf("%w between %d and %d", ErrNoPorts, p.min(), p.max())
		}
		rtp, rtcp, err = openBoth(ip, port, open)
		if err == nil {
			release := p.releaser(pair)
			rtp.release, rtcp.release = release, release
			return rtp, rtcp, nil
		}
		taken := inUse(err)
		p.putBack(pair, taken)
		if !taken {
			return nil, nil, fmt.Errorf("udp: port %d: %w", port, err)
		}
	}
}

// Open returns how many pairs are open.
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
	if !p.begun {
		p.begin()
	}
	if len(p.foreign) > 0 {
		for now := time.Now(); len(p.foreign) > 0 && !now.Before(p.foreign[0].until); p.foreign = p.foreign[1:] {
			p.free.push(p.foreign[0].pair)
		}
	}
	if pair, ok = p.free.pop(); !ok {
		return 0, 0, false
	}
	p.pairs++
	return pair, p.first + 2*pair, true
}

// begin makes the queue. It begins in no order, so that several Ports of one
// range seldom meet, and strangers cannot guess what comes next.
func (p *Ports) begin() {
	p.begun = true
	low, high := int(p.min()), int(p.max())
	low += low % 2
	if n := (high - low + 1) / 2; n > 0 {
		p.first = uint16(low)
		p.free = newQueue(n)
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

// releaser returns what each connection of an open pair calls once.
func (p *Ports) releaser(pair uint16) func() {
	left := 2
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if left--; left == 0 {
			p.pairs--
			p.free.push(pair)
		}
	}
}

// openBoth opens port and the next one.
func openBoth(ip netip.Addr, port uint16, open func(netip.AddrPort) (*Conn, error)) (rtp, rtcp *Conn, err error) {
	if rtp, err = open(netip.AddrPortFrom(ip, port)); err != nil {
		return nil, nil, err
	}
	if rtcp, err = open(netip.AddrPortFrom(ip, port+1)); err != nil {
		_ = rtp.Close()
		return nil, nil, err
	}
	rtp.setWriteBuffer(writeBuffer)
	return rtp, rtcp, nil
}

// open opens a port.
func (p *Ports) open(a netip.AddrPort) (*Conn, error) {
	listen := p.Listen
	if listen == nil {
		listen = net.ListenPacket
	}
	network, host, ip := "udp", "", a.Addr()
	if ip.IsValid() {
		host = ip.String()
	}
	switch {
	case ip.Is4():
		network = "udp4"
	case ip.Is6() && !ip.IsUnspecified():
		network = "udp6"
	}
	pc, err := listen(network, net.JoinHostPort(host, strconv.Itoa(int(a.Port()))))
	if err != nil {
		return nil, err
	}
	return NewConn(pc), nil
}
