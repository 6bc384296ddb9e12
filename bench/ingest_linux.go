package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/camera"
	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/floor"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// ingestLeast is how long cameras send at least while it is measured.
const ingestLeast = 10 * time.Second

// cameraPorts are where cameras send from: above the server's, below what the
// system gives away.
var cameraPorts = [2]uint16{20000, 32000}

// measureIngest measures receiving from many cameras.
func measureIngest(o options, progress func(format string, args ...any)) (all []ingesting, err error) {
	cells := ingestCells()
	for _, c := range cells {
		all = append(all, ingesting{ingestCell: c})
	}
	for range o.repeat {
		for i, c := range cells {
			t, err := c.measure(o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name(), err)
			}
			progress("%s: %.3f CPU-s/GB, %d lost", c.name(), t.perGB(), t.lost())
			all[i].Turns = append(all[i].Turns, t)
		}
	}
	return all, nil
}

// measure measures c once.
func (c ingestCell) measure(o options) (t ingestTurn, err error) {
	ports := 1
	if c.Ports {
		ports = c.N
	}
	server, err := child.Start("ingest", c.Subject)
	if err != nil {
		return t, err
	}
	defer server.Close()
	var addrs []netip.AddrPort
	if err := server.Call("open", ingestOpen{Ports: c.Ports, N: ports}, &addrs); err != nil {
		return t, err
	}
	if t.RSSBefore, err = proc.RSS(server.PID()); err != nil {
		return t, err
	}
	cameras, err := child.Start("cameras")
	if err != nil {
		return t, err
	}
	defer cameras.Close()
	if err := cameras.Call("start", camera.Args{N: c.N, Addrs: addrs, Singles: c.Singles}, nil); err != nil {
		return t, err
	}
	time.Sleep(2*gop + time.Second) // until all have begun, and the rings are full

	if o.profile != "" && c.Subject == subjectServer {
		name := fmt.Sprintf("%s.ingest-%s", o.profile, c.slug())
		if err := server.Call("profile", name+".cpu", nil); err != nil {
			return t, err
		}
		defer server.Call("heapProfile", name+".heap", nil)
		defer server.Call("stopProfile", struct{}{}, nil)
	}
	if err := t.window(server, cameras, max(o.duration, ingestLeast)); err != nil {
		return t, err
	}
	if err := cameras.Call("stop", struct{}{}, &t.Sent); err != nil {
		return t, err
	}
	time.Sleep(500 * time.Millisecond) // until what was waiting is taken
	return t, server.Call("stats", struct{}{}, &t.Stats)
}

// window measures what is spent while the cameras send.
func (t *ingestTurn) window(server, cameras *child.Child, length time.Duration) error {
	var before, after camera.Sent
	cpu, err := proc.CPU(server.PID())
	if err != nil {
		return err
	}
	if err := cameras.Call("sent", struct{}{}, &before); err != nil {
		return err
	}
	busy, total := proc.Busy()
	began := time.Now()
	time.Sleep(length)
	t.Time = time.Since(began)
	spent, err := proc.CPU(server.PID())
	if err != nil {
		return err
	}
	if err := cameras.Call("sent", struct{}{}, &after); err != nil {
		return err
	}
	if b, all := proc.Busy(); all > total {
		t.Busy = float64(b-busy) / float64(all-total)
	}
	t.CPU, t.Bytes = spent-cpu, after.Bytes-before.Bytes
	t.RSSAfter, err = proc.RSS(server.PID())
	return err
}

// camerasMain is the process with the cameras.
func camerasMain() error {
	ports := &udp.Ports{Min: cameraPorts[0], Max: cameraPorts[1]}
	var all *camera.Cameras
	return child.Methods{
		"start": child.Func(func(a camera.Args) (_ any, err error) {
			all, err = camera.Start(a, ports)
			return nil, err
		}),
		"sent": child.Func(func(struct{}) (camera.Sent, error) { return all.Sent() }),
		"stop": child.Func(func(struct{}) (camera.Sent, error) {
			all.Stop()
			return all.Sent()
		}),
	}.Serve(os.Stdin, os.Stdout)
}

