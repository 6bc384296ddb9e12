package ps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Receiver.
const (
	defaultReceiveTimeout = 15 * time.Second
	defaultPortBuffer     = 4 << 20
)

// maxPortConns is how many connections a Receiver of one stream has at once. One is
// used; of the others the one that came first makes room for another.
const maxPortConns = 16

// A TCPMode says how a Receiver is reached by TCP. By UDP each is.
type TCPMode uint8

// The modes.
const (
	UDPOnly    TCPMode = iota // not by TCP
	TCPPassive                // senders connect to the port
	TCPActive                 // we connect to the sender, see Receiver.Connect
)

// String returns the mode's name for people.
func (m TCPMode) String() string {
	switch m {
	case UDPOnly:
		return "udp"
	case TCPPassive:
		return "tcp passive"
	case TCPActive:
		return "tcp active"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// ReceiverOptions say what a Receiver listens to.
type ReceiverOptions struct {
	// Key is the name of the stream; an empty Vhost means source.DefaultVhost, an
	// empty App "rtp". Of Multiplex it names the Receiver, and need have no Stream;
	// each stream has the name of its SSRC, in the same Vhost and App.
	Key source.Key

	Port       uint16         // to listen on, the next one gets reports; 0 means a free pair of the range
	Addr       netip.Addr     // of ours to listen on; zero means all
	Mode       TCPMode        // whether there is TCP as well
	ReusePort  bool           // others that want to may use the same Port
	SSRC       uint32         // the only one that is taken in; 0 means any
	Multiplex  bool           // one stream for each SSRC, as of a Server; there is no time-out of the port
	Receive    ReceiveOptions // how packets become a stream; its Timeout is that of the port, too
	ReadBuffer int            // bytes of datagrams the system is asked to keep; 0 means 4 MiB
}

// A Receiver is a port that was opened, for one stream unless it is to Multiplex.
// The stream's sender may go and come back, also with another SSRC. A Receiver ends
// when it is closed, when nothing has come for too long, when the stream was
// refused or ended by us.
type Receiver struct {
	set       *Receivers
	options   ReceiverOptions // but SSRC
	port      uint16
	rtp, rtcp *udp.Conn // rtcp is nil if its port was not to be had
	ln        net.Listener
	granted   int
	roster    roster
	counters  counters
	start     time.Time
	ctx       context.Context // ends with the Receiver
	cancel    context.CancelFunc
	loops     sync.WaitGroup
	done      chan struct{}

	mu        sync.Mutex // guards what follows; it may be taken with roster.mu held, not the other way round
	alive     time.Time  // when the port was opened, or the last session ended
	paused    time.Time  // until then there is no time-out
	connected bool       // by Connect, or about to be
	conns     []*tcpConn // that are open, the first ones first
	over      bool
	err       error // why it ended
}

// ReceiverStats tell what a Receiver is and does.
type ReceiverStats struct {
	Options    ReceiverOptions // as they are now
	Port       uint16
	Start      time.Time
	ReadBuffer int    // bytes, as the system granted
	Dropped    uint64 // datagrams that the system dropped, mostly for lack of buffer; 0 where it does not tell
	Invalid    uint64 // datagrams that are no RTP
	Foreign    uint64 // packets of an SSRC that is not wanted, or is somebody else's
	Overflows  uint64 // of Multiplex: packets of new SSRCs when there were too many
	Err        error  // why it ended; nil while it lasts, and after Close
}

// Port returns the port that packets are to be sent to.
func (r *Receiver) Port() uint16 { return r.port }

// SetSSRC changes the only SSRC that is taken in; 0 means any. The stream goes on.
// A sender that was not wanted before need not wait until the address of another
// is silent.
func (r *Receiver) SetSSRC(ssrc uint32) {
	r.roster.filter.Store(ssrc)
	r.roster.release()
}

// release lets the next packets come from anywhere.
func (r *roster) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.members {
		m.heard = time.Time{}
	}
}

// PauseTimeout suspends the time-out for d, after which it begins anew; 0 lets it
// begin anew at once.
func (r *Receiver) PauseTimeout(d time.Duration) {
	now := time.Now()
	r.mu.Lock()
	r.alive, r.paused = now, now.Add(max(d, 0))
	r.mu.Unlock()
	for _, m := range r.roster.all() {
		m.session.PauseTimeout(d)
	}
}

// Session returns the session of the stream; nil as long as nothing plausible has
// come. Of Multiplex it is any.
func (r *Receiver) Session() *Session {
	if all := r.Sessions(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Sessions returns the sessions that have begun and not ended, in no order.
func (r *Receiver) Sessions() []*Session { return r.roster.sessions() }

// Stats returns what there is to tell now.
func (r *Receiver) Stats() ReceiverStats {
	st := ReceiverStats{
		Options: r.options, Port: r.port, Start: r.start, ReadBuffer: r.granted,
		Dropped: r.rtp.KernelDrops(), Invalid: r.counters.invalid.Load(),
		Foreign: r.counters.foreign.Load(), Overflows: r.counters.overflows.Load(),
	}
	st.Options.SSRC = r.roster.filter.Load()
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Err = r.err
	return st
}

// Done returns a channel that is closed when the Receiver has ended and nothing of
// it is left.
func (r *Receiver) Done() <-chan struct{} { return r.done }

// Close closes the port and ends the stream as if its sender had said goodbye. It
// waits until nothing is left, and therefore must not be called by a Handler or
// what that leads to.
func (r *Receiver) Close() error {
	r.finish(nil)
	<-r.done
	return nil
}

// Connect connects to a sender that waits for us, of a Receiver with TCPActive. It
// fails with source.ErrBusy while there is a connection, and after 5 s.
func (r *Receiver) Connect(ctx context.Context, addr string) error {
	if r.options.Mode != TCPActive {
		return fmt.Errorf("ps: %w: the receiver is not active", source.ErrUnsupported)
	}
	if err := r.occupy(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	nc, err := r.set.dial(ctx, addr, r.options.Addr)
	if err != nil {
		r.vacate()
		if errors.Is(err, context.DeadlineExceeded) {
			err = source.ErrTimeout
		}
		return fmt.Errorf("ps: connect: %w", err)
	}
	if !r.goes(func() {
		defer r.vacate()
		r.serve(nc, true)
	}) {
		_ = nc.Close()
		return errReceiverClosed
	}
	return nil
}

// errReceiverClosed is returned by methods of a Receiver that has ended.
var errReceiverClosed = fmt.Errorf("ps: receiver: %w", source.ErrClosed)

// occupy takes the place for a connection of Connect.
func (r *Receiver) occupy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over:
		return errReceiverClosed
	case r.connected:
		return &wording{"ps: connect: there is a connection", []error{source.ErrBusy}}
	}
	r.connected = true
	return nil
}

func (r *Receiver) vacate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connected = false
}

// goes starts a goroutine that the end of r waits for, unless r is over.
func (r *Receiver) goes(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.loops.Go(f)
	}
	return !r.over
}

