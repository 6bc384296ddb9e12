package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/media"
)

// name is what the tables call the subject of c.
func (c cell) name() string {
	switch c.Subject {
	case subjectFloor:
		return map[string]string{
			crowd.Plain:       "floor",
			crowd.PlainUDP:    "floor UDP",
			crowd.PlainSendto: "floor UDP, sendto",
		}[c.Protocol]
	case subjectNginx:
		return "nginx-rtmp"
	}
	return "MediaKit " + map[string]string{
		crowd.RTMP:    "RTMP",
		crowd.FLV:     "HTTP-FLV",
		crowd.WS:      "WS-FLV",
		crowd.TS:      "HTTP-TS",
		crowd.WSTS:    "WS-TS",
		crowd.FMP4:    "HTTP-fMP4",
		crowd.WSFMP4:  "WS-fMP4",
		crowd.RTSP:    "RTSP/TCP",
		crowd.RTSPUDP: "RTSP/UDP",
	}[c.Protocol]
}

// batch says how c collects frames.
func (c cell) batch() string {
	if c.Merge == 0 {
		return "frame"
	}
	return fmt.Sprint(c.Merge)
}

// writeViewers writes the table of what viewers cost.
func writeViewers(w io.Writer, cells []cell, rounds []round) {
	header(w, "viewers", "batch", "server", "CPU-s/GB", "× floor", "× nginx", "KB/viewer",
		"first key frame ms", "latency ms", "stalls", "behind", "lost", "machine")
	for _, c := range cells {
		at := func(f func(result) float64) float64 { return median(rounds, c, f) }
		if math.IsNaN(at(result.perGB)) {
			continue
		}
		vsFloor, vsNginx := ratio(rounds, c, floorOf(c)), ratio(rounds, c, nginxOf(c))
		if c == floorOf(c) {
			vsFloor, vsNginx = math.NaN(), math.NaN()
		}
		if c.Subject == subjectNginx {
			vsNginx = math.NaN()
		}
		row(w, fmt.Sprint(c.N), c.batch(), c.name(),
			number(at(result.perGB), 3), number(vsFloor, 2), number(vsNginx, 2),
			number(at(result.perViewer)/1e3, 1),
			pair(at(func(r result) float64 { return joinOf(r, r.JoinP50) }),
				at(func(r result) float64 { return joinOf(r, r.JoinP99) })),
			pair(at(func(r result) float64 { return ms(r.LatencyP50) }),
				at(func(r result) float64 { return ms(r.LatencyP99) })),
			fmt.Sprint(sum(rounds, c, func(r result) int { return r.Stalls })),
			fmt.Sprint(sum(rounds, c, func(r result) int { return r.Behind + r.Gone })),
			fmt.Sprint(sum(rounds, c, result.lost)),
			number(100*at(func(r result) float64 { return r.Busy }), 0)+" %")
	}
}

// writeMemory writes the table of where our server's memory is.
func writeMemory(w io.Writer, cells []cell, rounds []round) {
	header(w, "viewers", "batch", "server", "RSS at first MB", "RSS before MB", "RSS MB", "heap in use MB", "stacks MB", "goroutines", "collections")
	for _, c := range cells {
		if c.Subject != subjectServer || math.IsNaN(median(rounds, c, result.perGB)) {
			continue
		}
		mega := func(f func(result) float64) string { return number(median(rounds, c, f)/1e6, 1) }
		row(w, fmt.Sprint(c.N), c.batch(), c.name(),
			mega(func(r result) float64 { return float64(r.RSSStart) }),
			mega(func(r result) float64 { return float64(r.RSSBefore) }),
			mega(func(r result) float64 { return float64(r.RSSAfter) }),
			mega(func(r result) float64 { return float64(r.Stats.HeapInUse) }),
			mega(func(r result) float64 { return float64(r.Stats.StackInUse) }),
			number(median(rounds, c, func(r result) float64 { return float64(r.Stats.Goroutines) }), 0),
			number(median(rounds, c, func(r result) float64 { return float64(r.Stats.GCs) }), 0))
	}
}

// joinOf returns d in milliseconds, or NaN for a server that begins anywhere in
// the stream: how long its viewers wait for a key frame is chance.
func joinOf(r result, d time.Duration) float64 {
	if r.Subject != subjectServer {
		return math.NaN()
	}
	return ms(d)
}

// writePublishers writes the table of what publishers cost.
func writePublishers(w io.Writer, cells []cell, rounds []round) {
	header(w, "publishers", "server", "% of a core", "RSS before MB", "RSS MB", "media in rings MB")
	for _, c := range cells {
		at := func(f func(result) float64) float64 { return median(rounds, c, f) }
		row(w, fmt.Sprint(c.N), c.name(),
			number(100*at(result.core), 2),
			number(at(func(r result) float64 { return float64(r.RSSBefore) / 1e6 }), 1),
			number(at(func(r result) float64 { return float64(r.RSSAfter) / 1e6 }), 1),
			number(at(func(r result) float64 {
				if r.Subject != subjectServer {
					return math.NaN()
				}
				return float64(r.Stats.RingBytes) / 1e6
			}), 1))
	}
}

