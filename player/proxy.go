package player

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// proxyLinger is how long viewers wait for a source that was lost, where
// StreamOptions.Linger does not say: longer than for a publisher, whose attempts
// are not so far apart.
const proxyLinger = time.Minute

// A Proxy says what is pulled, and into which stream of a Hub. It is plain data:
// [Proxies] do the work, and keep it as JSON.
type Proxy struct {
	Key      source.Key // of the stream; no Vhost means source.DefaultVhost
	URL      string     // as of Client.Source; a file plays as a live stream does
	OnDemand bool       `json:",omitzero"` // pull only while somebody watches the stream, or waits for it
	Loop     bool       `json:",omitzero"` // of a file: begin again at its end
	Attempts int        `json:",omitzero"` // so many failures in a row end it; 0: those of Proxies.Retry. A file has one
	EndAtEOF bool       `json:",omitzero"` // where the source ends gracefully it is not opened again. That of a file is always the end

	// Of the Client; where zero, those of Proxies.Client.
	Timeout      time.Duration  `json:",omitzero"`
	ReadTimeout  time.Duration  `json:",omitzero"`
	Transport    rtsp.Transport `json:",omitzero"`
	Header       http.Header    `json:",omitzero"`
	MaxBandwidth int            `json:",omitzero"`

	// Options are the stream's. Linger is how long viewers wait for a source that
	// was lost, before the stream ends and is another one when it comes back: 0
	// means a minute, negative not at all. IdleClose is how long nobody may watch:
	// on demand 0 means 20 s, and then the proxy rests; else 0 means for ever, and
	// the proxy ends with source.ErrIdle.
	Options source.StreamOptions `json:",omitzero"`
}

// complete returns p with its defaults, or what is wrong with it.
func (p Proxy) complete() (Proxy, error) {
	p.Key.Vhost = cmp.Or(p.Key.Vhost, source.DefaultVhost)
	if p.URL == "" {
		return p, errors.New("no URL")
	}
	return p, p.Key.Validate()
}

// source returns a Source that opens the URL as c does, but for what p sets.
func (p Proxy) source(c Client) source.Source {
	c.Timeout = cmp.Or(p.Timeout, c.Timeout)
	c.ReadTimeout = cmp.Or(p.ReadTimeout, c.ReadTimeout)
	c.Transport = cmp.Or(p.Transport, c.Transport)
	c.MaxBandwidth = cmp.Or(p.MaxBandwidth, c.MaxBandwidth)
	if p.Header != nil {
		c.Header = p.Header
	}
	c.Retry, c.Paced, c.Loop = nil, true, p.Loop
	return c.Source(p.URL)
}

// backoff returns b, but for what p sets.
func (p Proxy) backoff(b source.Backoff) source.Backoff {
	b.Attempts = cmp.Or(p.Attempts, b.Attempts)
	b.EndAtEOF = b.EndAtEOF || p.EndAtEOF
	if fileurl.Is(p.URL) {
		b.Attempts, b.EndAtEOF = 1, true
	}
	return b
}

// linger returns how long viewers wait for a source that was lost.
func (p Proxy) linger() time.Duration {
	return max(0, cmp.Or(p.Options.Linger, proxyLinger))
}

// options returns those of the stream in the Hub. It does not linger: it is there
// for as long as the source is waited for.
func (p Proxy) options() source.StreamOptions {
	o := p.Options
	o.Linger = -1
	if o.IdleClose == 0 && !p.OnDemand {
		o.IdleClose = -1
	}
	return o
}

// ProxyStats are the state and the counters of a [Proxy].
type ProxyStats struct {
	Proxy
	State          source.RetryState // of the pulling; its counters are those of all pulls so far
	Idle           bool              // nobody wants the stream of a Proxy that is on demand
	Live           time.Time         // when the source came; zero while it is not there
	Bytes          uint64            // of media, that were read
	Frames         uint64            // that were read
	BytesPerSecond uint64            // in the last second
}

// Status returns what the proxy is doing: "idle", or the phase of State.
func (s ProxyStats) Status() string {
	if s.Idle {
		return "idle"
	}
	return s.State.Phase.String()
}
