package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/flv"
	"github.com/mediakit-go/mediakit/hls"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/rtmp"
	"github.com/mediakit-go/mediakit/rtsp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A server is what is measured, put together as a program that embeds it would.
type server struct {
	hub     *source.Hub
	live    []liveHandler
	http    *http.Server
	rtmpLn  net.Listener
	httpLn  net.Listener
	rtspLn  net.Listener
	stop    context.CancelFunc
	done    sync.WaitGroup
	profile *os.File // being written; nil for none
}

// A liveHandler shows streams by HTTP and WebSocket.
type liveHandler interface {
	http.Handler
	Shutdown(context.Context) error
}

// udpPorts are where the server takes its ports from: more than its default, and
// not those that the system gives the viewers.
var udpPorts = [2]uint16{10000, 30000}

// startServer starts a server on free ports.
func startServer(merge time.Duration) (*server, error) {
	var lns [3]net.Listener
	for i := range lns {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			for _, ln := range lns[:i] {
				ln.Close()
			}
			return nil, err
		}
		lns[i] = ln
	}
	debug.SetGCPercent(50) // as examples/mediaserver does
	ctx, stop := context.WithCancel(context.Background())
	s := &server{hub: &source.Hub{}, rtmpLn: lns[0], httpLn: lns[1], rtspLn: lns[2], stop: stop}
	inHLS := &hls.Handler{Handler: s.hub}
	inMP4 := &mp4.Handler{Handler: s.hub, MergeWindow: merge, Next: inHLS}
	inTS := &ts.Handler{Handler: s.hub, MergeWindow: merge, Next: inMP4}
	inFLV := &flv.Handler{Handler: s.hub, MergeWindow: merge, Next: inTS}
	s.live = []liveHandler{inFLV, inTS, inMP4, inHLS}
	s.http = &http.Server{Handler: inFLV}
	r := &rtmp.Server{Handler: s.hub, MergeWindow: merge}
	p := &rtsp.Server{Handler: s.hub, MergeWindow: merge, UDPPorts: udpPorts}
	s.done.Go(func() { r.Serve(ctx, s.rtmpLn) })
	s.done.Go(func() { s.http.Serve(s.httpLn) })
	s.done.Go(func() { p.Serve(ctx, s.rtspLn) })
	return s, nil
}

// close ends the server and all its connections.
func (s *server) close() {
	s.stopProfile()
	s.stop()
	s.http.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, h := range s.live {
		h.Shutdown(ctx) // what the time does not suffice for, ends with the process
	}
	s.hub.Close()
	s.done.Wait()
}

// addrs returns where viewers go by protocol.
func (s *server) addrs() map[string]string {
	rtmp, http, rtsp := s.rtmpLn.Addr().String(), s.httpLn.Addr().String(), s.rtspLn.Addr().String()
	return map[string]string{
		crowd.RTMP: rtmp, crowd.RTSP: rtsp, crowd.RTSPUDP: rtsp,
		crowd.FLV: http, crowd.WS: http, crowd.HLS: http, crowd.TS: http, crowd.WSTS: http, crowd.FMP4: http, crowd.WSFMP4: http,
	}
}

// stats returns what the server knows about itself.
func (s *server) stats() serverStats {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	st := serverStats{HeapInUse: m.HeapInuse, StackInUse: m.StackInuse, Goroutines: runtime.NumGoroutine(), GCs: m.NumGC}
	for _, stream := range s.hub.Streams() {
		v := stream.Stats()
		st.Streams++
		st.RingBytes += uint64(v.RingBytes)
		for _, session := range v.Sessions {
			st.Jumps += session.Jumps
		}
	}
	return st
}

// startProfile writes a CPU profile of what follows to a file.
func (s *server) startProfile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return err
	}
	s.profile = f
	return nil
}

// stopProfile ends the CPU profile.
func (s *server) stopProfile() error {
	if s.profile == nil {
		return nil
	}
	pprof.StopCPUProfile()
	f := s.profile
	s.profile = nil
	return f.Close()
}

// heapProfile writes a profile of what is in memory to a file.
func (s *server) heapProfile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("heap").WriteTo(f, 0)
}

// serverMain is the process with the server.
func serverMain(merge time.Duration) error {
	s, err := startServer(merge)
	if err != nil {
		return err
	}
	defer s.close()
	return child.Methods{
		"addrs":       child.Func(func(struct{}) (map[string]string, error) { return s.addrs(), nil }),
		"stats":       child.Func(func(struct{}) (serverStats, error) { return s.stats(), nil }),
		"profile":     child.Func(func(name string) (any, error) { return nil, s.startProfile(name) }),
		"stopProfile": child.Func(func(struct{}) (any, error) { return nil, s.stopProfile() }),
		"heapProfile": child.Func(func(name string) (any, error) { return nil, s.heapProfile(name) }),
	}.Serve(os.Stdin, os.Stdout)
}
