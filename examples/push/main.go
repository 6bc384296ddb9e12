// Push sends a file, as fast as it plays, or another stream to a server:
//
//	go run ./examples/push t.flv rtmp://127.0.0.1/live/t
//	go run ./examples/push -loop t.flv rtsp://127.0.0.1:8554/live/t
//	go run ./examples/push http://example.com/live/t.live.flv rtmp://127.0.0.1/live/t
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mediakit-go/mediakit/examples/internal/meter"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	loop := flag.Bool("loop", false, "start again at the end")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: push [-loop] FILE|URL URL")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	from := (&player.Client{Paced: true}).Source(flag.Arg(0))
	if *loop {
		from = source.Retry(from, source.Backoff{Min: -1, Attempts: 1}) // at once, as long as there is something in it
	}
	err := pusher.Push(ctx, pusher.Sink(flag.Arg(1)), meter.Source(from, os.Stdout))
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}
