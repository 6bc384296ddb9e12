package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/camera"
	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// An ingestCell is something that receives from cameras.
type ingestCell struct {
	Subject string
	N       int  // cameras
	Ports   bool // a port for each, not one for all
	Singles bool // each packet for itself, not joined on its way
}

// ingestCameras is how many cameras send.
const ingestCameras = 500

// ingestCells are what is measured, each with the floor right before it.
func ingestCells() (cells []ingestCell) {
	for _, c := range []ingestCell{{N: ingestCameras}, {N: ingestCameras, Singles: true}, {N: ingestCameras, Ports: true}} {
		for _, subject := range []string{subjectFloor, subjectServer} {
			c.Subject = subject
			cells = append(cells, c)
		}
	}
	return cells
}

// name is what the tables call c.
func (c ingestCell) name() string {
	subject := "MediaKit"
	if c.Subject == subjectFloor {
		subject = "floor"
	}
	return subject + ", " + c.way()
}

// way says how the packets come.
func (c ingestCell) way() string {
	port, joined := "one port", "joined"
	if c.Ports {
		port = fmt.Sprint(c.N, " ports")
	}
	if c.Singles {
		joined = "single"
	}
	return port + ", " + joined
}

// slug is way as part of a file's name.
func (c ingestCell) slug() string {
	return map[bool]string{false: "shared", true: "ports"}[c.Ports] + map[bool]string{false: "-joined", true: "-single"}[c.Singles]
}

// ingestStats are what who receives tells about it.
type ingestStats struct {
	Streams                      int
	Packets, Lost, Drops, Frames uint64
	Buffer                       int // of a socket, bytes
}

// An ingestTurn is one measurement of an ingestCell. CPU, Time and Bytes are of a
// while in its middle, Sent and Stats of all of it.
type ingestTurn struct {
	CPU, Time           time.Duration
	Bytes               uint64 // of RTP packets
	Busy                float64
	RSSBefore, RSSAfter int64
	Sent                camera.Sent
	Stats               ingestStats
}

// perGB returns the CPU seconds for each 10^9 bytes.
func (t ingestTurn) perGB() float64 { return t.CPU.Seconds() / (float64(t.Bytes) / 1e9) }

// core returns the share of one core.
func (t ingestTurn) core() float64 { return t.CPU.Seconds() / t.Time.Seconds() }

// rate returns bits a second.
func (t ingestTurn) rate() float64 { return float64(t.Bytes) * 8 / t.Time.Seconds() }

// lost returns how many packets were sent and not taken in.
func (t ingestTurn) lost() int64 {
	return max(int64(t.Sent.Packets)-int64(t.Stats.Packets), int64(t.Stats.Lost))
}

// framesLost returns how many frames were sent that are not in the streams. Each
// stream may hold back the last ones of its two tracks, which nothing follows.
func (t ingestTurn) framesLost(cameras int) int64 {
	return max(0, int64(t.Sent.Frames)-int64(t.Stats.Frames)-2*int64(cameras))
}

// An ingesting is what an ingestCell came to, turn by turn.
type ingesting struct {
	ingestCell
	Turns []ingestTurn
}

// at returns the median of a figure.
func (i ingesting) at(of func(ingestTurn) float64) float64 {
	var v []float64
	for _, t := range i.Turns {
		v = append(v, of(t))
	}
	return quantile.Median(v)
}

// most returns the most of a figure.
func (i ingesting) most(of func(ingestTurn) int64) (n int64) {
	for _, t := range i.Turns {
		n = max(n, of(t))
	}
	return n
}

// ratioTo returns the median of what i takes a byte next to another in the same turn.
func (i ingesting) ratioTo(other ingesting) float64 {
	var v []float64
	for k := range min(len(i.Turns), len(other.Turns)) {
		v = append(v, i.Turns[k].perGB()/other.Turns[k].perGB())
	}
	return quantile.Median(v)
}

// floorOfIngest returns the floor of i among all; it may be i.
func floorOfIngest(i ingesting, all []ingesting) ingesting {
	c := i.ingestCell
	c.Subject = subjectFloor
	for _, other := range all {
		if other.ingestCell == c {
			return other
		}
	}
	return ingesting{}
}

// writeIngest writes the table of what receiving takes.
func writeIngest(w io.Writer, all []ingesting) {
	header(w, "cameras", "packets", "server", "Mbit/s", "CPU-s/GB", "× floor", "% of a core", "RSS before MB", "RSS MB",
		"streams", "lost", "kernel drops", "frames lost", "buffer MB", "late ms", "machine")
	for _, i := range all {
		name, ratio, frames := "MediaKit", i.ratioTo(floorOfIngest(i, all)), fmt.Sprint(i.most(func(t ingestTurn) int64 { return t.framesLost(i.N) }))
		if i.Subject == subjectFloor {
			name, ratio, frames = "floor", math.NaN(), "–"
		}
		row(w, fmt.Sprint(i.N), i.way(), name,
			number(i.at(ingestTurn.rate)/1e6, 0), number(i.at(ingestTurn.perGB), 3), number(ratio, 2), number(100*i.at(ingestTurn.core), 0),
			number(i.at(func(t ingestTurn) float64 { return float64(t.RSSBefore) / 1e6 }), 0),
			number(i.at(func(t ingestTurn) float64 { return float64(t.RSSAfter) / 1e6 }), 0),
			number(i.at(func(t ingestTurn) float64 { return float64(t.Stats.Streams) }), 0),
			fmt.Sprint(i.most(ingestTurn.lost)),
			fmt.Sprint(i.most(func(t ingestTurn) int64 { return int64(t.Stats.Drops) })),
			frames,
			number(i.at(func(t ingestTurn) float64 { return float64(t.Stats.Buffer) / 1e6 }), 1),
			number(i.at(func(t ingestTurn) float64 { return ms(t.Sent.Late) }), 0),
			number(100*i.at(func(t ingestTurn) float64 { return t.Busy }), 0)+" %")
	}
}

// ingestTargets returns the targets that receiving has.
func ingestTargets(all []ingesting) (targets targets) {
	for _, i := range all {
		if i.Subject == subjectFloor || len(i.Turns) == 0 {
			continue
		}
		name := fmt.Sprintf("%d cameras, %s: ", i.N, i.way())
		targets.add(name+"packets lost", float64(i.most(ingestTurn.lost)), 0, 0)
		targets.add(name+"frames lost", float64(i.most(func(t ingestTurn) int64 { return t.framesLost(i.N) })), 0, 0)
		targets.add(name+"streams missing", float64(i.N)-i.at(func(t ingestTurn) float64 { return float64(t.Stats.Streams) }), 0, 0)
	}
	return targets
}
