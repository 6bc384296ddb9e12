package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
)

// ErrServerClosed is what Serve returns after its context is done.
var ErrServerClosed = errors.New("server: closed")

// Defaults of an HTTP, and what is fixed.
const (
	defaultRequestTimeout = 10 * time.Second
	defaultIdleTimeout    = 15 * time.Second
	defaultStallTimeout   = 10 * time.Second
	defaultMaxBody        = 1 << 20

	maxHeader = 64 << 10        // bytes of a request's header
	slop      = 4 << 10         // which net/http adds to that
	farewell  = 2 * time.Second // how long answers may take when everybody has to go
)

// An HTTP serves an http.Handler by HTTP/1 and, with TLS, HTTP/2. It is an
// http.Server with limits for peers of whom nothing is known: how long a request
// and an answer may take, how large a request is, and how many connections there
// are. Long answers may be read slowly as long as there is progress.
//
// Connections that handlers hijack are counted until they are closed, but are
// otherwise theirs: none of the timeouts applies. The zero value listens on :8080
// and answers 404. Fields must not change once Serve was called.
type HTTP struct {
	Addr      string       // of ListenAndServe; ":8080", with TLS ":8443", if empty
	Handler   http.Handler // nil answers 404
	TLSConfig *tls.Config  // not nil: connections are TLS, 1.2 at least unless it says otherwise, with HTTP/2 unless NextProtos says otherwise

	RequestTimeout time.Duration // for a request, body and handshakes included; 0 means 10 s. A body gets as long again for each MiB after the first
	IdleTimeout    time.Duration // between the requests of a connection; 0 means 15 s
	StallTimeout   time.Duration // an answer without progress is cut after it; 0 means 10 s
	MaxBody        int64         // bytes of a request's body, more are answered 413; 0 means 1 MiB, negative no limit

	MaxConns        int // connections at once; 0 means 90 % of the descriptors the process may have, negative no limit
	MaxConnsPerAddr int // of these, from one address; 0 means no limit

	Logger *slog.Logger // what went wrong, at most 10 lines a second of a kind; nil discards

	once             sync.Once
	listen           listen.Server
	limits           limits
	tls              *tls.Config
	requests, panics atomic.Uint64
}

// Limits are those of an HTTP, defaults filled in.
type limits struct {
	request, idle, stall time.Duration
	body                 int64 // negative: none
}

// HTTPStats are the counters of an HTTP since it was made.
type HTTPStats struct {
	Conns       int64  // open now
	Accepted    uint64 // connections, without the rejected
	Rejected    uint64 // connections above a limit, closed at once
	Requests    uint64 // with a complete header
	PanicsTotal uint64 // recovered; every one is a bug
}

// Stats returns the counters as they are now.
func (s *HTTP) Stats() HTTPStats {
	l := s.listen.Stats()
	return HTTPStats{l.Conns, l.Accepted, l.Rejected, s.requests.Load(), l.Panics + s.panics.Load()}
}

func (s *HTTP) init() {
	s.once.Do(func() {
		s.listen.Name, s.listen.Logger = "http", s.Logger
		s.listen.MaxConns, s.listen.MaxConnsPerAddr = s.MaxConns, s.MaxConnsPerAddr
		s.limits = limits{
			request: cmp.Or(s.RequestTimeout, defaultRequestTimeout),
			idle:    cmp.Or(s.IdleTimeout, defaultIdleTimeout),
			stall:   cmp.Or(s.StallTimeout, defaultStallTimeout),
			body:    cmp.Or(s.MaxBody, defaultMaxBody),
		}
		if s.TLSConfig != nil {
			s.tls = s.TLSConfig.Clone()
			s.tls.MinVersion = cmp.Or(s.tls.MinVersion, tls.VersionTLS12)
			if len(s.tls.NextProtos) == 0 {
				s.tls.NextProtos = []string{"h2", "http/1.1"}
			}
		}
	})
}

// ListenAndServe listens on s.Addr and calls Serve.
func (s *HTTP) ListenAndServe(ctx context.Context) error {
	port := "8080"
	if s.TLSConfig != nil {
		port = "8443"
	}
	ln, err := listen.TCP(ctx, s.Addr, port)
	if err != nil {
		return err
	}
	return s.Serve(ctx, ln)
}

