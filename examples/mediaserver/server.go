package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/server"
	"github.com/mediakit-go/mediakit/source"
)

// stopTime is how long viewers have to take the end of their streams.
const stopTime = 4 * time.Second

// A mediaserver listens on up to seven addresses; an empty one is off.
type mediaserver struct {
	RTMP, RTSP, HTTP    string
	RTP                 string // UDP and TCP
	RTMPS, RTSPS, HTTPS string
	Cert, Key           string // PEM files, for those with an S
	Multicast           string // range of groups; empty is off
	Root                string // folder shown by HTTP, whose films are played; empty is none
	Record              []record.Format
	Slice               time.Duration // length of recorded files
	HLSDir              string        // folder for HLS segments; empty keeps them in memory only
}

// run serves until ctx is done or a listener fails. Then all streams end: viewers
// are sent what is on its way to them, and a proper end.
func (s mediaserver) run(ctx context.Context) error {
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

	if s.HLSDir != "" { // a server that was killed has left its segments
		if err := hls.Clean(s.HLSDir); err != nil {
			log.Warn("cannot clean -hls-dir", "error", err)
		}
	}
	lns, rtp, err := s.listen()
	if err != nil {
		return err
	}
	hub := &source.Hub{Logger: log}
	recording, err := s.record(hub, log)
	if err != nil {
		return err
	}
	films := &player.VOD{Root: s.Root, Next: hub, Logger: log}
	rtspServer := &rtsp.Server{Handler: films, Logger: log, Multicast: rtsp.Multicast{Groups: groups, Loopback: true}}
	web := s.web(hub, films, log)
	serving, cut := context.WithCancel(context.Background())
	defer cut()

	var listening sync.WaitGroup
	failed := make(chan error, len(lns)) // why a listener ended
	for i, l := range []struct {
		urls  string
		serve func(context.Context, net.Listener) error
	}{
		{"publish and play: rtmp://%s/live/NAME", (&rtmp.Server{Handler: films, Logger: log}).Serve},
		{"publish and play: rtmps://%s/live/NAME", (&rtmp.Server{Handler: films, Logger: log, TLSConfig: certs}).Serve},
		{"publish and play: rtsp://%s/live/NAME", rtspServer.Serve},
		{"publish and play: rtsps://%s/live/NAME", (&rtsp.Server{Handler: films, Logger: log, TLSConfig: certs}).Serve},
		{"see and play all of it: http://%s/", (&server.HTTP{Handler: web, Logger: log}).Serve},
		{"see and play all of it: https://%s/", (&server.HTTP{Handler: web, Logger: log, TLSConfig: certs}).Serve},
		{"send RTP with MPEG-PS or MPEG-TS: rtp://%s/, its stream is rtp/SSRC", func(ctx context.Context, ln net.Listener) error {
			return (&ps.Server{Handler: films, Logger: log}).Serve(ctx, ln, rtp)
		}},
	} {
		if ln := lns[i]; ln != nil {
			fmt.Printf(l.urls+"\n", public(ln.Addr()))
			listening.Go(func() { failed <- l.serve(serving, ln) })
		}
	}
	if s.HTTP+s.HTTPS != "" {
		fmt.Println("play there: /live/NAME/hls.m3u8 /live/NAME/hls.fmp4.m3u8, and by HTTP or WebSocket /live/NAME.live.flv .live.ts .live.mp4")
	}
	if s.Root != "" {
		fmt.Printf("play files of %s: /record/FILE by RTSP and RTMP, /record/FILE.live.flv .live.ts .live.mp4 and /record/FILE/hls.m3u8 by HTTP\n", filepath.Join(s.Root, "record"))
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
	films.Close()
	_ = web.shutdown(ending)
	recording()
	cut() // whoever has not taken the end in time is cut off
	listening.Wait()
	return nil
}

// listen opens the listeners that are on. Their addresses then have the ports
// that the system chose.
func (s *mediaserver) listen() (lns [7]net.Listener, rtp net.PacketConn, err error) {
	for i, addr := range []*string{&s.RTMP, &s.RTMPS, &s.RTSP, &s.RTSPS, &s.HTTP, &s.HTTPS} {
		if *addr == "" {
			continue
		}
		if lns[i], err = net.Listen("tcp", *addr); err != nil {
			return lns, nil, err
		}
		host, _, _ := net.SplitHostPort(*addr)
		_, port, _ := net.SplitHostPort(lns[i].Addr().String())
		*addr = net.JoinHostPort(host, port)
	}
	if s.RTP != "" {
		lns[6], rtp, err = ps.Listen(context.Background(), s.RTP)
	}
	return lns, rtp, err
}

// public is an address that can be used on this machine.
func public(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return a.String()
}
