// Pull-and-push takes a stream from one place and sends it to others, whoever of
// them comes and goes. It prints what happens:
//
//	go run ./examples/pull-and-push rtsp://admin:secret@192.168.1.20/stream1 rtmp://a.example.com/live/door rtmp://b.example.com/live/door
//	go run ./examples/pull-and-push -loop film.mp4 rtsp://127.0.0.1:8554/live/film udp://239.1.2.3:1234
package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/mediakit-go/mediakit/internal/fileurl"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/pusher"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	loop := flag.Bool("loop", false, "begin again at the end of a file")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: pull-and-push [-loop] FROM TO…")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 2 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *loop, flag.Arg(0), flag.Args()[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pull-and-push:", err)
		os.Exit(1)
	}
}

// run pulls one URL into a hub and pushes it to others until ctx is done, or the
// source has come to its end.
func run(ctx context.Context, loop bool, from string, to []string) error {
	ctx, over := context.WithCancel(ctx)
	defer over()
	hub := &source.Hub{}
	defer hub.Close()

	pushers := &pusher.Proxies{Hub: hub, OnState: func(s pusher.ProxyStats) { show("to  ", s.URL, s.Status(), s.State) }}
	defer pushers.Close()
	key := source.Key{App: "live", Stream: "it"}
	for _, u := range to {
		if fileurl.Same(from, u) {
			return fmt.Errorf("%s is where the stream comes from", u)
		}
		if _, err := pushers.Add(pusher.Proxy{Key: key, URL: u}); err != nil {
			return err
		}
	}

	pullers := &player.Proxies{Hub: hub, OnState: func(s player.ProxyStats) {
		show("from", s.URL, s.Status(), s.State)
		if s.Status() == "ended" { // a file, or something that cannot be played
			over()
		}
	}}
	defer pullers.Close()
	if err := pullers.Add(player.Proxy{Key: key, URL: from, Loop: loop}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// show prints a change of state. URLs may have passwords in them.
func show(way, where, status string, s source.RetryState) {
	if u, err := url.Parse(where); err == nil {
		where = u.Redacted()
	}
	if s.Err != nil && status != "live" {
		status += ": " + s.Err.Error()
	}
	fmt.Printf("%s %s: %s\n", way, where, status)
}
