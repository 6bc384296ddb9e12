package record_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/source"
)

// A publisher's stream is recorded until it ends.
func ExampleRecorders() {
	root, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(root)
	hub := &source.Hub{}
	defer hub.Close()
	recorders := &record.Recorders{Hub: hub, Root: root, OnEvent: func(e record.Event) {
		if e.Kind == record.EventFinished {
			fmt.Printf("%s as %v: %.1f s, %d tracks\n", e.Key.Path(), e.Format, e.File.Duration.Seconds(), len(e.File.Tracks))
		}
	}}
	defer recorders.Close()

	ctx := context.Background()
	film := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	key := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "door"}
	door, _ := hub.Publish(ctx, &source.Request{ID: source.NewID(), Key: key})
	_ = door.SetTracks(film.Tracks(), true)

	r, err := recorders.Start(key, record.Options{Format: record.MP4, Slice: 4 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range film.Take(10 * time.Second) {
		_ = door.WriteFrame(ctx, f)
	}
	_ = door.CloseWithError(nil)
	<-r.Done()
	// Output:
	// live/door as mp4: 4.0 s, 2 tracks
	// live/door as mp4: 4.0 s, 2 tracks
	// live/door as mp4: 2.0 s, 2 tracks
}

// Whatever can be read frame by frame can be recorded.
func ExampleSink() {
	root, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(root)
	sink := &record.Sink{
		Key:     source.Key{App: "live", Stream: "door"},
		Start:   time.Date(2026, 11, 22, 19, 5, 29, 0, time.Local),
		Options: record.Options{Root: root, Format: record.TS, Names: record.NamesTime, Slice: 4 * time.Second},
		OnEvent: func(e record.Event) { fmt.Println(e.File.Name) },
	}
	film := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	w, err := sink.Create(context.Background(), film.Tracks())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range film.Take(6 * time.Second) {
		_ = w.WriteFrame(context.Background(), f)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// record/live/door/2026-11-22/19-05-29.ts
	// record/live/door/2026-11-22/19-05-33.ts
}
