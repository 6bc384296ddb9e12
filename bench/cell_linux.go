package main

import (
	"fmt"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
)

// A subject is a server that is measured.
type subject interface {
	PID() int
	Addrs() (map[string]string, error) // host:port by protocol
	Close() error
}

// childSubject is a subject that is a sub-command of this program.
type childSubject struct{ *child.Child }

// Addrs implements subject.
func (s childSubject) Addrs() (m map[string]string, err error) {
	err = s.Call("addrs", struct{}{}, &m)
	return m, err
}

// start starts the subject that c is about.
func (c cell) start() (subject, error) {
	switch c.Subject {
	case subjectNginx:
		return startNginx()
	case subjectFloor:
		ch, err := child.Start("floor", c.Protocol, c.Merge.String())
		return childSubject{ch}, err
	}
	ch, err := child.Start("server", c.Merge.String())
	return childSubject{ch}, err
}

// joiners returns how many viewers of c connect at a time. nginx takes 40 ms for
// each, waiting for acknowledgements.
func (c cell) joiners() int {
	if c.Subject == subjectNginx {
		return 32
	}
	return 4
}

// A stage is a subject with its publishers and viewers, each in a process.
type stage struct {
	subject subject
	addrs   map[string]string
	publish *child.Child // nil for the floor
	viewers *child.Child
}

