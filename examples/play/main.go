// Play opens a stream, tells what is in it and how it runs, and may write it to
// an FLV file:
//
//	go run ./examples/play rtmp://127.0.0.1/live/t
//	go run ./examples/play rtsp://admin:secret@192.168.1.20/stream1
//	go run ./examples/play -o t.flv http://127.0.0.1:8080/live/t.live.flv
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/examples/internal/meter"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	out := flag.String("o", "", "write the stream to this FLV `file`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: play [-o FILE] URL")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var to source.Sink = nowhere{}
	if *out != "" {
		to = pusher.Sink(*out)
	}
	err := pusher.Push(ctx, to, meter.Source(player.Source(flag.Arg(0)), os.Stdout))
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "play:", err)
		os.Exit(1)
	}
}

// nowhere is a Sink and a Writer that keeps nothing.
type nowhere struct{}

func (n nowhere) Create(context.Context, []*codec.Track) (source.Writer, error) { return n, nil }
func (nowhere) WriteFrame(context.Context, *codec.Frame) error                  { return nil }
func (nowhere) Close() error                                                    { return nil }
