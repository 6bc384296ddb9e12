package hls_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/source"
)

func ExampleClient() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := &hls.Client{MaxBandwidth: 2_000_000}
	r, err := c.Open(ctx, "https://example.com/live/index.m3u8")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for f, err := range source.Frames(context.Background(), r) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(f.Track.Codec, f.DTS, len(f.Data))
	}
}
