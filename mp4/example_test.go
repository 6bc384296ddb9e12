package mp4_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"

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

// Streams of a hub, at http://host:8080/app/stream.live.mp4 and ws://….
func ExampleHandler() {
	hub := &source.Hub{}
	log.Fatal(http.ListenAndServe(":8080", &mp4.Handler{Handler: hub}))
}
