package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
)

// stopTime is how long viewers have to take the end of their streams.
const stopTime = 4 * time.Second

// A server listens on up to six addresses; an empty one is off.
type server struct {
	RTMP, RTSP, HTTP    string
	RTMPS, RTSPS, HTTPS string
	Cert, Key           string // PEM files, for those with an S
	Multicast           string // range of groups; empty is off
}

// run serves until ctx is done or a listener fails. Then all streams end: viewers
// are sent what is on its way to them, and a proper end.
func (s server) run(ctx context.Context) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var certs *tls.Config
	if s.RTMPS != "" || s.RTSPS != "" || s.HTTPS != "" {
		cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
		if err != nil {
			return fmt.Errorf("for TLS, -cert and -key: %w", err)
		}
		certs = &tls.Config{Certificates: []tls.Certificate{cert}}
	}

	var groups netip.Prefix
	if s.Multicast != "" {
		var err error
		if groups, err = netip.ParsePrefix(s.Multicast); err != nil {
			return fmt.Errorf("-multicast: %w", err)
		}
	}

	hub := &source.Hub{Logger: log}
	rtspServer := &rtsp.Server{Handler: hub, Logger: log, Multicast: rtsp.Multicast{Groups: groups, Loopback: true}}
	live := &flv.Handler{Handler: hub, Logger: log}
	web := &http.Server{
		Handler:           live,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       30 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	serving, cut := context.WithCancel(context.Background())
	defer cut()

	var listening sync.WaitGroup
	failed := make(chan error, 6) // why a listener ended
	for _, l := range []struct {
		addr, urls string
		serve      func(context.Context, net.Listener) error
	}{
		{s.RTMP, "publish and play: rtmp://%s/live/NAME", (&rtmp.Server{Handler: hub, Logger: log}).Serve},
		{s.RTMPS, "publish and play: rtmps://%s/live/NAME", (&rtmp.Server{Handler: hub, Logger: log, TLSConfig: certs}).Serve},
		{s.RTSP, "publish and play: rtsp://%s/live/NAME", rtspServer.Serve},
		{s.RTSPS, "publish and play: rtsps://%s/live/NAME", (&rtsp.Server{Handler: hub, Logger: log, TLSConfig: certs}).Serve},
		{s.HTTP, "play: http://%[1]s/live/NAME.live.flv  ws://%[1]s/live/NAME.live.flv", func(_ context.Context, ln net.Listener) error {
			return web.Serve(ln)
		}},
		{s.HTTPS, "play: https://%[1]s/live/NAME.live.flv  wss://%[1]s/live/NAME.live.flv", func(_ context.Context, ln net.Listener) error {
			return web.Serve(tls.NewListener(ln, certs))
		}},
	} {
		if l.addr == "" {
			continue
		}
		ln, err := net.Listen("tcp", l.addr)
		if err != nil {
			return err
		}
		fmt.Printf(l.urls+"\n", public(ln.Addr()))
		listening.Go(func() { failed <- l.serve(serving, ln) })
	}
	fmt.Println("ready; NAME is yours to choose")

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	ending, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	hub.Close()
	_ = web.Shutdown(ending)
	_ = live.Shutdown(ending)
	cut() // whoever has not taken the end in time is cut off
	listening.Wait()
	return nil
}

// public is an address that can be used on this machine.
func public(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}
