package rtsp

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/rtsp/internal/auth"
	tunneling "github.com/mediakit-go/mediakit/rtsp/internal/tunnel"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Server.
const (
	defaultPort             = "554"
	defaultHandshakeTimeout = 10 * time.Second
	defaultReadTimeout      = 15 * time.Second
	defaultIdleTimeout      = 60 * time.Second
)

// A Server accepts RTSP connections, and those of RTSP in HTTP. Its zero value
// listens on :554 and refuses every stream. Fields must not change once Serve
// was called.
type Server struct {
	Addr      string                   // of ListenAndServe; ":554" if empty
	Handler   source.Handler           // asked for every play and publish; nil refuses all
	TLSConfig *tls.Config              // not nil: connections are TLS (rtsps); packets then go interleaved only
	Vhost     func(host string) string // virtual host of the host in the peer's URL; nil: source.DefaultVhost for all

	HandshakeTimeout time.Duration // from accept until PLAY or RECORD, in all; 0 means 10 s, negative no limit
	ReadTimeout      time.Duration // longest silence of a publisher; 0 means 15 s, negative no limit
	IdleTimeout      time.Duration // longest silence of a viewer over UDP: no RTCP and no request; 0 means 60 s, negative no limit
	StallTimeout     time.Duration // a viewer without progress is cut after it; 0 means 10 s
	MergeWindow      time.Duration // collect a viewer's packets for so long before a write; 0: a write per video frame

	MaxConns        int // connections at once; 0 means 90 % of the descriptors the process may have, negative no limit
	MaxConnsPerAddr int // of these, from one address; 0 means no limit

	NoTCP        bool                                                  // refuse packets interleaved with messages
	NoUDP        bool                                                  // refuse packets over UDP, multicast too
	UDPPorts     [2]uint16                                             // first and last port for UDP; zeros mean 30000 to 35000
	Multicast    Multicast                                             // off if it is the zero value
	ListenPacket func(network, address string) (net.PacketConn, error) // opens the ports; nil: net.ListenPacket

	Logger *slog.Logger // a line per session, at most 10 a second of a kind; nil discards

	once    sync.Once
	listen  listen.Server
	ports   udp.Ports
	auth    auth.Verifier
	tunnels tunneling.Table
	casters casters
	stats   counters
}

// Multicast says how streams are sent to groups.
type Multicast struct {
	Groups    netip.Prefix   // addresses of the groups, one for each stream that is watched; the zero Prefix: no multicast
	TTL       int            // routers a packet may pass; 0 means 16
	Interface *net.Interface // that packets leave by; nil: the one a viewer's connection came by
	Loopback  bool           // receivers on this host get them, too
}

// Stats are the counters of a Server since it was made.
type Stats struct {
	Conns            int64  // open now
	Accepted         uint64 // connections, without the rejected
	Rejected         uint64 // connections above a limit, closed at once
	HandshakesFailed uint64 // connections that ended before a request was understood
	Refused          uint64 // plays and publishes that the Handler refused
	LoginsFailed     uint64 // wrong answers to challenges
	ForeignPackets   uint64 // datagrams from others than the peer
	DatagramsLost    uint64 // to viewers, which the system could not take
	FramesDropped    uint64 // of publishers, that could not be put together
	PanicsTotal      uint64 // recovered; every one is a bug
}

type counters struct {
	handshakesFailed, refused, loginsFailed, foreignPackets, datagramsLost, framesDropped atomic.Uint64
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
		LoginsFailed:     s.stats.loginsFailed.Load(),
		ForeignPackets:   s.stats.foreignPackets.Load(),
		DatagramsLost:    s.stats.datagramsLost.Load(),
		FramesDropped:    s.stats.framesDropped.Load(),
		PanicsTotal:      l.Panics,
	}
}

func (s *Server) init() {
	s.once.Do(func() {
		s.listen.Name = "rtsp"
		s.listen.MaxConns, s.listen.MaxConnsPerAddr = s.MaxConns, s.MaxConnsPerAddr
		s.listen.Logger = s.Logger
		s.ports.Min, s.ports.Max = s.UDPPorts[0], s.UDPPorts[1]
		s.ports.Listen = s.ListenPacket
		s.tunnels.Server = productName
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
	if err := s.listen.Serve(ctx, ln, s.serve); err != nil {
		return err
	}
	return ErrServerClosed
}

// limit returns a time limit: d, or def if d is 0; 0 for none.
func limit(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return max(d, 0)
}
