package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/source"
)

// Defaults of a Client.
const (
	defaultTimeout  = 10 * time.Second
	defaultPatience = 20 * time.Second // servers let viewers wait for a publisher for 15 s
	defaultSilence  = 5 * time.Second
)

// A Client plays from and publishes to servers. The zero value is ready for use.
// Fields must not change once it was used.
type Client struct {
	TLSConfig *tls.Config // for rtmps; nil is the default configuration

	// Dial connects; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Timeout     time.Duration // until the server agrees to play or publish, and of each write; 0 means 10 s, and 20 s until a stream that is played begins
	ReadTimeout time.Duration // playing: longest silence of the server once the stream has begun; 0 means 5 s, negative no limit
	Form        flv.Form      // publishing: how codecs are coded that FLV has no id for
	MaxMessage  int           // playing: bytes of a message; 0 means 10 MiB
	Logger      *slog.Logger  // playing: frames that cannot be parsed, publishing: tracks that cannot be sent; nil discards
}

// Open plays with the zero [Client].
func Open(ctx context.Context, url string) (source.Reader, error) {
	return new(Client).Open(ctx, url)
}

// Create publishes with the zero [Client].
func Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	return new(Client).Create(ctx, url, tracks)
}

// Open plays the stream at url, such as "rtmp://host:1935/app/stream?token=x".
// It returns once the tracks are known, or after some seconds of media if the
// stream does not tell how many there are. A refusal is a [*StatusError].
//
// The Reader ends with io.EOF when the server says that the stream has ended. It
// starts no goroutine. If the metadata tell how long the stream is, it is a
// source.Seeker, for the goroutine that reads, and a source.Pauser for any.
func (c *Client) Open(ctx context.Context, url string) (source.Reader, error) {
	until := time.Now().Add(c.timeout())
	s, a, err := c.connect(ctx, until, url, false)
	if err != nil {
		return nil, err
	}
	r := newClientReader(c, s)
	err = s.within(ctx, until, func() error { return s.createStream(a.name, false) })
	if err == nil {
		patience := defaultPatience
		if c.Timeout > 0 {
			patience = c.Timeout
		}
		err = s.within(ctx, time.Now().Add(patience), func() error {
			if err := s.play(a.name, r.message); err != nil {
				return err
			}
			return r.probe()
		})
	}
	if err != nil {
		_ = s.nc.Close()
		return nil, err
	}
	if d := r.length(); d > 0 {
		return &clientFilm{r, d}, nil
	}
	return r, nil
}

// Create publishes a stream with these tracks at url. A refusal is a
// [*StatusError]. Others that appear with their first frame are sent, too, if
// there is none of their kind yet; what FLV has no code for is left out.
//
// A goroutine of the Writer reads what the server says; Close waits for it.
func (c *Client) Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	until := time.Now().Add(c.timeout())
	s, a, err := c.connect(ctx, until, url, true)
	if err != nil {
		return nil, err
	}
	w := newClientWriter(c, s, a.name, tracks)
	err = s.within(ctx, until, func() error {
		if err := s.createStream(a.name, true); err != nil {
			return err
		}
		if err := s.publish(a.name); err != nil {
			return err
		}
		return w.begin(tracks)
	})
	if err != nil {
		_ = s.nc.Close()
		return nil, err
	}
	go w.listen()
	return w, nil
}

// connect dials and says connect, and once more where the server sends it.
func (c *Client) connect(ctx context.Context, until time.Time, url string, publish bool) (*clientConn, address, error) {
	a, err := parseURL(url)
	if err != nil {
		return nil, a, err
	}
	s, err := c.connectTo(ctx, until, a, publish)
	var moved *redirect
	if errors.As(err, &moved) {
		if a, err = a.redirected(moved.url); err != nil {
			return nil, a, err
		}
		s, err = c.connectTo(ctx, until, a, publish)
	}
	return s, a, err
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return defaultTimeout
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