// newStage starts the processes, without any publisher or viewer.
func newStage(c cell) (*stage, error) {
	var s stage
	var err error
	if s.subject, err = c.start(); err != nil {
		return nil, err
	}
	s.addrs, err = s.subject.Addrs()
	if err == nil && c.Subject != subjectFloor {
		s.publish, err = child.Start("publish")
	}
	if err == nil {
		s.viewers, err = child.Start("viewers")
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return &s, nil
}

// close ends the viewers, then the publishers, then the subject.
func (s *stage) close() error {
	if s.viewers != nil {
		s.viewers.Close()
	}
	if s.publish != nil {
		s.publish.Close()
	}
	return s.subject.Close()
}

// target says where the viewers of c go.
func (s *stage) target(c cell) crowd.Target {
	return crowd.Target{
		Protocol: c.Protocol,
		Addr:     s.addrs[c.Protocol],
		App:      streamApp,
		Stream:   streamName,
		Usual:    max(media.FrameInterval, c.Merge),
	}
}

// startPublishers starts n publishers and waits until the server has a GOP.
func (s *stage) startPublishers(protocol string, n int, o options) error {
	if s.publish == nil {
		return nil
	}
	err := s.publish.Call("publish", publishArgs{Protocol: protocol, Addr: s.addrs[protocol], N: n, GOP: gop, Apart: o.apart}, nil)
	if err != nil {
		return err
	}
	if n > 1 {
		time.Sleep(gop) // the last ones begin that late
	}
	time.Sleep(gop + 200*time.Millisecond)
	return nil
}

// lost fails if a publisher was disconnected.
func (s *stage) lost() error {
	if s.publish == nil {
		return nil
	}
	var n int
	if err := s.publish.Call("lost", struct{}{}, &n); err != nil || n == 0 {
		return err
	}
	return fmt.Errorf("the server disconnected %d publishers", n)
}

// visitors is how many viewers come and go before the memory without viewers is
// looked at: what is needed once, or kept for the next, is not a viewer's.
const visitors = 200

// gop is the time between key frames of what is published.
const gop = time.Second

// A profiler writes profiles of our server while it is measured.
type profiler struct {
	server *child.Child // nil: nothing is profiled
	prefix string
}

// profile starts a profile of the CPU, if prefix is one.
func (s *stage) profile(c cell, what, prefix string) (p profiler, err error) {
	if prefix == "" || c.Subject != subjectServer {
		return p, nil
	}
	p = profiler{s.subject.(childSubject).Child, fmt.Sprintf("%s.%s-%s-%d-%s", prefix, what, c.Protocol, c.N, c.Merge)}
	return p, p.server.Call("profile", p.prefix+".cpu", nil)
}

// end ends the profile and writes one of the memory.
func (p profiler) end() error {
	if p.server == nil {
		return nil
	}
	if err := p.server.Call("stopProfile", struct{}{}, nil); err != nil {
		return err
	}
	return p.server.Call("heapProfile", p.prefix+".heap", nil)
}

// inspect fills in what our server tells about itself, and the memory of any server.
func (s *stage) inspect(r *result) (err error) {
	if r.RSSAfter, err = proc.RSS(s.subject.PID()); err != nil || r.Subject != subjectServer {
		return err
	}
	return s.subject.(childSubject).Call("stats", struct{}{}, &r.Stats)
}

// measureViewers measures the fan-out to c.N viewers.
func measureViewers(c cell, o options) (r result, err error) {
	r.cell = c
	s, err := newStage(c)
	if err != nil {
		return r, err
	}
	defer s.close()
	if err := s.startPublishers(crowd.RTMP, 1, o); err != nil {
		return r, err
	}
	pid := s.subject.PID()
	if r.RSSStart, err = proc.RSS(pid); err != nil {
		return r, err
	}
	if err := s.viewers.Call("visit", attachArgs{s.target(c), visitors, 0, c.joiners()}, nil); err != nil {
		return r, err
	}
	time.Sleep(200 * time.Millisecond) // until the server has noticed that they left
	if r.RSSBefore, err = proc.RSS(pid); err != nil {
		return r, err
	}
	if err := s.viewers.Call("attach", attachArgs{s.target(c), c.N, min(o.probes, c.N), c.joiners()}, nil); err != nil {
		return r, err
	}
	// The last ones to join have a GOP to fetch.
	time.Sleep(gop + c.Merge)

	p, err := s.profile(c, "viewers", o.profile)
	if err != nil {
		return r, err
	}
	measure := measureArgs{PID: pid, Slack: media.MaxFrame + int(media.ByteRate*c.Merge.Seconds())}
	busy, total := proc.Busy()
	if err := s.viewers.Call("begin", measure, nil); err != nil {
		return r, err
	}
	time.Sleep(o.duration)
	if err := s.viewers.Call("end", measure, &r.Report); err != nil {
		return r, err
	}
	if b, t := proc.Busy(); t > total {
		r.Busy = float64(b-busy) / float64(t-total)
	}
	if err := s.inspect(&r); err != nil {
		return r, err
	}
	if err := p.end(); err != nil {
		return r, err
	}
	return r, s.lost()
}

// measurePublishers measures what c.N publishers cost without viewers.
func measurePublishers(c cell, o options) (r result, err error) {
	r.cell = c
	s, err := newStage(c)
	if err != nil {
		return r, err
	}
	defer s.close()
	pid := s.subject.PID()
	if r.RSSBefore, err = proc.RSS(pid); err != nil {
		return r, err
	}
	if err := s.startPublishers(c.Protocol, c.N, o); err != nil {
		return r, err
	}
	time.Sleep(gop) // until all rings are full
	p, err := s.profile(c, "publishers", o.profile)
	if err != nil {
		return r, err
	}
	cpu, err := proc.CPU(pid)
	if err != nil {
		return r, err
	}
	began := time.Now()
	time.Sleep(o.duration)
	after, err := proc.CPU(pid)
	if err != nil {
		return r, err
	}
	r.CPU, r.Time = after-cpu, time.Since(began)
	if err := s.inspect(&r); err != nil {
		return r, err
	}
	if err := p.end(); err != nil {
		return r, err
	}
	return r, s.lost()
}

// measureJoins measures how long viewers who come one by one wait for a picture.
func measureJoins(c cell, o options) (j crowd.Joins, err error) {
	s, err := newStage(c)
	if err != nil {
		return j, err
	}
	defer s.close()
	if err := s.startPublishers(crowd.RTMP, 1, o); err != nil {
		return j, err
	}
	// The pause lets them come at all places of the GOP.
	err = s.viewers.Call("join", joinArgs{s.target(c), c.N, 7 * time.Millisecond}, &j)
	return j, err
}
