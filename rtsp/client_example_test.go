package rtsp_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

func ExampleClient_Open() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c := &rtsp.Client{Transport: rtsp.TransportTCP}
	r, err := c.Open(ctx, "rtsp://admin:secret@camera.example/stream1")
	if errors.Is(err, source.ErrUnauthorized) {
		fmt.Println("wrong password")
	}
	if err != nil {
		return
	}
	defer r.Close()
	for f, err := range source.Frames(context.Background(), r) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(f.Track.Codec, f.PTS, len(f.Data))
	}
}

func ExampleTransport_UnmarshalText() {
	var t rtsp.Transport // flag.TextVar takes it, too
	fmt.Println(t.UnmarshalText([]byte("tcp")), t)
	fmt.Println(t.UnmarshalText([]byte("pigeon")))
	// Output:
	// <nil> tcp
	// rtsp: source: not supported: transport "pigeon"; it is one of auto, tcp, udp, http, multicast
}
