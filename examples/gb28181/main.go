// Gb28181 takes streams from the cameras and recorders of GB28181, which send a
// program stream in RTP, shows them by RTSP, RTMP, HTTP-FLV and HLS, and sends
// streams on in the same way:
//
//	go run ./examples/gb28181
//	ffmpeg -re -i film.mp4 -c copy -f rtp_mpegts -rtp_muxer_options ssrc=18 rtp://127.0.0.1:10000
//	ffplay rtsp://127.0.0.1:8554/rtp/00000012
//
// All who send to the port 10000, by UDP or TCP, are told apart by their SSRC. A
// stream can have a port of its own, and a name, and go on to somebody else:
//
//	go run ./examples/gb28181 -open live/door@30000 -send live/door=192.168.1.9:10000,ssrc=0100000001
//
// The SIP that tells a camera where to send to is not spoken here. A program that
// does opens and closes ports with ps.Receivers as streams come and go.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
)

func main() {
	rtpAddr := flag.String("rtp", ":10000", "`address` for RTP of all senders, by UDP and TCP")
	rtspAddr := flag.String("rtsp", ":8554", "`address` for RTSP")
	rtmpAddr := flag.String("rtmp", ":1935", "`address` for RTMP")
	httpAddr := flag.String("http", ":8080", "`address` for HTTP")
	ports := [2]uint16{30000, 35000}
	flag.Func("ports", "`first-last` of the ports that -open chooses from", func(s string) (err error) {
		ports, err = parsePorts(s)
		return err
	})
	var opened []opening
	flag.Func("open", "receive a stream on a port of its own: `APP/STREAM@PORT[/tcp|/active=HOST:PORT][,ssrc=N]`, port 0 is a free one; may be repeated", func(s string) error {
		o, err := parseOpening(s)
		opened = append(opened, o)
		return err
	})
	var sent []ps.SendOptions
	flag.Func("send", "send a stream on: `APP/STREAM=HOST:PORT[,ssrc=N][,tcp][,passive][,ts|,es][,audio]`; may be repeated", func(s string) error {
		o, err := parseSending(s)
		sent = append(sent, o)
		return err
	})
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	rtpListener, packets, err := ps.Listen(ctx, *rtpAddr)
	if err != nil {
		fail(err)
	}
	rtspListener, rtmpListener, httpListener := listen(rtspAddr), listen(rtmpAddr), listen(httpAddr)
	hub := &source.Hub{Logger: log, OnEvent: func(e source.Event) {
		if name := e.Key.Path(); e.Kind == source.EventLive {
			log.Info("live", "rtsp", "rtsp://"+public(*rtspAddr, name), "rtmp", "rtmp://"+public(*rtmpAddr, name),
				"flv", "http://"+public(*httpAddr, name+".live.flv"), "hls", "http://"+public(*httpAddr, name+"/hls.m3u8"))
		}
	}}
	var running sync.WaitGroup
	serve := func(serve func() error) {
		running.Go(func() {
			if err := serve(); ctx.Err() == nil {
				log.Error("ends", "error", err)
				stop()
			}
		})
	}
	web := &hls.Handler{Handler: hub, Next: &flv.Handler{Handler: hub}}
	serve(func() error {
		return (&ps.Server{Handler: hub, Logger: log}).Serve(ctx, rtpListener, packets)
	})
	serve(func() error { return (&rtsp.Server{Handler: hub}).Serve(ctx, rtspListener) })
	serve(func() error { return (&rtmp.Server{Handler: hub}).Serve(ctx, rtmpListener) })
	serve(func() error { return (&server.HTTP{Handler: web}).Serve(ctx, httpListener) })
	log.Info("ready", "rtp", "rtp://"+public(rtpListener.Addr().String(), ""), "rtsp", "rtsp://"+public(*rtspAddr, ""),
		"rtmp", "rtmp://"+public(*rtmpAddr, ""), "http", "http://"+public(*httpAddr, ""))

	receivers := &ps.Receivers{Handler: hub, Ports: ports, Logger: log}
	for _, o := range opened {
		running.Go(func() {
			again(ctx, func() error { return o.receive(ctx, receivers, log) }, log.With("open", o.Key.Path()))
		})
	}
	senders := &ps.Senders{Handler: hub, Logger: log}
	for _, o := range sent {
		running.Go(func() { again(ctx, func() error { return send(ctx, senders, o, log) }, log.With("send", o.Key.Path())) })
	}

	<-ctx.Done()
	_ = receivers.Close()
	_ = senders.Close()
	_ = hub.Close()
	running.Wait()
}

// listen opens addr, which then has the port that was chosen if it had none.
func listen(addr *string) net.Listener {
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		fail(err)
	}
	*addr = ln.Addr().String()
	return ln
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gb28181:", err)
	os.Exit(1)
}

// again does what fails or ends after a while until ctx is done.
func again(ctx context.Context, do func() error, log *slog.Logger) {
	for ctx.Err() == nil {
		if err := do(); ctx.Err() == nil {
			log.Info("ended, and begins again", "reason", err)
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// receive opens a port and waits until it is closed, as is one to which nobody
// sends.
func (o opening) receive(ctx context.Context, receivers *ps.Receivers, log *slog.Logger) error {
	r, err := receivers.Open(o.ReceiverOptions)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	log.Info("open", "stream", o.Key.Path(), "port", r.Port())
	if o.connect != "" {
		if err := r.Connect(ctx, o.connect); err != nil {
			return err
		}
	}
	<-r.Done()
	return r.Stats().Err
}

// send waits for the stream and sends it until it ends, or who takes it fails.
func send(ctx context.Context, senders *ps.Senders, o ps.SendOptions, log *slog.Logger) error {
	s, err := senders.Start(ctx, o)
	if err != nil {
		return err
	}
	log.Info("send", "stream", o.Key.Path(), "from", s.Stats().Local, "to", o.To)
	<-s.Done()
	return s.Stats().Err
}

// public is the part of a URL behind the scheme: an address, that of this machine
// if it has none, and a path.
func public(addr, path string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return addr + "/" + path
}
