// Mediaserver takes streams by RTMP, RTSP and RTP (GB28181) and shows them by RTMP,
// RTSP, HLS, and as FLV, MPEG-TS and fragmented MP4 over HTTP and WebSocket. It
// needs no configuration:
//
//	go run ./examples/mediaserver
//	ffmpeg -re -i film.mp4 -c copy -f flv rtmp://127.0.0.1/live/t
//	ffplay rtsp://127.0.0.1:8554/live/t
//	ffplay http://127.0.0.1:8080/live/t/hls.m3u8
//
// The page at http://127.0.0.1:8080/ lists the streams and plays them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"
)

func main() {
	var s mediaserver
	flag.StringVar(&s.RTMP, "rtmp", ":1935", "`address` for RTMP; empty switches it off, as with the others")
	flag.StringVar(&s.RTSP, "rtsp", ":8554", "`address` for RTSP, its media on UDP and by HTTP tunnel too")
	flag.StringVar(&s.Multicast, "multicast", "239.255.0.0/16", "`range` of groups for RTSP viewers by multicast; empty switches it off")
	flag.StringVar(&s.HTTP, "http", ":8080", "`address` for HTTP and WebSocket")
	flag.StringVar(&s.RTP, "rtp", ":10000", "`address` for RTP with MPEG-PS or MPEG-TS (GB28181), UDP and TCP; a stream's name is rtp/ and its SSRC")
	flag.StringVar(&s.RTMPS, "rtmps", "", "`address` for RTMP over TLS; needs -cert and -key")
	flag.StringVar(&s.RTSPS, "rtsps", "", "`address` for RTSP over TLS; needs -cert and -key")
	flag.StringVar(&s.HTTPS, "https", "", "`address` for HTTP and WebSocket over TLS; needs -cert and -key")
	flag.StringVar(&s.Cert, "cert", "", "PEM `file` with the certificate")
	flag.StringVar(&s.Key, "key", "", "PEM `file` with its private key")
	flag.StringVar(&s.Root, "root", "", "`folder` whose files are shown by HTTP, and played if they lie in its folder record; empty shows none")
	flag.Func("record", "record all streams below -root as one of these `formats`, or several with commas: mp4, flv, ts, hls, hls.fmp4", s.setRecord)
	flag.DurationVar(&s.Slice, "slice", time.Hour, "`length` of the files of -record")
	flag.StringVar(&s.HLSDir, "hls-dir", "", "`folder` for the segments of HLS; empty keeps them in memory only")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}

	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // media is short-lived and little is allocated: collecting costs next to nothing
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mediaserver:", err)
		os.Exit(1)
	}
}
