package ts_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// Frames are written and read back.
func Example() {
	ctx := context.Background()
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	var file bytes.Buffer
	w := ts.NewWriter(&file, stream.Tracks())
	for _, f := range stream.Take(time.Second) {
		if err := w.WriteFrame(ctx, f); err != nil {
			log.Fatal(err)
		}
	}
	r := ts.NewReader(&file)
	fmt.Println(r.Tracks())
	frames := 0
	for _, err := range source.Frames(ctx, r) {
		if err != nil {
			log.Fatal(err)
		}
		frames++
	}
	fmt.Println(frames, "frames")
	// Output:
	// [video H264 1280x720 audio AAC 48000 Hz 2 ch]
	// 72 frames
}

// All streams of a hub can be watched, as /app/stream.live.ts.
func ExampleHandler() {
	hub := &source.Hub{}
	http.Handle("/", &ts.Handler{Handler: hub})
}
