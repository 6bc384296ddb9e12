package mp4_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
)

// Frames become fragments, then frames again.
func ExampleMuxer() {
	track, err := codec.NewAACTrack(1, 48000, 2)
	if err != nil {
		log.Fatal(err)
	}
	m, err := mp4.NewMuxer([]*codec.Track{track})
	if err != nil {
		log.Fatal(err)
	}
	out := bytes.Clone(m.Init())
	for n := range int64(3) {
		dts := codec.FromTicks(n*1024, 48000)
		if err := m.Add(&codec.Frame{Track: track, DTS: dts, PTS: dts, Data: []byte{0x21}}); err != nil {
			log.Fatal(err)
		}
		out = m.AppendFragment(out) // of the frame before
	}
	m.Flush()
	out = m.AppendFragment(out)
	fmt.Println(mp4.MIMEType(m.Tracks()))

	r := mp4.NewReader(bytes.NewReader(out))
	defer r.Close()
	for _, t := range r.Tracks() {
		fmt.Println(t)
	}
	for f, err := range source.Frames(context.Background(), r) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.DTS, len(f.Data))
	}
	// Output:
	// audio/mp4; codecs="mp4a.40.2"
	// audio AAC 48000 Hz 2 ch
	// 0s 1
	// 21.333333ms 1
	// 42.666667ms 1
}

// A file is written, then read from its middle.
func ExampleFile() {
	ctx := context.Background()
	track, err := codec.NewAACTrack(1, 48000, 2)
	if err != nil {
		log.Fatal(err)
	}
	out, err := os.CreateTemp("", "*.mp4")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(out.Name())
	w, err := mp4.NewWriter(out, []*codec.Track{track}, &mp4.WriterOptions{Layout: mp4.LayoutFastStart})
	if err != nil {
		log.Fatal(err)
	}
	for n := range int64(470) {
		dts := codec.FromTicks(n*1024, 48000)
		if err := w.WriteFrame(ctx, &codec.Frame{Track: track, DTS: dts, PTS: dts, Data: []byte{0x21}}); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil { // closes the file, too
		log.Fatal(err)
	}

	in, err := os.Open(out.Name())
	if err != nil {
		log.Fatal(err)
	}
	info, err := in.Stat()
	if err != nil {
		log.Fatal(err)
	}
	f, err := mp4.NewFile(in, info.Size())
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	at, err := f.Seek(ctx, 5*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	frame, err := f.ReadFrame(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Tracks()[0], f.Duration().Round(time.Second))
	fmt.Println(at.Round(time.Millisecond), frame.DTS == at)
	// Output:
	// audio AAC 48000 Hz 2 ch 10s
	// 4.587s true
}

// Streams of a hub, at http://host:8080/app/stream.live.mp4 and ws://….
func ExampleHandler() {
	hub := &source.Hub{}
	log.Fatal(http.ListenAndServe(":8080", &mp4.Handler{Handler: hub}))
}
