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
	only      map[string]bool // parts; empty: all
	markdown  string
	profile   string
	quick     bool
	command   string
}

// parts and protocols are what a run consists of.
func parts() []string {
	return []string{"floor", "server", "nginx", "publishers", "join", "hls", "ingest", "record", "seek", "transmux"}
}

func protocols() []string {
	return []string{crowd.RTMP, crowd.FLV, crowd.WS, crowd.TS, crowd.WSTS, crowd.FMP4, crowd.WSFMP4, crowd.RTSP, crowd.RTSPUDP}
}

// choose takes what -only says. Where it names no part, or no protocol, all are
// chosen.
func (o *options) choose(only string) error {
	o.only = map[string]bool{}
	for s := range strings.SplitSeq(only, ",") {
		switch {
		case s == "":
		case slices.Contains(parts(), s):
			o.only[s] = true
		case slices.Contains(protocols(), s):
			o.protocols = append(o.protocols, s)
		default:
			return fmt.Errorf("-only: %q is neither a part nor a protocol", s)
		}
	}
	if o.protocols == nil {
		o.protocols = protocols()
	}
	return nil
}

// does reports whether part was chosen.
func (o options) does(part string) bool { return len(o.only) == 0 || o.only[part] }

// speaks reports whether one of the protocols was chosen.
func (o options) speaks(protocols ...string) bool {
	return slices.ContainsFunc(protocols, func(p string) bool { return slices.Contains(o.protocols, p) })
}

// maxUDP is the largest number of viewers by UDP that is measured: each of them
// has four ports, and the server four for him.
const maxUDP = 1000

// parse reads the command line.
func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	viewers := f.String("n", "100,500,1000,3000", "numbers of `viewers`")
	modes := f.String("modes", "0,100ms", "merge `windows`; 0 is a batch per video frame")
	only := f.String("only", "", "only these of the `parts` "+strings.Join(parts(), ", ")+", or of the protocols "+strings.Join(protocols(), ", "))
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
	if o.quick = *quick; o.quick {
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
	if err := o.choose(*only); err != nil {
		return o, err
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
			cells = append(cells, o.tcpCells(n, merge, nginx)...)
			if merge == 0 && n <= maxUDP && o.speaks(crowd.RTSPUDP) {
				cells = append(cells, o.udpCells(n)...)
			}
		}
	}
	return cells
}

// tcpCells returns what n viewers are attached to by TCP.
func (o options) tcpCells(n int, merge time.Duration, nginx bool) (cells []cell) {
	if o.does("floor") && slices.ContainsFunc(o.protocols, func(p string) bool { return p != crowd.RTSPUDP }) {
		cells = append(cells, cell{subjectFloor, crowd.Plain, n, merge})
	}
	for _, p := range o.protocols {
		if o.does("server") && p != crowd.RTSPUDP {
			cells = append(cells, cell{subjectServer, p, n, merge})
		}
	}
	if nginx && merge == 0 && o.does("nginx") && o.speaks(crowd.RTMP, crowd.FLV, crowd.WS) {
		cells = append(cells, cell{subjectNginx, crowd.RTMP, n, 0})
	}
	return cells
}

// udpCells returns what n viewers are attached to by UDP, where nothing is merged.
func (o options) udpCells(n int) (cells []cell) {
	if o.does("floor") {
		cells = append(cells, cell{subjectFloor, crowd.PlainUDP, n, 0}, cell{subjectFloor, crowd.PlainSendto, n, 0})
	}
	if o.does("server") {
		cells = append(cells, cell{subjectServer, crowd.RTSPUDP, n, 0})
	}
	return cells
}

// publisherCells returns what is measured without viewers.
func (o options) publisherCells(nginx bool) (cells []cell) {
	if !o.does("publishers") {
		return nil
	}
	for _, n := range []int{1, 100} {
		if o.speaks(crowd.RTMP) {
			cells = append(cells, cell{subjectServer, crowd.RTMP, n, 0})
		}
		if nginx && o.does("nginx") && o.speaks(crowd.RTMP) {
			cells = append(cells, cell{subjectNginx, crowd.RTMP, n, 0})
		}
	}
	if o.speaks(crowd.RTSP) {
		cells = append(cells, cell{subjectServer, crowd.RTSP, 100, 0})
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
