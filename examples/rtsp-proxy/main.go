// Rtsp-proxy shows cameras by RTSP, RTMP and HTTP-FLV. A camera is connected to
// while somebody watches it, once for all who do:
//
//	go run ./examples/rtsp-proxy door=rtsp://admin:secret@192.168.1.20/stream1
//	ffplay rtsp://127.0.0.1:8554/live/door
//	ffplay rtmp://127.0.0.1/live/door
//	ffplay http://127.0.0.1:8080/live/door.live.flv
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"strings"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	rtspAddr := flag.String("rtsp", ":8554", "`address` for RTSP")
	rtmpAddr := flag.String("rtmp", ":1935", "`address` for RTMP")
	httpAddr := flag.String("http", ":8080", "`address` for HTTP and WebSocket")
	flag.Parse()
	cameras := map[string]string{}
	for _, arg := range flag.Args() {
		name, url, _ := strings.Cut(arg, "=")
		cameras["live/"+name] = url
	}
	if len(cameras) == 0 {
		log.Fatal("usage: rtsp-proxy NAME=rtsp://CAMERA…")
	}

	hub := &source.Hub{OnMiss: func(_ context.Context, r *source.Request) (source.Source, error) {
		if url, ok := cameras[r.Key.Path()]; ok {
			return source.Retry(player.Source(url), source.Backoff{}), nil
		}
		return nil, source.ErrNotFound
	}}
	ctx, failed := context.Background(), make(chan error)
	go func() { failed <- (&rtsp.Server{Addr: *rtspAddr, Handler: hub}).ListenAndServe(ctx) }()
	go func() { failed <- (&rtmp.Server{Addr: *rtmpAddr, Handler: hub}).ListenAndServe(ctx) }()
	go func() { failed <- http.ListenAndServe(*httpAddr, &flv.Handler{Handler: hub}) }()
	log.Fatal(<-failed)
}
