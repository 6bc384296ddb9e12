package rtsp

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/limitlog"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Client.
const (
	defaultTimeout  = 10 * time.Second
	defaultPatience = 20 * time.Second // servers let viewers wait for a publisher for 15 s
	defaultSilence  = 5 * time.Second
	udpPatience     = 3 * time.Second // for the first datagram, if there is another way
	maxRedirects    = 5
)

// A Transport is what packets travel on between a Client and a server.
type Transport uint8

// The transports. TransportAuto is UDP, and TCP where the server or the network
// does not let that through or the URL begins with rtsps.
const (
	TransportAuto      Transport = iota
	TransportTCP                 // interleaved with the messages
	TransportUDP                 // a pair of ports for each track; not encrypted, even with rtsps
	TransportHTTP                // as TCP, but within two HTTP requests, which more firewalls let through
	TransportMulticast           // playing: to a group that the server chooses; not encrypted, even with rtsps
)

// transportNames are the names of the transports.
func transportNames() []string { return []string{"auto", "tcp", "udp", "http", "multicast"} }

// String returns the transport's name, such as "udp".
func (t Transport) String() string {
	if names := transportNames(); int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("transport %d", uint8(t))
}

// MarshalText returns the transport's name.
func (t Transport) MarshalText() ([]byte, error) {
	if int(t) >= len(transportNames()) {
		return nil, fmt.Errorf("rtsp: %w: %v", source.ErrUnsupported, t)
	}
	return []byte(t.String()), nil
}

// UnmarshalText accepts the names of the transports and, for none, "".
func (t *Transport) UnmarshalText(text []byte) error {
	i := slices.Index(transportNames(), strings.ToLower(cmp.Or(string(text), "auto")))
	if i < 0 {
		return fmt.Errorf("rtsp: %w: transport %q; it is one of %s", source.ErrUnsupported, text, strings.Join(transportNames(), ", "))
	}
	*t = Transport(i)
	return nil
}

// A Client plays from and publishes to servers. The zero value is ready for use.
// Fields must not change once it was used.
type Client struct {
	Transport Transport   // what packets travel on; zero tries UDP and then TCP
	TLSConfig *tls.Config // for rtsps; nil is the default configuration

	Timeout     time.Duration // for the server's answers, and of each write; 0 means 10 s, and 20 s until a stream that is played exists
	ReadTimeout time.Duration // playing: longest silence of the server once the stream has begun; 0 means 5 s, negative no limit
	MaxBuffer   int           // playing: bytes of frames that may wait to be read before nothing more is taken from the network; 0 means 8 MiB

	// Dial connects by TCP; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ListenPacket opens the sockets for UDP, not those for multicast; nil means net.ListenPacket.
	ListenPacket func(network, addr string) (net.PacketConn, error)
	// UDPPorts is the first and the last port for UDP; zero means 30000 to 35000.
	UDPPorts [2]uint16
	// Interface is where multicast groups are joined; nil means that of the connection to the server.
	Interface *net.Interface

	UserAgent string // "" means MediaKit
	// HashedPassword says that the password in a URL is not a clear one but the
	// HA1 of RFC 7616: the MD5 or SHA-256 of user:realm:password, in hexadecimal.
	HashedPassword bool
	Logger         *slog.Logger // tracks and packets that cannot be used; nil discards

	once  sync.Once // sets up ports
	ports udp.Ports
	log   limitlog.Limiter
}

// Open plays with the zero [Client].
func Open(ctx context.Context, url string) (source.Reader, error) {
	return new(Client).Open(ctx, url)
}

// Create publishes with the zero [Client].
func Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	return new(Client).Create(ctx, url, tracks)
}

// Open plays the stream at url, such as
// "rtsp://user:password@host:554/path?token=x". It returns once the server plays
// and the tracks are known, which is after some seconds of media at most. A
// refusal is a [*StatusError].
//
// The Reader ends with io.EOF when the server says that the stream has ended.
// Its goroutines take in what the server sends and keep the session alive; Close
// waits for them. If the server tells how long the stream is, the Reader is a
// source.Seeker, Pauser and Speeder, whose methods may be called from any goroutine.
func (c *Client) Open(ctx context.Context, url string) (source.Reader, error) {
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	var r *clientReader
	err = c.attempt(ctx, a, func(a address, t Transport, last bool) error {
		r, err = c.play(ctx, a, t, last)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r.duration > 0 && len(r.recv.programs) == 0 {
		return &clientFilm{r}, nil
	}
	return r, nil
}

// Create publishes a stream with these tracks at url. A refusal is a
// [*StatusError]. Tracks that RTP cannot carry are left out, and so are those
// which appear later: a session description is sent only once.
//
// Goroutines of the Writer listen to the server and keep the session alive; Close
// waits for them.
func (c *Client) Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	a, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if c.Transport == TransportMulticast {
		return nil, fmt.Errorf("rtsp: %w: publishing by multicast", source.ErrUnsupported)
	}
	var w *clientWriter
	err = c.attempt(ctx, a, func(a address, t Transport, last bool) error {
		w, err = c.publish(ctx, a, t, tracks)
		return err
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// errNoUDP is of an attempt by UDP after which TCP may do better.
var errNoUDP = errors.New("rtsp: no way for UDP")

// attempt calls f with the address and transport to try, and again where it was
// redirected or UDP did not work. last: there is no other transport to try.
func (c *Client) attempt(ctx context.Context, a address, f func(a address, t Transport, last bool) error) error {
	t, last := c.choose(a)
	for redirects := 0; ; {
		err := f(a, t, last)
		var moved *redirect
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &moved):
			if redirects++; redirects > maxRedirects {
				return fmt.Errorf("rtsp: too many redirects: %w", err)
			}
			if a, err = a.redirected(moved.url); err != nil {
				return fmt.Errorf("rtsp: redirected: %w", err)
			}
			t, last = c.choose(a)
		case errors.Is(err, errNoUDP) && !last:
			t, last = TransportTCP, true
		default:
			return err
		}
	}
}

// choose returns the transport to try first at a, and whether it is the last one.
func (c *Client) choose(a address) (t Transport, last bool) {
	switch {
	case c.Transport != TransportAuto:
		return c.Transport, true
	case a.secure: // what is sent by datagrams is not encrypted
		return TransportTCP, true
	}
	return TransportUDP, false
}

func (c *Client) agent() string {
	if c.UserAgent != "" {
		return c.UserAgent
	}
	return productName
}

func (c *Client) loginFor(a address) *login {
	return &login{user: a.user, password: a.password, hashed: c.HashedPassword, ok: a.login}
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
}

// patience is how long the server may take to find the stream.
func (c *Client) patience() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultPatience
}

func (c *Client) silence() time.Duration {
	switch {
	case c.ReadTimeout > 0:
		return c.ReadTimeout
	case c.ReadTimeout < 0:
		return 0
	}
	return defaultSilence
}

// within returns a context that ends after d, with an error that says so.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("rtsp: %w: no answer in %v", source.ErrTimeout, d))
}
