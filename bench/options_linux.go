package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

// options are what the command line chose.
type options struct {
	viewers   []int
	modes     []time.Duration
	protocols []string
	duration  time.Duration
	repeat    int
	probes    int
	apart     bool
	only      map[string]bool // nil: all
	markdown  string
	profile   string
	command   string
}

// does reports whether part was chosen.
func (o options) does(part string) bool { return o.only == nil || o.only[part] }

// parse reads the command line.
func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	viewers := f.String("n", "100,500,1000,3000", "numbers of `viewers`")
	modes := f.String("modes", "0,100ms", "merge `windows`; 0 is a batch per video frame")
	protocols := f.String("protocols", "rtmp,flv,ws", "`protocols` of the viewers")
	only := f.String("only", "", "of floor, server, nginx, publishers, join only these `parts`")
	quick := f.Bool("quick", false, "fewer and shorter measurements")
	f.DurationVar(&o.duration, "duration", 3*time.Second, "length of each measurement")
	f.IntVar(&o.repeat, "repeat", 3, "how often everything is measured; the median counts")
	f.IntVar(&o.probes, "probes", 50, "how many viewers look at what comes; the others count bytes")
	f.BoolVar(&o.apart, "apart", false, "publish each packet at its own time; else audio goes with the video frame after it, as encoders interleave it")
	f.StringVar(&o.markdown, "md", "", "write the results into this `file`, too: between the lines <!-- results --> if it has them")
	f.StringVar(&o.profile, "profile", "", "write profiles of the server, CPU and memory, to files whose names begin with `prefix`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.command = strings.Join(append([]string{"go run ./bench"}, args...), " ")
	if *quick {
		set := map[string]bool{}
		f.Visit(func(f *flag.Flag) { set[f.Name] = true })
		if !set["n"] {
			*viewers = "500"
		}
		if !set["duration"] {
			o.duration = 2 * time.Second
		}
		if !set["repeat"] {
			o.repeat = 1
		}
	}
	for s := range strings.SplitSeq(*viewers, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-n: %q is no number of viewers", s)
		}
		o.viewers = append(o.viewers, n)
	}
	for s := range strings.SplitSeq(*modes, ",") {
		d, err := time.ParseDuration(s)
		if err != nil {
			return o, fmt.Errorf("-modes: %w", err)
		}
		o.modes = append(o.modes, d)
	}
	for s := range strings.SplitSeq(*protocols, ",") {
		if !slices.Contains([]string{crowd.RTMP, crowd.FLV, crowd.WS}, s) {
			return o, fmt.Errorf("-protocols: %q is none of rtmp, flv, ws", s)
		}
		o.protocols = append(o.protocols, s)
	}
	if *only != "" {
		o.only = map[string]bool{}
		for s := range strings.SplitSeq(*only, ",") {
			if !slices.Contains([]string{"floor", "server", "nginx", "publishers", "join"}, s) {
				return o, fmt.Errorf("-only: %q is no part", s)
			}
			o.only[s] = true
		}
	}
	if o.repeat < 1 || o.duration <= 0 || o.probes < 1 {
		return o, errors.New("-repeat, -duration and -probes must be positive")
	}
	return o, nil
}

// viewerCells returns what viewers are attached to, so that what is compared is
// measured one right after the other.
func (o options) viewerCells(nginx bool) (cells []cell) {
	for _, n := range o.viewers {
		for _, merge := range o.modes {
			if o.does("floor") {
				cells = append(cells, cell{subjectFloor, crowd.Plain, n, merge})
			}
			if o.does("server") {
				for _, p := range o.protocols {
					cells = append(cells, cell{subjectServer, p, n, merge})
				}
			}
			if o.does("nginx") && nginx && merge == 0 {
				cells = append(cells, cell{subjectNginx, crowd.RTMP, n, 0})
			}
		}
	}
	return cells
}

// publisherCells returns what is measured without viewers.
func (o options) publisherCells(nginx bool) (cells []cell) {
	if !o.does("publishers") {
		return nil
	}
	for _, n := range []int{1, 100} {
		cells = append(cells, cell{subjectServer, crowd.RTMP, n, 0})
		if nginx && o.does("nginx") {
			cells = append(cells, cell{subjectNginx, crowd.RTMP, n, 0})
		}
	}
	return cells
}

// joinCells returns what viewers come to who come alone.
func (o options) joinCells() (cells []cell) {
	if !o.does("join") {
		return nil
	}
	for _, p := range o.protocols {
		cells = append(cells, cell{subjectServer, p, 200, 0})
	}
	return cells
}
