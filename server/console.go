package server

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// A Console is a web page that lists the streams of a hub, plays them in every
// form a browser can, and shows what is known of them; and the JSON the page is
// made of, for programs:
//
//	GET api/v1/server                     ServerInfo
//	GET api/v1/streams?q=&limit=&offset=  StreamList: streams whose name has q in it, at most limit (100; up to 1000) from offset on
//	GET api/v1/streams/APP/STREAM?vhost=  StreamInfo with feeds and sessions
//
// The last one is answered with server-sent events instead where the request has
// "Accept: text/event-stream": one called "stream" at once and each second after
// it, with a StreamInfo in which the tracks have been measured, and one called "end"
// when the stream has ended, or is not there.
//
// Its root is where it is mounted: at "/" of a ServeMux, or behind
// http.StripPrefix("/console", …) at "/console/". Everything can only be read, and
// whoever can ask may: put authorization in front where the names of streams
// are not for everybody. The zero value shows an empty hub; fields must not
// change once it was used.
type Console struct {
	Hub *source.Hub // whose streams; nil has none

	// Addresses of which the page makes URLs, as in ":1935" or
	// "media.example:1935". Without a host it is that of the page. What is empty
	// is not offered.
	RTMP, RTMPS, RTSP, RTSPS string

	// Media is the URL that live streams lie under by HTTP and WebSocket, such as
	// "https://media.example". "" is the root of the origin that the page has.
	// Another origin's handlers must let the page's origin read (AllowOrigin).
	Media string

	ShowAddresses bool         // tell who publishes and watches from where
	Next          http.Handler // gets what is not the console's; nil: 404
	Logger        *slog.Logger // errors only; nil discards

	assets  assets
	rates   rates
	looking atomic.Int64 // who are sent events
}

// ServeHTTP answers a request for the page or its data.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	a := c.assets.find(name)
	api, isAPI := strings.CutPrefix(name, "api/v1/")
	if a == nil && !isAPI {
		if c.Next != nil {
			c.Next.ServeHTTP(w, r)
			return
		}
		c.secure(w.Header(), r)
		http.NotFound(w, r)
		return
	}
	c.secure(w.Header(), r)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	default:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	if isAPI {
		c.serveAPI(w, r, api)
		return
	}
	a.serve(w, r)
}

// secure sets the headers that keep a browser from doing anything with an answer
// but what the page needs: its own scripts and styles, nothing inline, media
// from where they come, and no other page around it.
func (c *Console) secure(h http.Header, r *http.Request) {
	sources := "'self'"
	if host := r.Host; plainHost(host) { // not every browser's 'self' covers WebSocket
		sources += " ws://" + host + " wss://" + host
	}
	if u, err := url.Parse(c.Media); err == nil && plainHost(u.Host) {
		sources += " " + cmp.Or(u.Scheme, "https") + "://" + u.Host + " ws" + strings.TrimPrefix(u.Scheme, "http") + "://" + u.Host
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"media-src blob: "+sources+"; connect-src "+sources+"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// plainHost reports whether a host, with or without a port, can stand in a
// policy: it has no character that means something there.
func plainHost(host string) bool {
	for _, b := range []byte(host) {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '.', b == '-', b == ':', b == '[', b == ']':
		default:
			return false
		}
	}
	return host != ""
}

// serveAPI answers a request for data; name is what follows "api/v1/".
func (c *Console) serveAPI(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Cache-Control", "no-store")
	path, one := strings.CutPrefix(name, "streams/")
	switch {
	case name == "server":
		c.reply(w, c.serverInfo())
	case name == "streams":
		c.reply(w, c.list(r.URL.Query()))
	case one:
		key, err := source.ParseKey(r.URL.Query().Get("vhost"), path)
		var s *source.Stream
		if err == nil && c.Hub != nil {
			s = c.Hub.Stream(key)
		}
		switch {
		case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
			c.watch(w, r, s)
		case s == nil:
			http.Error(w, "no such stream", http.StatusNotFound)
		default:
			c.reply(w, c.info(s.Stats(), true))
		}
	default:
		http.NotFound(w, r)
	}
}

// reply writes v as JSON.
func (c *Console) reply(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		if c.Logger != nil {
			c.Logger.Error("console: " + err.Error())
		}
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // the browser may have gone
}

// rates remembers how much publishers had sent when somebody last looked.
type rates struct {
	mu     sync.Mutex // guards what follows
	looks  map[string]look
	pruned time.Time
}

// A look is what was seen of a publisher.
type look struct {
	at      time.Time
	bytes   uint64
	bitrate int // of the time before at
}

const (
	lookEvery = 900 * time.Millisecond // shortest time that a bitrate is of
	lookStale = 10 * time.Second       // longest time; then it is the average since the publisher came
)

// bitrate returns how many bits per second the publisher p has sent since the
// previous look.
func (t *rates) bitrate(p source.SessionStats, now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, seen := t.looks[p.ID]
	if seen && now.Sub(old.at) < lookEvery {
		return old.bitrate
	}
	if !seen || now.Sub(old.at) > lookStale {
		old = look{at: p.Start}
	}
	if t.looks == nil {
		t.looks = map[string]look{}
	}
	bitrate := 0
	if d := now.Sub(old.at); d > 0 {
		bitrate = int(float64(p.Bytes-old.bytes) * 8 / d.Seconds())
	}
	t.looks[p.ID] = look{now, p.Bytes, bitrate}
	if now.Sub(t.pruned) > lookStale {
		t.pruned = now
		for id, l := range t.looks {
			if now.Sub(l.at) > lookStale {
				delete(t.looks, id)
			}
		}
	}
	return bitrate
}