// writeJoins writes the table of what a viewer waits who comes alone.
func writeJoins(w io.Writer, cells []cell, joins []crowd.Joins) {
	header(w, "joins", "server", "from connecting ms", "from asking ms")
	for i, c := range cells {
		j := joins[i]
		row(w, fmt.Sprint(c.N), c.name(), pair(ms(j.ConnectP50), ms(j.ConnectP99)), pair(ms(j.AskedP50), ms(j.AskedP99)))
	}
}

// A target is a figure that the server has to reach.
type target struct {
	what   string
	got    float64
	most   float64
	digits int
}

type targets []target

// add adds a target, if it was measured.
func (all *targets) add(what string, got, most float64, digits int) {
	if !math.IsNaN(got) {
		*all = append(*all, target{what, got, most, digits})
	}
}

// viewerTargets returns the targets that cells with viewers tell something about.
func viewerTargets(cells []cell, rounds []round) (all targets) {
	for _, c := range cells {
		if c.Subject != subjectServer {
			continue
		}
		name := fmt.Sprintf("%s, %d viewers, batch %s", c.name(), c.N, c.batch())
		if c.N == 500 || c.N == 1000 {
			all.add(name+": CPU per GB ÷ floor", ratio(rounds, c, floorOf(c)), 1.3, 2)
			if c.Merge == 0 && c.Protocol != crowd.RTSP {
				all.add(name+": CPU per GB ÷ nginx-rtmp", ratio(rounds, c, nginxOf(c)), 0.9, 2)
			}
		}
		if c.N == 100 && c.Merge == 0 && !c.udp() {
			most := 5.0
			if c.Protocol == crowd.FMP4 || c.Protocol == crowd.WSFMP4 {
				most += ms(media.FrameInterval) // a fragment waits for the next frame
			}
			all.add(name+": latency p99, ms", median(rounds, c, func(r result) float64 { return ms(r.LatencyP99) }), most, 2)
		}
		if c.N == 1000 && c.Protocol == crowd.RTSP {
			all.add(name+": first key frame p50 from connecting, ms", median(rounds, c, func(r result) float64 { return ms(r.JoinP50) }), 3, 2)
		}
		if c.N == 1000 && !c.udp() {
			most := 9.0
			if c.Protocol == crowd.RTSP {
				most = 16
			}
			all.add(name+": memory per viewer, KB", median(rounds, c, result.perViewer)/1e3, most, 1)
		}
		if c.N == 1000 || c.N == 3000 {
			bad := sum(rounds, c, func(r result) int { return r.Behind + r.Gone + r.lost() })
			all.add(name+": viewers behind or cut, frames lost", float64(bad), 0, 0)
		}
	}
	return all
}

// publisherTargets returns the targets that cells without viewers tell something about.
func publisherTargets(cells []cell, rounds []round) (all targets) {
	for _, c := range cells {
		if c.Subject != subjectServer || c.Protocol != crowd.RTMP {
			continue
		}
		core := 100 * median(rounds, c, result.core)
		switch c.N {
		case 1:
			all.add("one publisher, no viewer: % of a core", core, 0.5, 2)
		case 100:
			all.add("100 publishers, no viewer: % of a core", core, 8, 2)
			ring := median(rounds, c, func(r result) float64 { return float64(r.Stats.RingBytes) / 1e6 })
			rss := median(rounds, c, func(r result) float64 { return float64(r.RSSAfter) / 1e6 })
			all.add("100 publishers, no viewer: RSS in MB (at most 60 and twice the media in rings)", rss, 60+2*ring, 1)
		}
	}
	return all
}

// joinTargets returns the targets that joins tell something about.
func joinTargets(cells []cell, joins []crowd.Joins) (all targets) {
	for i, c := range cells {
		most := 2.0
		if c.Protocol == crowd.RTSP || c.Protocol == crowd.RTSPUDP {
			most = 3
		}
		all.add(c.name()+": first key frame p50 from asking, ms", ms(joins[i].AskedP50), most, 2)
	}
	return all
}

// writeTargets writes the targets and whether they are met.
func writeTargets(w io.Writer, all targets) {
	header(w, "target", "measured", "at most", "")
	for _, t := range all {
		verdict := "ok"
		if t.got > t.most {
			verdict = "**missed**"
		}
		row(w, t.what, number(t.got, t.digits), number(t.most, t.digits), verdict)
	}
}

func header(w io.Writer, cells ...string) {
	row(w, cells...)
	row(w, strings.Fields(strings.Repeat("--- ", len(cells)))...)
}

func row(w io.Writer, cells ...string) {
	fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
}

// number formats v; what was not measured is a dash.
func number(v float64, digits int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// pair formats a median and a 99th percentile.
func pair(p50, p99 float64) string {
	if math.IsNaN(p50) {
		return "–"
	}
	return number(p50, 1) + " / " + number(p99, 1)
}

// The lines between which a file keeps the results.
const (
	resultsBegin = "<!-- results -->\n"
	resultsEnd   = "<!-- /results -->\n"
)

// insert returns the text of a file with the results in their place: between
// the lines that mark it, or alone if there are none.
func insert(file, results []byte) []byte {
	before, rest, ok := bytes.Cut(file, []byte(resultsBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(resultsEnd))
	if !ok || !ok2 {
		return results
	}
	return slices.Concat(before, []byte(resultsBegin), results, []byte(resultsEnd), after)
}
