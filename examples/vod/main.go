// Vod plays the films of a folder, each viewer on a timeline of its own:
//
//	go run ./examples/vod ~/Videos
//	ffplay -ss 60 rtsp://127.0.0.1:8554/Videos/film.mp4
//	ffplay rtmp://127.0.0.1/Videos/film.mp4
//	ffplay 'http://127.0.0.1:8080/Videos/film.mp4.live.flv?start=60'
//	ffplay http://127.0.0.1:8080/Videos/film.mp4/hls.m3u8
//
// The first name is that of the folder; then come those of the file, or of a folder,
// whose films are played one after the other. Instead of .live.flv it can be
// .live.ts or .live.mp4, also by WebSocket, and hls.fmp4.m3u8 instead of hls.m3u8.
// At http://127.0.0.1:8080/ there are the files themselves.
//
// With -shared all who watch a film see the same of it, with -loop it begins again at
// its end: so a folder becomes a television channel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

func main() {
	rtmpAddr := flag.String("rtmp", ":1935", "`address` for RTMP")
	rtspAddr := flag.String("rtsp", ":8554", "`address` for RTSP")
	httpAddr := flag.String("http", ":8080", "`address` for HTTP and WebSocket")
	shared := flag.Bool("shared", false, "all who watch a film see the same of it")
	loop := flag.Bool("loop", false, "begin films again at their end")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: vod [options] FOLDER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	folder, err := filepath.Abs(flag.Arg(0))
	if err == nil {
		_, err = os.ReadDir(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vod:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	vod := &player.VOD{Root: filepath.Dir(folder), App: filepath.Base(folder), Loop: *loop, Logger: log}
	defer vod.Close()
	if *shared {
		vod.Shared = &source.Hub{Logger: log}
		defer vod.Shared.Close()
	}
	err = serve(ctx,
		(&rtmp.Server{Addr: *rtmpAddr, Handler: vod, Logger: log}).ListenAndServe,
		(&rtsp.Server{Addr: *rtspAddr, Handler: vod, Logger: log}).ListenAndServe,
		(&server.HTTP{Addr: *httpAddr, Handler: web(vod, folder), Logger: log}).ListenAndServe,
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vod:", err)
		os.Exit(1)
	}
}

// web returns what is shown by HTTP: the streams, and the files of the folder.
func web(vod *player.VOD, folder string) http.Handler {
	var h http.Handler = &server.Files{Root: folder}
	h = &hls.Handler{Handler: vod, Next: h}
	h = &mp4.Handler{Handler: vod, Next: h}
	h = &ts.Handler{Handler: vod, Next: h}
	return &flv.Handler{Handler: vod, Next: h}
}

// serve runs servers until ctx is done, which returns nil, or one of them fails.
func serve(ctx context.Context, servers ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(servers))
	var running sync.WaitGroup
	for i, listenAndServe := range servers {
		running.Go(func() {
			defer cancel()
			if err := listenAndServe(ctx); ctx.Err() == nil {
				errs[i] = err
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}
