package hls_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
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

// A recording is a playlist with its segments, ready for any web server.
func ExampleWriter_recording() {
	dir, err := os.MkdirTemp("", "hls")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	film := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	w, err := hls.NewWriter(film.Tracks(), hls.Options{Dir: dir, Record: "11-09-38.m3u8"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range film.Take(4 * time.Second) {
		if err := w.WriteFrame(context.Background(), f); err != nil {
			fmt.Println(err) // the disk is full, perhaps: Close keeps what was written
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	_ = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			fmt.Println(name)
		}
		return nil
	})
	// Output:
	// 11-09-38/00000.ts
	// 11-09-38/00001.ts
	// 11-09-38.m3u8
}
