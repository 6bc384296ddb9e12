package pusher

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// A Proxy says which stream of a Hub is pushed, and where to. It is plain data:
// [Proxies] do the work, and keep it as JSON.
type Proxy struct {
	ID  string     // unique; "" means one made of Key and URL
	Key source.Key // of the stream; no Vhost means source.DefaultVhost
	URL string     // as of Client.Sink. A file is written once

	// Demand asks for the stream as a viewer does, and counts as one: what is
	// pulled on demand is pulled for it, and stays. Else the proxy waits for
	// whoever publishes the stream, and nobody is asked.
	Demand bool `json:",omitzero"`
	// EndWithSource ends the proxy when the stream ends, once it was there. Else
	// the proxy waits for its return. A file always ends with the stream.
	EndWithSource bool `json:",omitzero"`
	Attempts      int  `json:",omitzero"` // so many failures in a row end it; 0: those of Proxies.Retry. A file has one

	// Of the Client; where zero, those of Proxies.Client.
	Timeout   time.Duration  `json:",omitzero"`
	Transport rtsp.Transport `json:",omitzero"`
	Form      flv.Form       `json:",omitzero"`
}

// complete returns p with its defaults, or what is wrong with it.
func (p Proxy) complete() (Proxy, error) {
	p.Key.Vhost = cmp.Or(p.Key.Vhost, source.DefaultVhost)
	if p.ID == "" {
		sum := sha256.Sum256([]byte(p.URL)) // which may have a password
		p.ID = p.Key.String() + "/" + hex.EncodeToString(sum[:8])
	}
	if p.URL == "" {
		return p, errors.New("no URL")
	}
	return p, p.Key.Validate()
}

// sink returns a Sink that creates the URL as c does, but for what p sets.
func (p Proxy) sink(c Client) source.Sink {
	c.Timeout = cmp.Or(p.Timeout, c.Timeout)
	c.Transport = cmp.Or(p.Transport, c.Transport)
	c.Form = cmp.Or(p.Form, c.Form)
	c.Retry = nil
	return c.Sink(p.URL)
}

// backoff returns b, but for what p sets.
func (p Proxy) backoff(b source.Backoff) source.Backoff {
	b.Attempts = cmp.Or(p.Attempts, b.Attempts)
	b.EndAtEOF = p.EndWithSource
	if fileurl.Is(p.URL) {
		b.Attempts, b.EndAtEOF = 1, true
	}
	return b
}

// ProxyStats are the state and the counters of a [Proxy].
type ProxyStats struct {
	Proxy
	State          source.RetryState // of the pushing
	Idle           bool              // the stream is not there
	Live           time.Time         // when frames began to pass; zero while they do not
	Bytes          uint64            // of media, that were pushed
	Frames         uint64            // that were pushed
	BytesPerSecond uint64            // in the last second
}

// Status returns what the proxy is doing: "idle", or the phase of State.
func (s ProxyStats) Status() string {
	if s.Idle {
		return "idle"
	}
	return s.State.Phase.String()
}
