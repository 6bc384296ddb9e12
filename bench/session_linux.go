package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
)

// A session is one run of the benchmark.
type session struct {
	options
	nginx                          bool // is there
	viewers, publishers, joinCells []cell

	began    time.Time
	rounds   []round       // with viewers
	loads    []round       // with publishers only
	joins    []crowd.Joins // as joinCells
	servings []serving
	delays   []delay
	muxed    []transmuxing
	seeks    []seeking
	records  []recording
	ingests  []ingesting
	failures []failure
}

// A failure is a cell that could not be measured.
type failure struct {
	cell
	err error
}

func newSession(o options) *session {
	s := &session{options: o, rounds: make([]round, o.repeat), loads: make([]round, o.repeat)}
	if o.does("nginx") || o.does("hls") {
		_, _, err := findNginx()
		if s.nginx = err == nil; !s.nginx {
			fmt.Fprintln(os.Stderr, "not measured:", err)
		}
	}
	s.viewers, s.publishers, s.joinCells = o.viewerCells(s.nginx), o.publisherCells(s.nginx), o.joinCells()
	return s
}

// measure does everything, round by round. What fails is not tried again.
func (s *session) measure() {
	s.began = time.Now()
	for i := range s.rounds {
		for _, c := range s.viewers {
			what := fmt.Sprintf("%s, %d viewers, batch %s", c.name(), c.N, c.batch())
			r, ok := s.try(c, what, measureViewers)
			if ok {
				s.progress("%s: %.3f CPU-s/GB, latency p99 %v", what, r.perGB(), r.LatencyP99)
				s.rounds[i] = append(s.rounds[i], r)
			}
		}
		for _, c := range s.publishers {
			what := fmt.Sprintf("%s, publishers: %d", c.name(), c.N)
			r, ok := s.try(c, what, measurePublishers)
			if ok {
				s.progress("%s: %.2f %% of a core", what, 100*r.core())
				s.loads[i] = append(s.loads[i], r)
			}
		}
	}
	for _, c := range s.joinCells {
		j, err := measureJoins(c, s.options)
		if err != nil {
			s.fail(c, err)
		}
		s.progress("%s, joins: first key frame %v after asking", c.name(), j.AskedP50)
		s.joins = append(s.joins, j)
	}
	if s.does("hls") {
		s.measureHLS()
	}
	if s.does("ingest") {
		var err error
		if s.ingests, err = measureIngest(s.options, s.progress); err != nil {
			s.fail(cell{}, fmt.Errorf("ingest: %w", err))
		}
	}
	if s.does("seek") {
		var err error
		if s.seeks, err = measureSeek(s.options, s.progress); err != nil {
			s.fail(cell{}, fmt.Errorf("seek: %w", err))
		}
	}
	if s.does("record") {
		var err error
		if s.records, err = measureRecord(s.options, s.progress); err != nil {
			s.fail(cell{}, fmt.Errorf("record: %w", err))
		}
	}
	if s.does("transmux") {
		var err error
		if s.muxed, err = measureTransmux(s.options, s.progress); err != nil {
			s.fail(cell{}, fmt.Errorf("transmux: %w", err))
		}
	}
}

// measureHLS measures what is served by HLS.
func (s *session) measureHLS() {
	c := cell{Subject: subjectServer, Protocol: crowd.HLS}
	d, err := measureDelay(s.options)
	if err != nil {
		s.fail(c, fmt.Errorf("delay by HLS: %w", err))
	} else {
		s.progress("low-latency HLS: every frame within %v (p99)", d.AllP99)
		s.delays = append(s.delays, d)
	}
	if _, err := exec.LookPath("wrk"); err != nil || !s.nginx {
		fmt.Fprintln(os.Stderr, "not measured: serving segments needs wrk and nginx")
		return
	}
	for _, playlist := range []string{playlistTS, playlistFMP4} {
		r, err := measureSegments(playlist, s.options)
		if err != nil {
			s.fail(c, fmt.Errorf("segments of %s: %w", playlist, err))
			continue
		}
		s.progress("segments of %s: %.2f × nginx", playlist, r.ratio())
		s.servings = append(s.servings, r)
	}
}

// try measures c with fn, unless that has failed before.
func (s *session) try(c cell, what string, fn func(cell, options) (result, error)) (result, bool) {
	if slices.ContainsFunc(s.failures, func(f failure) bool { return f.cell == c }) {
		return result{}, false
	}
	r, err := fn(c, s.options)
	if err != nil {
		s.fail(c, fmt.Errorf("%s: %w", what, err))
	}
	return r, err == nil
}

func (s *session) fail(c cell, err error) {
	s.progress("failed: %v", err)
	s.failures = append(s.failures, failure{c, err})
}

func (s *session) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// report prints the results. It fails if our server or the floor did.
func (s *session) report() error {
	var b bytes.Buffer
	s.write(&b)
	os.Stdout.Write(b.Bytes())
	if s.markdown != "" {
		old, err := os.ReadFile(s.markdown)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(s.markdown, insert(old, b.Bytes()), 0o644); err != nil {
			return err
		}
	}
	for _, f := range s.failures {
		if f.Subject != subjectNginx {
			return f.err
		}
	}
	return nil
}

// write writes all tables.
func (s *session) write(w io.Writer) {
	fmt.Fprintf(w, "`%s` on %s: %s", s.command, time.Now().UTC().Format(time.DateOnly), proc.Machine())
	if s.nginx {
		fmt.Fprintf(w, ", %s", nginxVersion())
	}
	fmt.Fprintf(w, "; median of %d, %v each\n", s.repeat, s.duration)
	for _, f := range s.failures {
		fmt.Fprintf(w, "\nNot measured: %s, N = %d, batch %s.\n", f.name(), f.N, f.batch())
	}
	if len(s.viewers) > 0 {
		fmt.Fprintln(w)
		writeViewers(w, s.viewers, s.rounds)
		if s.does("server") {
			fmt.Fprintln(w)
			writeMemory(w, s.viewers, s.rounds)
		}
	}
	if len(s.publishers) > 0 {
		fmt.Fprintln(w)
		writePublishers(w, s.publishers, s.loads)
	}
	if len(s.joinCells) > 0 {
		fmt.Fprintln(w)
		writeJoins(w, s.joinCells, s.joins)
	}
	if len(s.delays)+len(s.servings) > 0 {
		fmt.Fprintln(w)
		writeHLS(w, s.delays, s.servings)
	}
	if len(s.ingests) > 0 {
		fmt.Fprintln(w)
		writeIngest(w, s.ingests)
	}
	if len(s.muxed) > 0 {
		fmt.Fprintln(w)
		writeTransmux(w, s.muxed)
	}
	if len(s.records) > 0 {
		fmt.Fprintln(w)
		writeRecord(w, s.records)
	}
	if len(s.seeks) > 0 {
		fmt.Fprintln(w)
		writeSeek(w, s.seeks)
	}
	all := slices.Concat(ingestTargets(s.ingests), recordTargets(s.records), seekTargets(s.seeks), transmuxTargets(s.muxed), hlsTargets(s.delays, s.servings), viewerTargets(s.viewers, s.rounds), publisherTargets(s.publishers, s.loads), joinTargets(s.joinCells, s.joins))
	if len(all) > 0 {
		fmt.Fprintln(w)
		writeTargets(w, all)
	}
}
