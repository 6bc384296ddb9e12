// Package player opens streams by URL: whatever can be played becomes a
// source.Reader.
//
//	r, err := player.Open(ctx, "rtmp://example.com/live/cam")
//	if err != nil { … }
//	defer r.Close()
//	for f, err := range source.Frames(ctx, r) { … }
//
// A [Client] has the options: deadlines, TLS, reconnecting. [Source] is the
// form a hub's OnMiss wants.
//
//	rtsp://  rtsps://                      a stream of an RTSP server, or a camera
//	rtmp://  rtmps://                      a stream of an RTMP server
//	http://  https://                      FLV, MPEG-TS, MPEG-PS, fragmented MP4 or HLS
//	ws://  wss://                          FLV, MPEG-TS, MPEG-PS or fragmented MP4
//	udp://  rtp://                         MPEG-TS by UDP, see ts.Listener
//	file:///path/to/a.mp4  path/to/a.mp4   an MP4, FLV, MPEG-TS or MPEG-PS file
//	path/to/folder  a.mp4;b.mp4            films one after the other
//
// What a URL answers with, and what a file is, is looked at, whatever its name: only
// .m3u8 is taken for HLS at once. MP4 that is not fragmented is read from files only.
// Any program that takes URLs from strangers should look at their scheme first: a
// file is opened by whoever runs the program, and an HLS playlist can name any http
// URL.
//
// A file is a source.Seeker, and with Paced a source.Pauser and Speeder; pipes are
// read as they come. [OpenFiles] makes one timeline of several files, [Loop] begins
// again at the end. A [VOD] plays the files of a folder to the viewers of servers,
// each on a timeline of its own, and [Proxies] pull URLs into a hub.
//
// RTSP has several ways for the media: Transport says which. By default UDP is
// tried, and TCP where nothing comes by UDP.
//
// [Download] fetches a file, and goes on where an earlier attempt was cut.
//
// Streams by HLS, those that a VOD shares, and Proxies have goroutines, which Close
// waits for; the rest has none. Reading: player.go (a scheme's client), http.go (HTTP
// and WebSocket), file.go (files), sniff.go (what it is), timeline.go (several files),
// vod.go, vod_rest.go, proxies.go, download.go.
package player

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// Open opens url with the zero Client. ctx bounds the opening only.
func Open(ctx context.Context, url string) (source.Reader, error) {
	return (&Client{}).Open(ctx, url)
}

// Source returns a Source that opens url with the zero Client, each time anew.
func Source(url string) source.Source { return (&Client{}).Source(url) }

// A Client opens streams. The zero value is ready for use; fields must not
// change once it was used. Several goroutines may use it.
type Client struct {
	Timeout     time.Duration  // until the server agrees and the tracks are known; 0 means 10 s by RTSP and RTMP, and else that ReadTimeout counts
	ReadTimeout time.Duration  // longest silence of the server; 0 means 5 s by RTSP and RTMP, else 15 s, negative no limit
	TLSConfig   *tls.Config    // of rtsps, rtmps, https and wss; nil is the default configuration
	Transport   rtsp.Transport // of RTSP; zero tries UDP and then TCP
	Header      http.Header    // added to HTTP and WebSocket requests
	Logger      *slog.Logger   // what cannot be parsed; nil discards

	MaxBandwidth int // of the variant of an HLS stream, bits per second; 0: the best one

	// Dial connects by TCP; nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Retry opens a stream again when it fails or ends, as source.Retry does.
	// nil: it is not. Files are not opened again, see Loop.
	Retry *source.Backoff
	// Paced delivers the frames of a file, and of an HLS stream that has an end,
	// in real time, as source.Pace does; else they come as fast as they are read.
	Paced bool
	// Loop begins files again at their end, see [Loop].
	Loop bool
}

// schemes is what a URL can begin with.
const schemes = "rtsp, rtsps, rtmp, rtmps, http, https, ws, wss, udp, rtp, file, or a path"

// Source returns a Source that opens url, each time anew.
func (c *Client) Source(url string) source.Source {
	if fileurl.Is(url) {
		return source.SourceFunc(func(ctx context.Context) (source.Reader, error) { return c.openFile(ctx, url) })
	}
	scheme, _, _ := strings.Cut(url, "://")
	var open func(context.Context, string) (source.Reader, error)
	switch strings.ToLower(scheme) {
	case "rtsp", "rtsps":
		open = (&rtsp.Client{
			Transport: c.Transport, TLSConfig: c.TLSConfig, Dial: c.Dial, Timeout: c.Timeout, ReadTimeout: c.ReadTimeout, Logger: c.Logger,
		}).Open
	case "rtmp", "rtmps":
		open = (&rtmp.Client{
			TLSConfig: c.TLSConfig, Dial: c.Dial, Timeout: c.Timeout, ReadTimeout: c.ReadTimeout, Logger: c.Logger,
		}).Open
	case "http", "https", "ws", "wss":
		open = c.openHTTP
	case "udp", "rtp":
		open = c.openUDP
	default:
		return source.SourceFunc(func(context.Context) (source.Reader, error) {
			return nil, fmt.Errorf("player: scheme %q: %w; a URL is %s", scheme, source.ErrUnsupported, schemes)
		})
	}
	s := source.SourceFunc(func(ctx context.Context) (source.Reader, error) {
		return open(ctx, url)
	})
	if c.Retry != nil {
		return source.Retry(s, *c.Retry)
	}
	return s
}

// Open opens url. ctx bounds the opening only.
func (c *Client) Open(ctx context.Context, url string) (source.Reader, error) {
	return c.Source(url).Open(ctx)
}
