package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/limitlog"
)

// Delays after a failed accept.
const (
	firstDelay = 5 * time.Millisecond
	lastDelay  = time.Second
)

// A Server accepts connections. Its fields must not change once a method was
// called.
type Server struct {
	Name            string       // of the protocol: what log lines begin with
	MaxConns        int          // connections at once; 0 means 90 % of the descriptors the process may have, negative no limit
	MaxConnsPerAddr int          // of these, from one address; 0 means no limit
	Logger          *slog.Logger // nil discards

	once     sync.Once
	maxConns int64
	work     chan struct{} // holds one for everyone who computes
	log      limitlog.Limiter

	conns                      atomic.Int64
	accepted, rejected, panics atomic.Uint64

	mu      sync.Mutex // guards perAddr
	perAddr map[string]int
}

// Stats are the counters of a Server since it was made.
type Stats struct {
	Conns    int64  // open now
	Accepted uint64 // connections, without the rejected
	Rejected uint64 // connections above a limit, closed at once
	Panics   uint64 // recovered; every one is a bug
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	return Stats{s.conns.Load(), s.accepted.Load(), s.rejected.Load(), s.panics.Load()}
}

func (s *Server) init() {
	s.once.Do(func() {
		s.work = make(chan struct{}, 4*runtime.GOMAXPROCS(0))
		s.perAddr = map[string]int{}
		switch {
		case s.MaxConns > 0:
			s.maxConns = int64(s.MaxConns)
		case s.MaxConns == 0:
			s.maxConns = descriptors() / 10 * 9
		}
	})
}

// Print writes a line to the log, unless peers have provoked too many.
func (s *Server) Print(level slog.Level, kind string, args ...any) {
	s.log.Log(s.Logger, level, s.Name+": "+kind, args...)
}

// TCP listens on addr, or, if that is empty, on port of all addresses.
func TCP(ctx context.Context, addr, port string) (net.Listener, error) {
	if addr == "" {
		addr = ":" + port
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", addr)
}

// Serve accepts connections on ln, each with a goroutine of its own that calls
// session, until ctx is done, which returns nil after everybody has gone: ln is
// closed, those who have said how take their leave for up to 2 s, the others
// are closed at once. No goroutine it started is left when it returns. It may be
// called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener, session func(*Serving, net.Conn)) error {
	s.init()
	ctx, cancel := context.WithCancel(ctx)
	v := &Serving{Server: s, ctx: ctx, conns: map[net.Conn]func(){}}
	defer v.dismiss() // last: after everyone was told to go
	defer cancel()
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err == nil {
			delay = 0
			v.admit(nc, session)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		var t interface{ Temporary() bool }
		if !errors.As(err, &t) || !t.Temporary() {
			return err
		}
		// Mostly there are no descriptors left. Those who have one go on.
		delay = max(firstDelay, min(2*delay, lastDelay))
		s.Print(slog.LevelWarn, "accept failed", "error", err, "retry", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// count adds n to the connections from nc's address and reports whether there
// are not too many; those are not counted.
func (s *Server) count(nc net.Conn, n int) bool {
	if s.MaxConnsPerAddr <= 0 {
		return true
	}
	addr := nc.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		addr = host
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.perAddr[addr] + n
	switch {
	case k > s.MaxConnsPerAddr:
		return false
	case k == 0:
		delete(s.perAddr, addr)
	default:
		s.perAddr[addr] = k
	}
	return true
}
