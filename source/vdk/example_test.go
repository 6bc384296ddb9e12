package vdk_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/deepch/vdk/av"
	"github.com/deepch/vdk/av/avutil"
	"github.com/deepch/vdk/av/pubsub"
	"github.com/deepch/vdk/format/flv"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/source/vdk"
)

// Frames go into a file by vdk's muxer, and come out of it by vdk's demuxer.
func Example() {
	ctx := context.Background()
	track, err := codec.NewAACTrack(1, 48000, 2)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	w, err := vdk.NewWriter(flv.NewMuxer(&file), []*codec.Track{track}, flv.CodecTypes...)
	if err != nil {
		log.Fatal(err)
	}
	for n := range int64(3) {
		dts := codec.FromTicks(n*1024, 48000)
		if err := w.WriteFrame(ctx, &codec.Frame{Track: track, DTS: dts, PTS: dts, Data: []byte{0x21}}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	r := vdk.NewReader(flv.NewDemuxer(&file))
	defer r.Close()
	for _, t := range r.Tracks() {
		fmt.Println(t)
	}
	for f, err := range source.Frames(ctx, r) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.DTS, len(f.Data))
	}
	// Output:
	// audio AAC 48000 Hz 2 ch
	// 0s 1
	// 21ms 1
	// 42ms 1
}

// The queue of a program that uses vdk is published in a Hub: every server of
// ours shows it.
func ExampleNewReader() {
	ctx := context.Background()
	hub := &source.Hub{}
	queue := pubsub.NewQueue() // what the program writes into

	hub.OnMiss = func(context.Context, *source.Request) (source.Source, error) {
		return source.SourceFunc(func(context.Context) (source.Reader, error) {
			return vdk.NewReader(queue.Latest()), nil
		}), nil
	}
	r, err := hub.Play(ctx, &source.Request{Key: source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "t"}})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
}

// A vdk program's file, by whatever of its formats fits the name.
func ExampleSink() {
	avutil.DefaultHandlers.Add(flv.Handler)
	create := func(context.Context) (av.MuxCloser, error) { return avutil.Create("film.flv") }
	sink := vdk.Sink(create, flv.CodecTypes...)

	track, err := codec.NewAACTrack(1, 48000, 2)
	if err != nil {
		log.Fatal(err)
	}
	w, err := sink.Create(context.Background(), []*codec.Track{track})
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
}
