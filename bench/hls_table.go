package main

import (
	"fmt"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// A serving is how fast segments are served.
type serving struct {
	Playlist     string
	Segment      int       // bytes
	Ours, Theirs []float64 // requests per second, taking turns; of nginx with the same bytes in a file
}

// ratio returns how fast we are next to nginx: the median of the turns.
func (s serving) ratio() float64 {
	var all []float64
	for i := range s.Ours {
		all = append(all, s.Ours[i]/s.Theirs[i])
	}
	return quantile.Median(all)
}

// A delay is how long frames take by low-latency HLS, from the publisher's write
// until a player has them.
type delay struct {
	Frames, Parts    int
	AllP50, AllP99   time.Duration // every frame
	LastP50, LastP99 time.Duration // the last frame of each part
	Missed           int           // frames that never came
	PartTarget       time.Duration
}

// writeHLS writes the tables of what is served by HLS.
func writeHLS(w io.Writer, delays []delay, servings []serving) {
	if len(delays) > 0 {
		header(w, "low-latency HLS", "parts", "frames", "every frame ms", "last of a part ms", "lost")
		for _, d := range delays {
			row(w, fmt.Sprintf("parts of %v", d.PartTarget), fmt.Sprint(d.Parts), fmt.Sprint(d.Frames),
				pair(ms(d.AllP50), ms(d.AllP99)), pair(ms(d.LastP50), ms(d.LastP99)), fmt.Sprint(d.Missed))
		}
	}
	if len(servings) > 0 {
		fmt.Fprintln(w)
		header(w, "segments", "KB", "MediaKit requests/s", "nginx requests/s", "× nginx")
		for _, s := range servings {
			row(w, s.Playlist, number(float64(s.Segment)/1e3, 0),
				number(quantile.Median(s.Ours), 0), number(quantile.Median(s.Theirs), 0), number(s.ratio(), 2))
		}
	}
}

// hlsTargets returns the targets that HLS has.
func hlsTargets(delays []delay, servings []serving) (all targets) {
	for _, d := range delays {
		all.add("low-latency HLS: every frame, p99, ms", ms(d.AllP99), 300, 1)
		all.add("low-latency HLS: last frame of a part, p99, ms (at most a part)", ms(d.LastP99), ms(d.PartTarget), 1)
		all.add("low-latency HLS: frames lost", float64(d.Missed), 0, 0)
	}
	for _, s := range servings {
		all.add("segments of "+s.Playlist+": nginx requests/s ÷ ours", 1/s.ratio(), 1/0.8, 2)
	}
	return all
}
