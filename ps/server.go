package ps

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Server.
const (
	defaultPort       = "10000"
	defaultApp        = "rtp"
	defaultReadBuffer = 64 << 20
	defaultMaxPending = 1000
	defaultSessions   = 10_000
)

// ErrServerClosed is returned by [Server.Serve] after its context is done, and is
// why sessions end then.
var ErrServerClosed = errors.New("ps: server closed")

// A Server receives streams on one port for all senders, by UDP and TCP. Each SSRC
// is a stream, whose name is the SSRC as 8 upper-case hexadecimal digits. Its zero
// value listens on :10000 and refuses every stream. Fields must not change once
// Serve was called.
//
// A stream belongs to the address, or the connection, that its first packet came
// from; packets of others are counted and dropped until it has been silent for
// 5 s. An SSRC whose stream was refused is taken in again after a second.
type Server struct {
	Addr       string         // of ListenAndServe; ":10000" if empty
	Handler    source.Handler // asked for every stream; nil refuses all
	Vhost, App string         // of the streams; "" means source.DefaultVhost and "rtp"
	Receive    ReceiveOptions // how packets become a stream

	// ReadBuffer is how many bytes of datagrams the system is asked to keep that
	// were not read; 0 means 64 MiB. Stats tells what it grants.
	ReadBuffer int

	MaxSessions     int  // streams at once, of each Serve; 0 means 10000, negative no limit
	MaxPending      int  // of these, that have sent neither a frame nor 32 packets yet; 0 means 1000
	MaxConns        int  // connections at once; 0 means 90 % of the descriptors the process may have, negative no limit
	MaxConnsPerAddr int  // of these, from one address; 0 means no limit
	NoUDP, NoTCP    bool // of ListenAndServe

	// OnEnd is called when a session has ended that had begun, with its final
	// statistics. It must not wait. nil: nobody is told.
	OnEnd func(SessionStats)

	Logger *slog.Logger // a line per session, at most 10 a second of a kind; nil discards

	once     sync.Once
	listen   listen.Server
	counters counters

	unanswered unanswered

	mu      sync.Mutex // guards what follows
	rosters []*roster  // one for each Serve
	conns   []*udp.Conn
	granted int    // bytes, as the system has granted last
	dropped uint64 // of conns that are closed
}

// Stats are the counters of a Server since it was made.
type Stats struct {
	Conns      int64  // TCP connections, open now
	Sessions   int64  // streams that have begun, now
	Pending    int64  // SSRCs that have sent neither a frame nor 32 packets yet, now
	ReadBuffer int    // bytes, as the system granted; 0 while unknown
	Dropped    uint64 // datagrams that the system dropped, mostly for lack of buffer; 0 where it does not tell
	Rejected   uint64 // connections above a limit, closed at once
	Refused    uint64 // streams that the Handler refused
	Overflows  uint64 // packets of new SSRCs above MaxPending or MaxSessions
	Invalid    uint64 // datagrams that are no RTP
	Foreign    uint64 // packets of an SSRC that is somebody else's
	Panics     uint64 // recovered; every one is a bug
}

func (s *Server) init() {
	s.once.Do(func() {
		s.listen.Name, s.listen.Logger = "ps", s.Logger
		s.listen.MaxConns, s.listen.MaxConnsPerAddr = s.MaxConns, s.MaxConnsPerAddr
	})
}

// ListenAndServe listens on s.Addr and calls Serve.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ln, pc, err := listenOn(ctx, s.Addr, !s.NoTCP, !s.NoUDP)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln, pc)
}

