// Package pusher writes streams to URLs: whatever takes a stream becomes a
// source.Writer.
//
//	w, err := pusher.Create(ctx, "rtmp://example.com/live/cam", tracks)
//	if err != nil { … }
//	defer w.Close()
//	err = w.WriteFrame(ctx, f)
//
// [Push] does all of it for a whole source, here a file at the speed at which it
// plays:
//
//	film := (&player.Client{Paced: true}).Source("a.flv")
//	err := pusher.Push(ctx, pusher.Sink("rtmp://example.com/live/cam"), film)
//
// A [Client] has the options: deadlines, TLS, the transport of RTSP, the codec ids,
// reconnecting. [Sink] is what can be created several times.
//
//	rtsp://  rtsps://                      publishes at an RTSP server
//	rtmp://  rtmps://                      publishes at an RTMP server
//	udp://host:1234  rtp://host:1234       sends MPEG-TS as datagrams, to a receiver or a group
//	file:///path/to/a.mp4  path/to/a.mp4   writes a file; one that exists is replaced
//
// Files are .flv, .mp4, .ts, .mpg, which are program streams, or .m3u8 for HLS, whose
// segments are in the folder called like the playlist: MPEG-TS, or MP4 if it ends with
// .fmp4.m3u8.
//
// [Proxies] push streams of a Hub, again and again if they have to. [Upload] sends
// files to a web server, as a form does.
//
// Writing: pusher.go (a scheme's client), file.go (files), udp.go, push.go (a source
// from its beginning to its end), proxy.go, proxies.go, proxy_push.go (streams of a
// Hub), upload.go.
package pusher

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// Create writes to url with the zero Client. ctx bounds the creation only.
func Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	return (&Client{}).Create(ctx, url, tracks)
}

// Sink returns a Sink that writes to url with the zero Client.
func Sink(url string) source.Sink { return (&Client{}).Sink(url) }

// A Client publishes streams. The zero value is ready for use; fields must not
// change once it was used. Several goroutines may use it.
type Client struct {
	Timeout   time.Duration  // until the server agrees, and of each write; 0 means 10 s
	TLSConfig *tls.Config    // of rtsps and rtmps; nil is the default configuration
	Transport rtsp.Transport // of RTSP; zero tries UDP and then TCP
	Form      flv.Form       // of RTMP and FLV files: how codecs are coded that FLV has no id for
	Layout    mp4.Layout     // of MP4 files
	Segment   time.Duration  // of HLS: least length of a segment; 0 means 2 s
	Logger    *slog.Logger   // tracks that cannot be sent; nil discards

	// Dial connects by TCP; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ListenPacket opens the port that udp and rtp send from; nil means net.ListenPacket.
	ListenPacket func(network, addr string) (net.PacketConn, error)

	// Retry publishes again when that fails, as source.RetrySink does. nil: it
	// is not. Files are not created again.
	Retry *source.Backoff
}

// schemes is what a URL can begin with.
const schemes = "rtsp, rtsps, rtmp, rtmps, udp, rtp, file, or a path"

// Sink returns a Sink that writes to url.
func (c *Client) Sink(url string) source.Sink {
	if fileurl.Is(url) {
		return source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
			return c.createFile(ctx, url, tracks)
		})
	}
	scheme, _, _ := strings.Cut(url, "://")
	var create func(context.Context, string, []*codec.Track) (source.Writer, error)
	switch strings.ToLower(scheme) {
	case "rtsp", "rtsps":
		create = (&rtsp.Client{
			Transport: c.Transport, TLSConfig: c.TLSConfig, Dial: c.Dial, Timeout: c.Timeout, Logger: c.Logger,
		}).Create
	case "rtmp", "rtmps":
		create = (&rtmp.Client{
			TLSConfig: c.TLSConfig, Dial: c.Dial, Timeout: c.Timeout, Form: c.Form, Logger: c.Logger,
		}).Create
	case "udp", "rtp":
		create = c.createUDP
	default:
		return source.SinkFunc(func(context.Context, []*codec.Track) (source.Writer, error) {
			return nil, fmt.Errorf("pusher: scheme %q: %w; a URL is %s", scheme, source.ErrUnsupported, schemes)
		})
	}
	s := source.SinkFunc(func(ctx context.Context, tracks []*codec.Track) (source.Writer, error) {
		return create(ctx, url, tracks)
	})
	if c.Retry != nil {
		return source.RetrySink(s, *c.Retry)
	}
	return s
}

// Create writes to url a stream that has these tracks. ctx bounds the creation
// only.
func (c *Client) Create(ctx context.Context, url string, tracks []*codec.Track) (source.Writer, error) {
	return c.Sink(url).Create(ctx, tracks)
}
