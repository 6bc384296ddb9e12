package flv_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/source"
)

// A file is written, then read again.
func ExampleNewReader() {
	ctx := context.Background()
	track, err := codec.NewAACTrack(1, 48000, 2)
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	w := flv.NewWriter(&file, []*codec.Track{track})
	for n := range int64(3) {
		dts := codec.FromTicks(n*1024, 48000)
		if err := w.WriteFrame(ctx, &codec.Frame{Track: track, DTS: dts, PTS: dts, Data: []byte{0x21}}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	r := flv.NewReader(&file)
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
	// 43ms 1
}

// Streams of a hub, at http://host:8080/app/stream.live.flv and ws://….
func ExampleHandler() {
	hub := &source.Hub{}
	log.Fatal(http.ListenAndServe(":8080", &flv.Handler{Handler: hub}))
}