// serve takes in what comes on a connection. wanted tells that we have opened it.
func (r *Receiver) serve(nc net.Conn, wanted bool) {
	defer context.AfterFunc(r.ctx, func() { _ = nc.Close() })()
	defer r.roster.rescue()
	listen.KeepAlive(nc)
	c := r.roster.newConn(nc, func(f func()) { r.goes(f) })
	c.wanted = wanted
	r.seat(c)
	defer r.unseat(c)
	_ = c.read(func(err error) error {
		if r.ctx.Err() != nil {
			return nil // the port is closed
		}
		return err
	})
}

// seat takes in a connection. If there are too many the first goes of those on which
// nothing has begun.
func (r *Receiver) seat(c *tcpConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, c)
	if r.options.Multiplex || len(r.conns) <= maxPortConns {
		return
	}
	if i := slices.IndexFunc(r.conns, func(c *tcpConn) bool { return !c.begun.Load() }); i >= 0 {
		_ = r.conns[i].nc.Close()
		r.conns = slices.Delete(r.conns, i, i+1)
	}
}

func (r *Receiver) unseat(c *tcpConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = slices.DeleteFunc(r.conns, func(other *tcpConn) bool { return other == c })
}

// accept takes in connections until the port is closed.
func (r *Receiver) accept() {
	l := listen.Server{Name: "ps", Logger: r.set.Logger}
	if !r.options.Multiplex {
		l.MaxConns = 4 * maxPortConns // those that make room take a moment to go
	}
	err := l.Serve(r.ctx, r.ln, func(v *listen.Serving, nc net.Conn) {
		defer v.Release(nc)
		r.serve(nc, false)
	})
	if err != nil {
		r.finish(fmt.Errorf("ps: accept: %w", err))
	}
}

// watch takes in datagrams until the port is closed.
func (r *Receiver) watch() error {
	start := func(loop func()) { r.loops.Go(loop) }
	err := r.rtp.Watch(start, func(b []byte, from netip.AddrPort) {
		r.roster.datagram(r.rtp, b, from, time.Now())
	})
	if err != nil || r.rtcp == nil {
		return err
	}
	return r.rtcp.Watch(start, func(b []byte, from netip.AddrPort) { r.roster.report(b, from, time.Now()) })
}

// tick does what is due by the clock.
func (r *Receiver) tick(now time.Time) {
	r.roster.tick(now)
	timeout := r.options.Receive.Timeout
	if timeout == 0 {
		timeout = defaultReceiveTimeout
	}
	if timeout < 0 || r.options.Multiplex || !r.roster.empty() {
		return
	}
	r.mu.Lock()
	since := r.alive
	if r.paused.After(since) {
		since = r.paused
	}
	r.mu.Unlock()
	if now.Sub(since) >= timeout {
		r.finish(fmt.Errorf("ps: %w: nothing has come to port %d", source.ErrTimeout, r.port))
	}
}

// made is called with each new session.
func (r *Receiver) made(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left := time.Until(r.paused); left > 0 {
		s.PauseTimeout(left)
	}
}

// ended is called when a session has ended. Where the sender has not ended it, the
// port is closed.
func (r *Receiver) ended(_ *Session, st SessionStats) {
	if r.options.Multiplex {
		return
	}
	if !isGoodbye(st.Err) {
		r.finish(st.Err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alive = time.Now()
}

// finish ends r for the reason err, nil if it is closed. It does not wait.
func (r *Receiver) finish(err error) {
	r.mu.Lock()
	first := !r.over
	if first {
		r.over, r.err = true, err
	}
	r.mu.Unlock()
	if !first {
		return
	}
	r.cancel()
	r.set.forget(r, func() {
		r.close()
		r.roster.dismiss(nil)
		r.loops.Wait()
		r.set.panics.Add(r.counters.panics.Load())
		close(r.done)
		if r.set.OnEnd != nil {
			r.set.OnEnd(r.Stats())
		}
	})
}

// close closes the ports.
func (r *Receiver) close() {
	_ = r.rtp.Close()
	if r.rtcp != nil {
		_ = r.rtcp.Close()
	}
	if r.ln != nil {
		_ = r.ln.Close()
	}
}
