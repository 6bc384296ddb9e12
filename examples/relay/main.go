// Relay passes streams on. From one place to another, again and again if either
// fails:
//
//	go run ./examples/relay rtmp://example.com/live/t rtmp://127.0.0.1/live/t
//
// or as a server that fetches a stream from an origin while somebody watches it:
//
//	go run ./examples/relay -listen :1936 rtmp://example.com
//	go run ./examples/play rtmp://127.0.0.1:1936/live/t
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/examples/internal/meter"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	listen := flag.String("listen", "", "serve the origin's streams by RTMP at this `address`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: relay FROM TO\n       relay -listen ADDRESS ORIGIN")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *listen != "" && flag.NArg() == 1:
		err = serve(ctx, *listen, flag.Arg(0))
	case *listen == "" && flag.NArg() == 2:
		err = relay(ctx, flag.Arg(0), flag.Arg(1))
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

// serve answers viewers with the streams of an origin, each fetched once.
func serve(ctx context.Context, addr, origin string) error {
	hub := &source.Hub{Options: source.StreamOptions{IdleClose: 10 * time.Second}}
	defer hub.Close()
	hub.OnMiss = func(_ context.Context, r *source.Request) (source.Source, error) {
		return source.Retry(player.Source(origin+"/"+r.Key.Path()), source.Backoff{EndAtEOF: true}), nil
	}
	return (&rtmp.Server{Addr: addr, Handler: hub}).ListenAndServe(ctx)
}

// relay copies for ever. Retry hides that the origin was away and RetrySink that
// the target was.
func relay(ctx context.Context, from, to string) error {
	in := source.Retry(player.Source(from), source.Backoff{})
	out := source.RetrySink(pusher.Sink(to), source.Backoff{})
	return pusher.Push(ctx, out, meter.Source(in, os.Stdout))
}
