package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Server.
const (
	defaultPort             = "1935"
	defaultHandshakeTimeout = 10 * time.Second
	defaultReadTimeout      = 15 * time.Second
	defaultMaxMessage       = 10 << 20
)

// A Server accepts RTMP connections. Its zero value listens on :1935 and
// refuses every stream. Fields must not change once Serve was called.
type Server struct {
	Addr      string                   // of ListenAndServe; ":1935" if empty
	Handler   source.Handler           // asked for every play and publish; nil refuses all
	TLSConfig *tls.Config              // not nil: connections are TLS (rtmps)
	Vhost     func(host string) string // virtual host of the host in the peer's URL; nil: source.DefaultVhost for all

	// Form says how viewers are sent codecs that FLV has no id for. Those who
	// announce FourCCs of Enhanced RTMP get FormStandard in any case.
	Form flv.Form

	HandshakeTimeout time.Duration // from accept until publish or play, in all; 0 means 10 s, negative no limit
	ReadTimeout      time.Duration // longest silence of a publisher; 0 means 15 s, negative no limit
	StallTimeout     time.Duration // a viewer without progress is cut after it; 0 means 10 s
	MergeWindow      time.Duration // collect a viewer's packets for so long before a write; 0: a write per video frame

	MaxConns        int // connections at once; 0 means 90 % of the descriptors the process may have, negative no limit
	MaxConnsPerAddr int // of these, from one address; 0 means no limit
	MaxMessage      int // bytes of a publisher's message; 0 means 10 MiB

	Logger *slog.Logger // a line per session, at most 10 a second of a kind; nil discards

	once     sync.Once
	maxConns int64
	work     chan struct{} // holds one for everyone who computes a handshake
	buffers  sync.Pool     // *buffers
	log      limitlog.Limiter

	// What every viewer is sent before its stream, after a live one, after a file.
	greeting, unpublished, stopped []byte

	stats counters

	mu      sync.Mutex // guards perAddr
	perAddr map[string]int
}

// Stats are the counters of a Server since it was made.
type Stats struct {
	Conns            int64  // open now
	Accepted         uint64 // connections, without the rejected
	Rejected         uint64 // connections above a limit, closed at once
	HandshakesFailed uint64 // connections that ended before connect
	Refused          uint64 // plays and publishes that the Handler refused
	FramesDropped    uint64 // messages of publishers that could not be parsed
	PanicsTotal      uint64 // recovered; every one is a bug
}

type counters struct {
	conns                                                                atomic.Int64
	accepted, rejected, handshakesFailed, refused, framesDropped, panics atomic.Uint64
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	return Stats{
		Conns:            s.stats.conns.Load(),
		Accepted:         s.stats.accepted.Load(),
		Rejected:         s.stats.rejected.Load(),
		HandshakesFailed: s.stats.handshakesFailed.Load(),
		Refused:          s.stats.refused.Load(),
		FramesDropped:    s.stats.framesDropped.Load(),
		PanicsTotal:      s.stats.panics.Load(),
	}
}

func (s *Server) init() {
	s.once.Do(func() {
		s.work = make(chan struct{}, 4*runtime.GOMAXPROCS(0))
		s.buffers.New = func() any { return new(buffers) }
		s.perAddr = map[string]int{}
		s.greeting = playStart()
		s.unpublished = playEnd(codeUnpublishNotify, "Now unpublished.")
		s.stopped = playEnd(codePlayStop, "Stopped playing stream.")
		switch {
		case s.MaxConns > 0:
			s.maxConns = int64(s.MaxConns)
		case s.MaxConns == 0:
			s.maxConns = descriptors() / 10 * 9
		}
	})
}

// ListenAndServe listens on s.Addr and calls Serve.
func (s *Server) ListenAndServe(ctx context.Context) error {
	addr := s.Addr
	if addr == "" {
		addr = ":" + defaultPort
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln)
}

// Serve accepts connections on ln until ctx is done. Then it closes ln, gives
// viewers up to 2 s to take the end of their streams, closes every connection
// and returns ErrServerClosed. No goroutine it started is left when it returns.
// It may be called for several listeners.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.init()
	ctx, cancel := context.WithCancel(ctx)
	v := &serving{Server: s, ctx: ctx, conns: map[net.Conn]*viewer{}}
	defer v.dismiss() // last: after everyone was told to go
	defer cancel()
	defer ln.Close()
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	for delay := time.Duration(0); ; {
		nc, err := ln.Accept()
		if err == nil {
			delay = 0
			v.admit(nc)
			continue
		}
		if ctx.Err() != nil {
			return ErrServerClosed
		}
		var t interface{ Temporary() bool }
		if !errors.As(err, &t) || !t.Temporary() {
			return err
		}
		// Mostly there are no descriptors left. Those who have one go on.
		delay = max(firstDelay, min(2*delay, lastDelay))
		s.print(slog.LevelWarn, "rtmp: accept failed", "error", err, "retry", delay)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// Delays after a failed accept.
const (
	firstDelay = 5 * time.Millisecond
	lastDelay  = time.Second
)

// A serving is one call of Serve.
type serving struct {
	*Server
	ctx      context.Context
	sessions sync.WaitGroup

	mu    sync.Mutex           // guards conns
	conns map[net.Conn]*viewer // nil: it does not play
}

// admit starts the session of a connection, or closes it if there are too many.
func (v *serving) admit(nc net.Conn) {
	if n := v.stats.conns.Add(1); v.maxConns > 0 && n > v.maxConns || !v.count(nc, +1) {
		v.stats.conns.Add(-1)
		v.stats.rejected.Add(1)
		_ = nc.Close()
		v.print(slog.LevelWarn, "rtmp: too many connections", "remote", nc.RemoteAddr())
		return
	}
	v.stats.accepted.Add(1)
	v.mu.Lock()
	v.conns[nc] = nil
	v.mu.Unlock()
	v.sessions.Go(func() { v.serve(nc) })
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

// release closes a connection, whose session has ended.
func (v *serving) release(nc net.Conn) {
	_ = nc.Close()
	v.mu.Lock()
	delete(v.conns, nc)
	v.mu.Unlock()
	v.count(nc, -1)
	v.stats.conns.Add(-1)
}

// dismiss ends all sessions and waits for them: viewers take their leave, the
// others are closed at once.
func (v *serving) dismiss() {
	const farewell = 2 * time.Second
	v.mu.Lock()
	for nc, w := range v.conns {
		if w != nil {
			w.delivery.End(v.unpublished, ErrServerClosed)
		} else {
			_ = nc.Close()
		}
	}
	v.mu.Unlock()
	late := time.AfterFunc(farewell, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		for nc := range v.conns {
			_ = nc.Close()
		}
	})
	defer late.Stop()
	v.sessions.Wait()
}

// print writes a line to the log, unless peers have provoked too many.
func (s *Server) print(level slog.Level, kind string, args ...any) {
	s.log.Log(s.Logger, level, kind, args...)
}

// errPanic ends a session whose code panicked.
var errPanic = errors.New("rtmp: internal error")

// guard calls f for the session of nc. A panic ends that session and no other:
// it is logged, counted and returned as an error.
func (v *serving) guard(nc net.Conn, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			v.stats.panics.Add(1)
			stack := make([]byte, 16<<10)
			stack = stack[:runtime.Stack(stack, false)]
			v.print(slog.LevelError, "rtmp: panic", "remote", nc.RemoteAddr(), "panic", p, "stack", string(stack))
			err = errPanic
		}
	}()
	return f()
}