// Serve receives what comes to ln and pc, either of which may be nil, until ctx is
// done. Then it closes both, ends every session and returns ErrServerClosed. No
// goroutine it started is left when it returns. It may be called for several
// ports.
func (s *Server) Serve(ctx context.Context, ln net.Listener, pc net.PacketConn) error {
	s.init()
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := s.newRoster()
	var loops sync.WaitGroup
	run := func(f func() error) {
		loops.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	if pc != nil {
		conn := s.open(pc)
		defer s.closed(conn)
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		run(func() error { return r.readDatagrams(ctx, conn) })
	}
	if ln != nil {
		run(func() error {
			return s.listen.Serve(ctx, ln, func(v *listen.Serving, nc net.Conn) {
				defer v.Release(nc)
				listen.KeepAlive(nc)
				c := r.newConn(nc, v.Go)
				_ = v.Guard(nc, func() error { return c.read(endOf(v.Context())) })
			})
		})
	}
	run(func() error {
		r.tickUntil(ctx.Done())
		return nil
	})
	<-ctx.Done()
	loops.Wait()
	s.leave(r)
	if outer.Err() != nil {
		return ErrServerClosed
	}
	return context.Cause(ctx)
}

// endOf returns what makes ErrServerClosed of the reasons that connections end for
// because ctx has.
func endOf(ctx context.Context) func(error) error {
	return func(err error) error {
		if ctx.Err() != nil {
			return ErrServerClosed
		}
		return err
	}
}

// newRoster returns the roster of a Serve.
func (s *Server) newRoster() *roster {
	r := &roster{
		handler: s.Handler, receive: &s.Receive, ended: s.ended,
		maxPending: s.MaxPending, maxSessions: s.MaxSessions, print: s.listen.Print, counters: &s.counters, unanswered: &s.unanswered,
	}
	if r.maxPending == 0 {
		r.maxPending = defaultMaxPending
	}
	if r.maxSessions == 0 {
		r.maxSessions = defaultSessions
	}
	r.key = namedBySSRC(s.Vhost, s.App)
	r.link = func(o origin) link { return o.link(nil) }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rosters = append(s.rosters, r)
	return r
}

// namedBySSRC returns the keys of streams that have the names of their SSRCs.
func namedBySSRC(vhost, app string) func(ssrc uint32) source.Key {
	key := inDefaults(source.Key{Vhost: vhost, App: app})
	return func(ssrc uint32) source.Key {
		key := key
		key.Stream = ssrcName(ssrc)
		return key
	}
}

// inDefaults returns k with the defaults for what is empty.
func inDefaults(k source.Key) source.Key {
	if k.Vhost == "" {
		k.Vhost = source.DefaultVhost
	}
	if k.App == "" {
		k.App = defaultApp
	}
	return k
}

func (s *Server) ended(_ *Session, st SessionStats) {
	if s.OnEnd != nil {
		s.OnEnd(st)
	}
}

// open prepares a port.
func (s *Server) open(pc net.PacketConn) *udp.Conn {
	conn := udp.NewConn(pc)
	size := s.ReadBuffer
	if size == 0 {
		size = defaultReadBuffer
	}
	granted := conn.SetReadBuffer(size)
	if granted < size {
		s.listen.Print(slog.LevelInfo, "receive buffer is smaller", "wanted", size, "granted", granted)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns, s.granted = append(s.conns, conn), granted
	return conn
}

// closed forgets a port but its counter.
func (s *Server) closed(conn *udp.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(c *udp.Conn) bool { return c == conn })
	s.dropped += conn.KernelDrops()
}

// leave ends what is left of a Serve.
func (s *Server) leave(r *roster) {
	r.dismiss(ErrServerClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rosters = slices.DeleteFunc(s.rosters, func(other *roster) bool { return other == r })
}

// all returns the rosters there are.
func (s *Server) all() []*roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rosters)
}

// Session returns the session of a stream, nil if there is none.
func (s *Server) Session(key source.Key) *Session {
	for _, v := range s.Sessions() {
		if v.Key() == key {
			return v
		}
	}
	return nil
}

// Sessions returns the sessions that have begun and not ended, in no order.
func (s *Server) Sessions() (sessions []*Session) {
	for _, r := range s.all() {
		sessions = append(sessions, r.sessions()...)
	}
	return sessions
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	c, l := &s.counters, s.listen.Stats()
	st := Stats{
		Conns:     l.Conns,
		Rejected:  l.Rejected,
		Refused:   c.refused.Load(),
		Overflows: c.overflows.Load(),
		Invalid:   c.invalid.Load(),
		Foreign:   c.foreign.Load(),
		Panics:    c.panics.Load() + l.Panics,
	}
	for _, r := range s.all() {
		st.Sessions += int64(len(r.sessions()))
		st.Pending += int64(r.waiting())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.ReadBuffer, st.Dropped = s.granted, s.dropped
	for _, conn := range s.conns {
		st.Dropped += conn.KernelDrops()
	}
	return st
}

// readDatagrams takes in what comes to a port until it is closed.
func (r *roster) readDatagrams(ctx context.Context, conn *udp.Conn) error {
	const tolerated = 100 // errors in a row: some systems report what became of datagrams sent
	var b udp.Batch
	for errs := 0; ; {
		err := conn.ReadBatch(&b)
		if err != nil {
			if errs++; errs > tolerated || errors.Is(err, net.ErrClosed) {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			continue
		}
		errs = 0
		now := time.Now()
		for i := range b.Len() {
			data, from := b.Datagram(i)
			r.datagram(conn, data, from, now)
		}
	}
}

// tickUntil calls tick until done is closed.
func (r *roster) tickUntil(done <-chan struct{}) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			r.tick(now)
		case <-done:
			return
		}
	}
}
