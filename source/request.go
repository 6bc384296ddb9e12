package source

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A Handler is asked by every protocol server. *Hub is one; authorization,
// hooks, limits and statistics are middleware around one, as with http.Handler:
// they change the Request, answer with an error, or watch.
type Handler interface {
	// Play returns a Reader of the stream that req names. It may wait for the
	// stream; ctx ends when the peer goes.
	Play(ctx context.Context, req *Request) (Reader, error)
	// Publish accepts a stream under the name in req.
	Publish(ctx context.Context, req *Request) (Publication, error)
}

// A Request is what a peer wants. Middleware may change it before it passes it
// on; after that it is read only.
type Request struct {
	ID       string               // unique per session; set by the server with NewID
	Schema   string               // "rtmp", "hls", "rtsp", …: what viewers are counted by
	Protocol string               // "rtmps", "wss", …: how the peer came
	Key      Key                  // which stream
	Params   string               // raw query of the URL, without "?"
	Remote   net.Addr             // the peer
	Local    net.Addr             // our side
	TLS      *tls.ConnectionState // nil without TLS
	Header   http.Header          // HTTP and RTSP; nil elsewhere
	User     string               // set after a challenge was answered
	Passive  bool                 // recorder, push proxy: not counted as a viewer
	Options  StreamOptions        // publish: what the stream shall do
	Viewer   ViewerOptions        // play: how a slow viewer is treated
	Values   map[any]any          // for upper layers

	mu    sync.Mutex // guards onEnd, ended
	onEnd []func(SessionStats)
	ended bool
}

// OnEnd registers a function that is called once, with the session's final
// statistics, when the play or publish that the request led to has ended.
func (r *Request) OnEnd(fn func(SessionStats)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onEnd = append(r.onEnd, fn)
}

// end calls what OnEnd registered, once.
func (r *Request) end(s SessionStats) {
	r.mu.Lock()
	fns := r.onEnd
	if r.ended {
		fns = nil
	}
	r.ended, r.onEnd = true, nil
	r.mu.Unlock()
	for _, fn := range fns {
		fn(s)
	}
}

// Query returns the parsed Params; malformed pairs are left out.
func (r *Request) Query() url.Values {
	v, _ := url.ParseQuery(r.Params)
	return v
}

// NewID returns a new session id, 26 characters of base 32.
func NewID() string { return rand.Text() }

// DefaultVhost is the virtual host of requests that name none.
const DefaultVhost = "__defaultVhost__"

// A Key names a stream.
type Key struct {
	Vhost  string // DefaultVhost if the server has no virtual hosts
	App    string // one path element
	Stream string // one or more path elements
}

// maxName is the length up to which names are accepted, in bytes.
const maxName = 256

// ParseKey returns the key that a URL path such as "/live/cam/1" names. It
// wraps ErrBadKey for a path of fewer than two elements and for names with
// control bytes, "." or ".." elements, or more than 256 bytes.
func ParseKey(vhost, path string) (Key, error) {
	app, stream, _ := strings.Cut(strings.Trim(path, "/"), "/")
	k := Key{vhost, app, strings.Trim(stream, "/")}
	if k.Vhost == "" {
		k.Vhost = DefaultVhost
	}
	return k, k.Validate()
}

// Validate returns an error that wraps ErrBadKey if k can name no stream.
func (k Key) Validate() error {
	if k.App == "" || k.Stream == "" {
		return fmt.Errorf("%w: %q: need app/stream", ErrBadKey, k.App+"/"+k.Stream)
	}
	if strings.Contains(k.App, "/") {
		return fmt.Errorf("%w: app %q has a slash", ErrBadKey, k.App)
	}
	if len(k.App)+len(k.Stream)+len(k.Vhost) > maxName {
		return fmt.Errorf("%w: longer than %d bytes", ErrBadKey, maxName)
	}
	for _, s := range []string{k.Vhost, k.App, k.Stream} {
		for i := 0; i < len(s); i++ {
			if s[i] < 0x20 || s[i] == 0x7f {
				return fmt.Errorf("%w: %q has a control byte", ErrBadKey, s)
			}
		}
	}
	for e := range strings.SplitSeq(k.App+"/"+k.Stream, "/") {
		if e == "" || e == "." || e == ".." {
			return fmt.Errorf("%w: element %q in %q", ErrBadKey, e, k.App+"/"+k.Stream)
		}
	}
	return nil
}

// compare orders keys by vhost, app and stream.
func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Vhost, o.Vhost), cmp.Compare(k.App, o.App), cmp.Compare(k.Stream, o.Stream))
}

// Path returns "app/stream".
func (k Key) Path() string { return k.App + "/" + k.Stream }

// String returns "vhost/app/stream".
func (k Key) String() string { return k.Vhost + "/" + k.App + "/" + k.Stream }

// A TimeMode says how a stream's timestamps are repaired at entry.
type TimeMode uint8

// The time modes. In each, DTS never falls within a track.
const (
	TimeRelative TimeMode = iota // starts at 0; jumps are closed up, audio and video re-aligned
	TimeArrival                  // the clock of arrival replaces the publisher's
	TimeOff                      // the publisher's times as they are
)

// StreamOptions say what a stream does with what its publisher sends. The zero
// value is the default; where a Hub and a Request both set a field, the
// Request's wins.
type StreamOptions struct {
	Time        TimeMode
	SilentAudio bool          // add silent AAC to a stream without audio
	NoAudio     bool          // leave audio out
	NoVideo     bool          // leave video out
	Linger      time.Duration // how long viewers wait for a publisher that dropped; 0 means 15 s, negative not at all
	IdleClose   time.Duration // close the stream when nobody watched for so long; 0 or negative: never

	// Keep is how far back a viewer can begin, see ViewerOptions.Back; there are
	// whole GOPs of it. KeepBytes bounds it; 0 means 8 MiB.
	Keep      time.Duration
	KeepBytes int

	// PacedDelay puts a buffer between the publisher and the stream, which evens
	// out what comes in bursts and is to hold so much; 150 ms is a good value. A
	// buffer that has less is emptied more slowly than its frames' times say, one
	// that has more faster, down to half and up to one and a half times. 0: none.
	PacedDelay time.Duration
}

// A SlowPolicy says what happens to a viewer who cannot keep up.
type SlowPolicy uint8

// The policies for slow viewers.
const (
	SlowJump  SlowPolicy = iota // jump to the newest key frame
	SlowCut                     // end the viewer's session with ErrLagged
	SlowBlock                   // the publisher waits: for files and transcoders
)

// ViewerOptions say how a slow viewer is treated.
type ViewerOptions struct {
	Slow   SlowPolicy
	MaxLag time.Duration // how far a viewer may fall behind; 0 means 2 s

	// Back lets a Subscription begin with the newest key frame that came so long
	// ago, or the oldest that the stream still has; see StreamOptions.Keep. 0: the
	// newest there is.
	Back time.Duration
}