// Serve accepts connections on ln until ctx is done. Then it closes ln, gives
// answers up to 2 s to be finished, closes what is left, but not what was
// hijacked, and returns ErrServerClosed. No goroutine it started is left when it
// returns, except in handlers that have hijacked. It may be called for several
// listeners.
func (s *HTTP) Serve(ctx context.Context, ln net.Listener) error {
	s.init()
	in := newInbox(ln.Addr())
	var open sync.WaitGroup // connections that net/http has
	hs := &http.Server{
		Handler:           http.HandlerFunc(s.answer),
		TLSConfig:         s.tls.Clone(), // which net/http changes
		ReadHeaderTimeout: s.limits.request,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    maxHeader - slop,
		ErrorLog:          log.New(&errorLog{s}, "", 0),
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext:       withVisit,
		ConnState: func(nc net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateHijacked:
				visitUnder(nc).free()
				open.Done()
			case http.StateClosed:
				open.Done()
			}
		},
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          100,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 256 << 10,
			MaxReceiveBufferPerStream:     64 << 10,
			WriteByteTimeout:              s.limits.stall,
		},
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = hs.Serve(in) // until in is closed
	}()
	err := s.listen.Serve(ctx, ln, func(v *listen.Serving, nc net.Conn) { s.receive(v, nc, in) })
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = hs.Shutdown(ending)
	_ = hs.Close()
	<-served
	open.Wait()
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return ErrServerClosed
}

// receive hands a new connection to net/http, after the handshake if there is
// TLS.
func (s *HTTP) receive(v *listen.Serving, nc net.Conn, in *inbox) {
	listen.KeepAlive(nc)
	visit, conn := s.newVisit(v, nc)
	err := v.Guard(nc, func() error {
		if s.tls == nil {
			return nil
		}
		t, err := s.listen.TLS(v.Context(), conn, s.tls)
		conn = t
		return err
	})
	if err != nil {
		s.listen.Print(slog.LevelDebug, "no TLS", "remote", nc.RemoteAddr(), "error", err)
		_ = visit.Close()
		return
	}
	v.OnLeave(nc, visit.leave)
	if !in.put(v.Context(), conn) {
		_ = visit.Close()
	}
}

// answer calls the Handler, within limits. A panic ends its connection and no
// other.
func (s *HTTP) answer(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	defer s.guard(r)
	visit := visitOf(r)
	left := visit.begin(s.limits.request)
	w.Header().Set("Server", "MediaKit")
	if r.ProtoMajor == 1 && slices.Contains(r.TransferEncoding, "chunked") {
		// There may have been a length, too, which somebody on the way believed:
		// what comes after the body is no request (RFC 9112, section 6.1).
		w.Header().Set("Connection", "close")
	}
	if s.limits.body >= 0 && r.ContentLength > s.limits.body {
		http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		if s.limits.body >= 0 {
			r.Body = http.MaxBytesReader(w, r.Body, s.limits.body)
		}
		r.Body = newBody(r.Body, http.NewResponseController(w), left, s.limits.request)
	}
	if r.ProtoMajor >= 2 {
		slow := &streamWriter{ResponseWriter: w, control: http.NewResponseController(w), stall: s.limits.stall}
		defer slow.finish()
		w = slow
	}
	if s.Handler == nil {
		http.NotFound(w, r)
		return
	}
	s.Handler.ServeHTTP(w, r)
}

// guard is deferred around a Handler.
func (s *HTTP) guard(r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler {
		s.panics.Add(1)
		stack := make([]byte, 16<<10)
		stack = stack[:runtime.Stack(stack, false)]
		s.listen.Print(slog.LevelError, "panic", "remote", r.RemoteAddr, "panic", p, "stack", string(stack))
	}
	panic(http.ErrAbortHandler)
}

// An errorLog takes the lines of an http.Server.
type errorLog struct{ *HTTP }

func (l *errorLog) Write(line []byte) (int, error) {
	l.listen.Print(slog.LevelDebug, "net/http", "text", strings.TrimSpace(string(line)))
	return len(line), nil
}

// An inbox is the listener of an http.Server that is given its connections.
type inbox struct {
	conns  chan net.Conn
	addr   net.Addr
	once   sync.Once
	closed chan struct{}
}

func newInbox(addr net.Addr) *inbox {
	return &inbox{conns: make(chan net.Conn), addr: addr, closed: make(chan struct{})}
}

// put gives nc to the server; false: it takes no more.
func (in *inbox) put(ctx context.Context, nc net.Conn) bool {
	select {
	case in.conns <- nc:
		return true
	case <-in.closed:
		return false
	case <-ctx.Done():
		return false
	}
}

// Accept returns the next connection.
func (in *inbox) Accept() (net.Conn, error) {
	select {
	case nc := <-in.conns:
		return nc, nil
	case <-in.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail.
func (in *inbox) Close() error {
	in.once.Do(func() { close(in.closed) })
	return nil
}

// Addr returns the address of the listener that connections come from.
func (in *inbox) Addr() net.Addr { return in.addr }
