package ps

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Receivers are ports that are opened and closed at run time, each for the stream
// of one sender, as GB28181 platforms do it. The zero value is ready and refuses
// every stream. Fields must not change once Open was called. Its methods may be
// called from any goroutine.
//
// A pair of ports, for RTP and RTCP, is bound, TCP included, before anybody is told
// of it, and is not handed out again as long as there are others.
type Receivers struct {
	Handler source.Handler // asked for every stream; nil refuses all
	Ports   [2]uint16      // first and last; zeros mean 30000 to 35000

	// Dial opens connections of Receiver.Connect; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// OnEnd is called once for each Receiver that was opened, when nothing of it is
	// left. The Err wraps source.ErrTimeout if nothing has come for too long. nil:
	// nobody is told.
	OnEnd func(ReceiverStats)

	Logger *slog.Logger // a line per session, at most 10 a second of a kind; nil discards

	once   sync.Once
	ports  udp.Ports
	log    limitlog.Limiter
	panics atomic.Uint64 // of Receivers that have ended
	ending sync.WaitGroup

	unanswered unanswered

	mu      sync.Mutex // guards what follows
	open    map[source.Key]*Receiver
	opening map[source.Key]bool
	ticking chan struct{} // not nil: closed to end the goroutine that ticks
	closed  bool
}

func (r *Receivers) init() {
	r.once.Do(func() { r.ports.Min, r.ports.Max = r.Ports[0], r.Ports[1] })
}

// Open opens a port. The error wraps source.ErrBusy if there is a Receiver of that
// Key, ErrPort and source.ErrBusy if the Port is in use, ErrPort and source.ErrLimit
// if all Ports are, ErrInvalid for a Mode or a Payload that does not exist,
// source.ErrBadKey for a Key that names no stream, source.ErrClosed after Close, and
// the system's errors.
func (r *Receivers) Open(o ReceiverOptions) (*Receiver, error) {
	r.init()
	switch {
	case o.Mode > TCPActive:
		return nil, invalid("%v", o.Mode)
	case o.Receive.Payload > PayloadES:
		return nil, invalid("payload %d", o.Receive.Payload)
	}
	o.Key = inDefaults(o.Key)
	named := o.Key
	if o.Multiplex && named.Stream == "" {
		named.Stream = ssrcName(0)
	}
	if err := named.Validate(); err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	if err := r.reserve(o.Key); err != nil {
		return nil, err
	}
	n, err := r.listen(o)
	if err == nil {
		err = n.watch()
		if err != nil {
			n.close()
		}
	}
	r.mu.Lock()
	delete(r.opening, o.Key)
	if err == nil && r.closed {
		err = errReceiversClosed
		defer n.close() // what watches ends by that
	}
	if err != nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("ps: %w", err)
	}
	r.open[o.Key] = n
	if r.ticking == nil {
		r.ticking = make(chan struct{})
		over := r.ticking
		r.ending.Go(func() { r.tick(over) })
	}
	r.mu.Unlock()
	if n.ln != nil {
		n.goes(n.accept)
	}
	return n, nil
}

// errReceiversClosed is returned by Open after Close.
var errReceiversClosed = fmt.Errorf("receivers: %w", source.ErrClosed)

// reserve takes a key.
func (r *Receivers) reserve(key source.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return fmt.Errorf("ps: %w", errReceiversClosed)
	case r.open[key] != nil || r.opening[key]:
		return &wording{fmt.Sprintf("ps: %s has a receiver", key.Path()), []error{source.ErrBusy}}
	}
	if r.open == nil {
		r.open, r.opening = map[source.Key]*Receiver{}, map[source.Key]bool{}
	}
	r.opening[key] = true
	return nil
}

// listen returns a Receiver with its ports open.
func (r *Receivers) listen(o ReceiverOptions) (*Receiver, error) {
	n := &Receiver{set: r, options: o, start: time.Now(), done: make(chan struct{})}
	n.alive = n.start
	var err error
	switch tcp := o.Mode == TCPPassive; {
	case o.Port != 0:
		n.rtp, n.rtcp, n.ln, err = r.ports.At(o.Addr, o.Port, tcp, o.ReusePort)
	case tcp:
		n.rtp, n.rtcp, n.ln, err = r.ports.QuietPairTCP(o.Addr)
	default:
		n.rtp, n.rtcp, err = r.ports.QuietPair(o.Addr)
	}
	if err != nil {
		return nil, portError(err)
	}
	n.port = n.rtp.LocalAddr().Port()
	size := o.ReadBuffer
	if size == 0 {
		size = defaultPortBuffer
	}
	n.granted = n.rtp.SetReadBuffer(size)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.roster = roster{
		handler: r.Handler, receive: &n.options.Receive, single: !o.Multiplex, made: n.made, ended: n.ended,
		maxPending: defaultMaxPending, maxSessions: defaultSessions, print: r.print, counters: &n.counters, unanswered: &r.unanswered,
		link: func(from origin) link { return from.link(n.rtcp) },
	}
	if o.Multiplex {
		n.roster.key = namedBySSRC(o.Key.Vhost, o.Key.App)
	} else {
		n.roster.key = func(uint32) source.Key { return o.Key }
	}
	n.roster.filter.Store(o.SSRC)
	return n, nil
}

// print writes a line to the log.
func (r *Receivers) print(level slog.Level, kind string, args ...any) {
	r.log.Log(r.Logger, level, "ps: "+kind, args...)
}

// dial connects to addr, from one of our addresses unless that is zero.
func (r *Receivers) dial(ctx context.Context, addr string, from netip.Addr) (net.Conn, error) {
	if r.Dial != nil {
		return r.Dial(ctx, "tcp", addr)
	}
	var d net.Dialer
	if from.IsValid() && !from.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", addr)
}

// Receiver returns the Receiver with a key, as it was opened; nil if there is
// none.
func (r *Receivers) Receiver(key source.Key) *Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[inDefaults(key)]
}

// List returns the Receivers that are open, in the order of their ports.
func (r *Receivers) List() []*Receiver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.open), func(a, b *Receiver) int { return int(a.port) - int(b.port) })
}

// Panics returns how many panics were recovered; every one is a bug.
func (r *Receivers) Panics() uint64 {
	n := r.panics.Load()
	for _, v := range r.List() {
		n += v.counters.panics.Load()
	}
	return n
}

// Close closes all Receivers and waits until nothing of them is left. Others
// cannot be opened afterwards.
func (r *Receivers) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, v := range r.List() {
		v.finish(nil)
	}
	r.ending.Wait()
	return nil
}

// forget frees the key of v, which has ended, and does what is left to do.
func (r *Receivers) forget(v *Receiver, rest func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[v.options.Key] == v {
		delete(r.open, v.options.Key)
	}
	if len(r.open) == 0 && r.ticking != nil {
		close(r.ticking)
		r.ticking = nil
	}
	r.ending.Go(rest)
}

// tick does what is due by the clock, until over is closed.
func (r *Receivers) tick(over <-chan struct{}) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			for _, v := range r.List() {
				v.tick(now)
			}
		case <-over:
			return
		}
	}
}
