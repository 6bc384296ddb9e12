package main

import (
	"math"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// The servers that are measured.
const (
	subjectFloor  = "floor"
	subjectServer = "mediakit"
	subjectNginx  = "nginx-rtmp"
)

// A cell is one thing to measure.
type cell struct {
	Subject  string
	Protocol string
	N        int           // viewers, publishers or joins
	Merge    time.Duration // merge window
}

// serverStats are what our server tells about itself.
type serverStats struct {
	HeapInUse  uint64 // bytes
	StackInUse uint64
	Goroutines int
	GCs        uint32
	Streams    int
	RingBytes  uint64 // media that the rings keep
	Jumps      uint64 // viewers who were too slow and went to a key frame
}

// A result is a measurement of a cell.
type result struct {
	cell
	crowd.Report
	RSSStart            int64   // of the server, before anybody came
	RSSBefore, RSSAfter int64   // without and with N
	Busy                float64 // share of the machine's CPU time that was used, by anybody
	Stats               serverStats
}

// perGB returns the CPU seconds of the server for each 10^9 bytes delivered.
func (r result) perGB() float64 { return r.CPU.Seconds() / (float64(r.Bytes) / 1e9) }

// perViewer returns the memory of the server for each viewer, in bytes.
func (r result) perViewer() float64 { return float64(r.RSSAfter-r.RSSBefore) / float64(r.N) }

// core returns the share of one core that the server used.
func (r result) core() float64 { return r.CPU.Seconds() / r.Time.Seconds() }

// A round is all that was measured once, in the order in which it was.
type round []result

// find returns the result of c, if it was measured.
func (rs round) find(c cell) (result, bool) {
	for _, r := range rs {
		if r.cell == c {
			return r, true
		}
	}
	return result{}, false
}

// median returns the middle of what f gives for c in each round; NaN if it was
// never measured.
func median(rounds []round, c cell, f func(result) float64) float64 {
	var v []float64
	for _, rs := range rounds {
		if r, ok := rs.find(c); ok {
			v = append(v, f(r))
		}
	}
	return quantile.Median(v)
}

// ratio returns the middle of the rounds' ratios of CPU per GB of c and base:
// what was measured in the same round was measured within seconds.
func ratio(rounds []round, c, base cell) float64 {
	var v []float64
	for _, rs := range rounds {
		a, ok1 := rs.find(c)
		b, ok2 := rs.find(base)
		if ok1 && ok2 {
			v = append(v, a.perGB()/b.perGB())
		}
	}
	return quantile.Median(v)
}

// sum returns the sum of what f gives for c over all rounds.
func sum(rounds []round, c cell, f func(result) int) (n int) {
	for _, rs := range rounds {
		if r, ok := rs.find(c); ok {
			n += f(r)
		}
	}
	return n
}

// floorOf and nginxOf return the cells that c is compared to; the zero cell is
// never measured.
func floorOf(c cell) cell {
	if c.udp() {
		return cell{subjectFloor, crowd.PlainUDP, c.N, c.Merge}
	}
	return cell{subjectFloor, crowd.Plain, c.N, c.Merge}
}

func nginxOf(c cell) cell {
	if c.udp() {
		return cell{}
	}
	return cell{subjectNginx, crowd.RTMP, c.N, 0}
}

// udp reports whether the stream goes by UDP.
func (c cell) udp() bool {
	return c.Protocol == crowd.RTSPUDP || c.Protocol == crowd.PlainUDP || c.Protocol == crowd.PlainSendto
}

// lost returns what viewers missed: frames, datagrams, and jumps to a key frame.
func (r result) lost() int { return r.Missed + r.Lost + int(r.Stats.Jumps) }

// ms returns d in milliseconds.
func ms(d time.Duration) float64 {
	if d == 0 {
		return math.NaN()
	}
	return d.Seconds() * 1000
}