// An ingestOpen says which ports are opened: one for all, or N for one stream each.
type ingestOpen struct {
	Ports bool
	N     int
}

// ingestMain is the process that receives.
func ingestMain(subject string) error {
	if subject == subjectFloor {
		return ingestFloorMain()
	}
	s, err := startServer(0)
	if err != nil {
		return err
	}
	defer s.close()
	in := &ingestServer{server: s}
	defer in.close()
	return child.Methods{
		"open":        child.Func(in.open),
		"stats":       child.Func(func(struct{}) (ingestStats, error) { return in.stats(), nil }),
		"profile":     child.Func(func(name string) (any, error) { return nil, s.startProfile(name) }),
		"stopProfile": child.Func(func(struct{}) (any, error) { return nil, s.stopProfile() }),
		"heapProfile": child.Func(func(name string) (any, error) { return nil, s.heapProfile(name) }),
	}.Serve(os.Stdin, os.Stdout)
}

// ingestFloorMain is the process that is the floor.
func ingestFloorMain() error {
	var in *floor.Ingest
	defer func() {
		if in != nil {
			in.Close()
		}
	}()
	return child.Methods{
		"open": child.Func(func(o ingestOpen) (_ []netip.AddrPort, err error) {
			if in, err = floor.StartIngest(o.N); err != nil {
				return nil, err
			}
			return in.Addrs(), nil
		}),
		"stats": child.Func(func(struct{}) (ingestStats, error) {
			s := in.Stats()
			return ingestStats{Streams: s.Streams, Packets: s.Packets, Lost: s.Lost, Drops: s.Drop, Buffer: s.Buffer}, nil
		}),
	}.Serve(os.Stdin, os.Stdout)
}

// An ingestServer is our server with ports for RTP.
type ingestServer struct {
	server    *server
	shared    *ps.Server
	receivers *ps.Receivers
	opened    []*ps.Receiver
	stop      context.CancelFunc
	done      sync.WaitGroup
}

// open opens the ports.
func (in *ingestServer) open(o ingestOpen) (addrs []netip.AddrPort, err error) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if o.Ports {
		in.receivers = &ps.Receivers{Handler: in.server.hub, Ports: [2]uint16{udpPorts[0], cameraPorts[0] - 1}}
		for i := range o.N {
			r, err := in.receivers.Open(ps.ReceiverOptions{Key: source.Key{App: streamApp, Stream: streamName + strconv.Itoa(i)}, Addr: loopback})
			if err != nil {
				return nil, err
			}
			in.opened = append(in.opened, r)
			addrs = append(addrs, netip.AddrPortFrom(loopback, r.Port()))
		}
		return addrs, nil
	}
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	at, ok := pc.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, errors.Join(errors.New("a socket without a port"), pc.Close())
	}
	in.shared = &ps.Server{Handler: in.server.hub}
	ctx, stop := context.WithCancel(context.Background())
	in.stop = stop
	in.done.Go(func() { in.shared.Serve(ctx, nil, pc) })
	return []netip.AddrPort{at.AddrPort()}, nil
}

// stats returns what came so far.
func (in *ingestServer) stats() (s ingestStats) {
	var sessions []*ps.Session
	if in.shared != nil {
		sessions = in.shared.Sessions()
		st := in.shared.Stats()
		s.Buffer, s.Drops = st.ReadBuffer, st.Dropped
	}
	for _, r := range in.opened {
		sessions = append(sessions, r.Sessions()...)
		st := r.Stats()
		s.Buffer = st.ReadBuffer
		s.Drops += st.Dropped
	}
	for _, x := range sessions {
		st := x.Stats()
		s.Packets += st.Packets
		s.Lost += st.Lost
		s.Frames += st.Frames
	}
	s.Streams = in.server.stats().Streams
	return s
}

// close closes the ports.
func (in *ingestServer) close() {
	if in.stop != nil {
		in.stop()
	}
	if in.receivers != nil {
		in.receivers.Close()
	}
	in.done.Wait()
}
