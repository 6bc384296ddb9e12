// Hls shows any stream, or a file, as low-latency HLS:
//
//	go run ./examples/hls rtsp://admin:secret@192.168.1.20/stream1
//	ffplay http://127.0.0.1:8080/hls.m3u8
//
// What is opened here, and what it is cut into, can be chosen: see player.Client
// and hls.Options. A server with many streams has an hls.Handler instead, as
// examples/mediaserver does, which cuts them while somebody watches.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	addr := flag.String("http", ":8080", "`address` to serve at")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: hls [-http ADDRESS] URL")
	}
	ctx := context.Background()

	in, err := (&player.Client{Paced: true}).Open(ctx, flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	out, err := hls.NewWriter(in.Tracks(), hls.Options{})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		log.Println("the stream has ended:", source.Copy(ctx, out, in))
		_ = out.Close() // the playlist says so, and stays
	}()
	log.Fatal((&server.HTTP{Addr: *addr, Handler: out}).ListenAndServe(ctx))
}
