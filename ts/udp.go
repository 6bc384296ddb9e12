package ts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// How far a Listener looks ahead for the tracks.
const (
	probeDatagrams = 32 << 20 // bytes
	probePatience  = 10 * time.Second
)

// Defaults of a Listener.
const (
	defaultSilence    = 15 * time.Second
	defaultReadBuffer = 8 << 20 // bytes: some seconds of a broadcast
)

// A Listener receives transport streams that are sent by UDP, in datagrams of
// whole packets or in RTP (RFC 2250, section 2), which it tells by the first one.
// The zero value is ready for use. Fields must not change once it was used.
type Listener struct {
	Interface   *net.Interface // where groups are joined; nil means the one in the URL, else the system chooses
	ReadTimeout time.Duration  // longest silence of the sender, from the beginning on; 0 means 15 s, negative no limit
	ReadBuffer  int            // bytes that the system is asked to keep while nobody reads; 0 means 8 MiB

	// ListenPacket opens the socket unless it is for a group; nil means net.ListenPacket.
	ListenPacket func(network, addr string) (net.PacketConn, error)
	Logger       *slog.Logger // datagrams that cannot be used; nil discards
}

// Listen listens with the zero [Listener].
func Listen(ctx context.Context, url string) (source.Reader, error) {
	return new(Listener).Open(ctx, url)
}

// Open receives what is sent to url: udp://127.0.0.1:1234 or udp://:1234 for a
// port of this host, udp://239.1.2.3:1234 for a group; an @ before the address
// means nothing. In the query, interface=eth0, a name or an address of it, says
// where a group is joined, and source=10.0.0.7 who is listened to. rtp:// is the
// same as udp://.
//
// Whoever sends the first packets is listened to, and nobody else. Open returns
// once the tracks are known. What is lost costs frames; a Reader nobody reads
// from loses what the system's buffer does not hold. UDP knows no end: a sender
// that has gone is an error that wraps source.ErrTimeout.
func (l *Listener) Open(ctx context.Context, url string) (source.Reader, error) {
	d, err := l.open(url)
	if err != nil {
		return nil, fmt.Errorf("ts: %w", err)
	}
	return openDatagrams(ctx, d)
}

// open opens the socket for url.
func (l *Listener) open(url string) (*datagrams, error) {
	a, err := parseUDP(url)
	if err != nil {
		return nil, err
	}
	conn, err := l.listen(a)
	if err != nil {
		return nil, fmt.Errorf("listening to %s: %w", a.listen, err)
	}
	conn.SetReadBuffer(cmp.Or(l.ReadBuffer, defaultReadBuffer))
	return newDatagrams(conn, a.source, l), nil
}

// silence returns the longest one of the sender; 0 if any is.
func (l *Listener) silence() time.Duration {
	return max(0, cmp.Or(l.ReadTimeout, defaultSilence))
}

// listen opens the socket for a.
func (l *Listener) listen(a udpAddress) (*udp.Conn, error) {
	if a.addr.Addr().IsMulticast() {
		ifi := l.Interface
		if ifi == nil && a.ifi != "" {
			var err error
			if ifi, err = udp.InterfaceNamed(a.ifi); err != nil {
				return nil, err
			}
		}
		return udp.ListenMulticast(a.addr, a.source, ifi)
	}
	listen := l.ListenPacket
	if listen == nil {
		listen = net.ListenPacket
	}
	pc, err := listen("udp", a.listen)
	if err != nil {
		return nil, err
	}
	return udp.NewConn(pc), nil
}

// A udpAddress is what a URL says.
type udpAddress struct {
	listen string         // host, maybe "", and port
	addr   netip.AddrPort // the same; of a name and of no host it has only the port
	source netip.Addr     // who is listened to; invalid: anybody
	ifi    string         // where a group is joined
}

var errAddress = errors.New("the URL is udp://address:port")

func parseUDP(raw string) (a udpAddress, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return a, err
	}
	if u.Scheme != "udp" && u.Scheme != "rtp" {
		return a, fmt.Errorf("%w: %s", source.ErrUnsupported, u.Scheme)
	}
	var port uint16
	if _, err := fmt.Sscan(u.Port(), &port); err != nil || port == 0 {
		return a, fmt.Errorf("%w: %s", errAddress, u.Redacted())
	}
	a.listen = net.JoinHostPort(u.Hostname(), u.Port())
	ip, _ := netip.ParseAddr(u.Hostname())
	a.addr = netip.AddrPortFrom(ip.Unmap(), port)
	q := u.Query()
	a.ifi = q.Get("interface")
	if s := q.Get("source"); s != "" {
		if a.source, err = netip.ParseAddr(s); err != nil {
			return a, err
		}
		a.source = a.source.Unmap()
	}
	return a, nil
}

// openDatagrams returns a Reader of d, whose tracks are known. They become ready
// with the next key frame, for which it has more patience than for a file's.
func openDatagrams(ctx context.Context, d *datagrams) (source.Reader, error) {
	r := NewReader(d)
	r.in.Ahead.Patience, r.in.Limit = probePatience, probeDatagrams
	d.gap = func(restart bool) {
		if restart {
			r.in.Ahead.Frames = r.demux.restart(r.in.Ahead.Frames)
		} else {
			r.demux.Lose()
		}
	}
	d.end = func() { r.in.Ahead.Frames = r.demux.Flush(r.in.Ahead.Frames) }
	if err := r.in.Ahead.LookAhead(ctx); err != nil {
		_ = r.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return r, nil
}
