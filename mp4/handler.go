package mp4

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/internal/livehttp"
	"github.com/mediakit-go/mediakit/source"
)

// A Handler shows live streams over HTTP and WebSocket. The URL of a stream is
// /app/stream.live.mp4 or /app/stream?schema=fmp4; the suffix may have any case.
// The query goes to the source.Handler as Request.Params. On WebSocket each
// message is the initialization segment or a fragment of one frame, to be
// appended to a source buffer as it is; times are those of the stream, so that a
// page begins to play where what it has buffered begins.
//
// A stream that is missing is waited for as long as the source.Handler does,
// then the answer is 404; on WebSocket, which is upgraded at once, a CLOSE frame.
// Pages of any origin may watch unless AllowOrigin is set.
//
// Connections are hijacked: http.Server neither counts nor closes those of
// viewers, so call [Handler.Shutdown] besides http.Server's. The zero value
// answers 404 to everything; fields must not change once it was used.
type Handler struct {
	Handler      source.Handler                     // asked for every stream
	Vhost        func(*http.Request) string         // virtual host of a request; nil: source.DefaultVhost
	Next         http.Handler                       // gets what is not the URL of an fMP4 stream; nil: 404
	MergeWindow  time.Duration                      // collect packets for so long before a write; 0: one write per video frame
	StallTimeout time.Duration                      // a viewer that takes nothing for so long is cut; 0 means 10 s
	Viewer       source.ViewerOptions               // how slow viewers are treated
	MaxViewers   int                                // more are answered 503; 0: no limit
	AllowOrigin  func(origin string) (allowed bool) // which pages may watch; nil: all
	Logger       *slog.Logger                       // a line per session, at most 10 a second of a kind; nil discards

	out     livehttp.Output
	once    sync.Once
	options livehttp.Options
}

// ServeHTTP answers a request for a stream. It returns before the viewer leaves,
// unless the connection is HTTP/2.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.init)
	h.out.ServeURL(w, r, &h.options)
}

// init makes the options, which all viewers share.
func (h *Handler) init() {
	h.options = livehttp.Options{
		Handler: h.Handler, Format: FeedFormat(), Name: schema, ContentType: "video/mp4",
		Schema: schema, Suffixes: []string{".live.mp4"}, Vhost: h.Vhost, Next: h.Next,
		Viewer: h.Viewer, MergeWindow: h.MergeWindow, StallTimeout: h.StallTimeout,
		MaxViewers: h.MaxViewers, AllowOrigin: h.AllowOrigin, Logger: h.Logger,
	}
}

// Viewers returns how many viewers there are, those who wait for a stream
// included.
func (h *Handler) Viewers() int { return h.out.Viewers() }

// Panics returns how many sessions ended in a panic, which is always a bug.
func (h *Handler) Panics() uint64 { return h.out.Panics() }

// Shutdown refuses new viewers, ends those there are, the ones on WebSocket with
// a CLOSE frame, and waits until they are gone. When ctx ends it closes what is
// left and returns ctx's error.
func (h *Handler) Shutdown(ctx context.Context) error { return h.out.Shutdown(ctx) }
