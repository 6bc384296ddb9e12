// Record writes streams to files, in slices, as long as it runs:
//
//	go run ./examples/record door=rtsp://admin:secret@192.168.1.20/stream1
//	ls www/record/live/door/*
//
// A camera that is away is connected to again. With -back it writes no more than
// the clips that are asked for, with so much of what was before:
//
//	go run ./examples/record -back 10s -forward 20s -http :8080 door=rtsp://…
//	curl -X POST http://127.0.0.1:8080/live/door
//
// It finishes what was being written when it was killed, and deletes what is too
// old or too much.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	var o record.Options
	recorders := &record.Recorders{}
	format := flag.String("format", record.MP4.String(), "`format` of the files: mp4, flv, ts, hls or hls.fmp4")
	flag.StringVar(&recorders.Root, "root", "www", "`folder` of the recordings")
	flag.DurationVar(&o.Slice, "slice", 10*time.Minute, "`length` after which a file ends")
	flag.DurationVar(&o.Back, "back", 0, "write clips only, which begin so `long` before they are asked for")
	flag.DurationVar(&o.Forward, "forward", 10*time.Second, "when clips end, `after` they were asked for")
	flag.DurationVar(&recorders.Retention.MaxAge, "max-age", 0, "delete files that are `older`")
	flag.Int64Var(&recorders.Retention.MaxBytes, "max-bytes", 0, "delete the oldest files when all have more `bytes`")
	addr := flag.String("http", "", "`address` to ask for clips at")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: record [options] NAME=URL…")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	var err error
	if o.Format, err = record.ParseFormat(*format); err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	hub := &source.Hub{Options: source.StreamOptions{Keep: o.Back, KeepBytes: 64 << 20}}
	recorders.Hub, recorders.Logger = hub, slog.Default()
	recorders.OnEvent = func(e record.Event) {
		if e.Kind == record.EventFinished {
			fmt.Println(e.File.Path)
		}
	}
	o.Wait = o.Back == 0 // for cameras that are away
	proxies := &player.Proxies{Hub: hub, Logger: slog.Default()}
	for _, arg := range flag.Args() {
		name, url, ok := strings.Cut(arg, "=")
		if !ok {
			log.Fatalf("%q is not NAME=URL", arg)
		}
		key, err := source.ParseKey("", "live/"+name)
		if err == nil {
			err = proxies.Add(player.Proxy{Key: key, URL: url})
		}
		if err == nil && o.Wait {
			_, err = recorders.Start(key, o)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	if *addr != "" {
		http.HandleFunc("POST /live/{name...}", func(w http.ResponseWriter, r *http.Request) {
			key, err := source.ParseKey("", r.URL.Path)
			if err == nil {
				_, err = recorders.Clip(key, o)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
			}
		})
		go func() { log.Fatal(http.ListenAndServe(*addr, nil)) }()
	}
	_ = recorders.Serve(ctx)
	_ = proxies.Close()
	_ = hub.Close()
}
