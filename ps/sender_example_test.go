package ps_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// A platform that asks for a stream by GB28181 tells where to send it, and with which
// SSRC.
func ExampleSenders() {
	hub := &source.Hub{} // where the stream is published
	defer hub.Close()
	senders := &ps.Senders{
		Handler: hub,
		OnEnd:   func(s ps.SenderStats) { fmt.Println("ended:", s.Err) },
	}
	defer senders.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := senders.Start(ctx, ps.SendOptions{
		Key:  source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "camera"},
		Mode: ps.SendTCP,
		To:   "192.0.2.7:30002",
		SSRC: 100000001,
	})
	fmt.Println(err)
	// Output: ps: sending __defaultVhost__/live/camera: context deadline exceeded
}
