package hls_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A stream becomes a playlist and segments, which the Writer serves.
func ExampleWriter() {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	w, err := hls.NewWriter(stream.Tracks(), hls.Options{Container: hls.FMP4, Part: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range stream.Take(7 * time.Second) {
		if err := w.WriteFrame(context.Background(), f); err != nil {
			fmt.Println(err)
		}
	}
	server := httptest.NewRecorder() // http.ListenAndServe(":8080", w)
	w.ServeHTTP(server, httptest.NewRequest(http.MethodGet, "/hls.fmp4.m3u8", nil))
	for line := range strings.Lines(server.Body.String()) {
		if strings.Contains(line, "DURATION") || strings.Contains(line, "EXTINF") {
			fmt.Print(line)
		}
	}
	_ = w.Close()
	// Output:
	// #EXT-X-TARGETDURATION:2
	// #EXTINF:2.000000,
	// #EXTINF:2.000000,
	// #EXTINF:2.000000,
}
