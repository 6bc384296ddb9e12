package rtmp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/listen"
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

	once    sync.Once
	listen  listen.Server
	buffers sync.Pool // *buffers

	// What every viewer is sent before its stream, after a live one, after a file.
	greeting, unpublished, stopped []byte

	stats counters
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
	handshakesFailed, refused, framesDropped atomic.Uint64
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	l := s.listen.Stats()
	return Stats{
		Conns:            l.Conns,
		Accepted:         l.Accepted,
		Rejected:         l.Rejected,
		HandshakesFailed: s.stats.handshakesFailed.Load(),
		Refused:          s.stats.refused.Load(),
		FramesDropped:    s.stats.framesDropped.Load(),
		PanicsTotal:      l.Panics,
	}
}

func (s *Server) init() {
	s.once.Do(func() {
		s.listen.Name, s.listen.Logger = "rtmp", s.Logger
		s.listen.MaxConns, s.listen.MaxConnsPerAddr = s.MaxConns, s.MaxConnsPerAddr
		s.buffers.New = func() any { return new(buffers) }
		s.greeting = playStart()
		s.unpublished = playEnd(codeUnpublishNotify, "Now unpublished.")
		s.stopped = playEnd(codePlayStop, "Stopped playing stream.")
	})
}

// ListenAndServe listens on s.Addr and calls Serve.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ln, err := listen.TCP(ctx, s.Addr, defaultPort)
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
	err := s.listen.Serve(ctx, ln, func(v *listen.Serving, nc net.Conn) {
		(&serving{s, v}).serve(nc)
	})
	if err != nil {
		return err
	}
	return ErrServerClosed
}

// A serving is one call of Serve.
type serving struct {
	*Server
	*listen.Serving
}
