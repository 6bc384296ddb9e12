package rtmp_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/source"
)

// A server to which one publishes and from which any number can play.
func ExampleServer() {
	ctx, stop := context.WithCancel(context.Background())
	hub := &source.Hub{}
	server := &rtmp.Server{Handler: hub}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // or server.ListenAndServe, on port 1935
	if err != nil {
		panic(err)
	}
	done := make(chan error)
	go func() { done <- server.Serve(ctx, ln) }()
	url := "rtmp://" + ln.Addr().String() + "/live/cam"

	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	w, err := rtmp.Create(ctx, url, stream.Tracks())
	if err != nil {
		panic(err)
	}
	n := 0
	for f := range stream.Frames() {
		if n++; n > 50 {
			break
		}
		if err := w.WriteFrame(ctx, f); err != nil {
			panic(err)
		}
	}
	r, err := rtmp.Open(ctx, url)
	if err != nil {
		panic(err)
	}
	for _, t := range r.Tracks() {
		fmt.Println(t)
	}
	f, err := r.ReadFrame(ctx)
	fmt.Println(f.Track.Codec, f.Key(), err)
	_, err = rtmp.Create(ctx, url, stream.Tracks())
	fmt.Println(errors.Is(err, source.ErrBusy))

	w.Close()
	r.Close()
	stop()
	fmt.Println(<-done)
	hub.Close()
	// Output:
	// video H264 1280x720
	// audio AAC 48000 Hz 2 ch
	// H264 true <nil>
	// true
	// rtmp: server closed
}

// A refusal has the server's code, and the error that a Handler would have given.
func ExampleStatusError() {
	var err error = &rtmp.StatusError{Code: "NetStream.Play.StreamNotFound", Text: "no such stream"}
	var refused *rtmp.StatusError
	if errors.As(err, &refused) {
		fmt.Println(refused.Code)
	}
	fmt.Println(errors.Is(err, source.ErrNotFound))
	// Output:
	// NetStream.Play.StreamNotFound
	// true
}
