package main

import (
	"io"
	"path/filepath"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// A conversion is a file put into another container.
type conversion struct {
	From, To   string
	Fragmented bool // To is MP4 in fragments
}

// name is what the tables call c.
func (c conversion) name() string {
	kind := func(file string) string {
		switch filepath.Ext(file) {
		case ".ts":
			return "TS"
		case ".flv":
			return "FLV"
		}
		if file == "film.fmp4.mp4" {
			return "fMP4"
		}
		return "MP4"
	}
	return kind(c.From) + " → " + kind(c.To)
}

// An effort is what a process took.
type effort struct {
	Wall, CPU time.Duration
	RSS       int64 // the most it had
}

// A transmuxing is a conversion by us and by ffmpeg, taking turns, and by us of a
// film an eighth as long.
type transmuxing struct {
	conversion
	Bytes        int64 // of the file that is read
	Ours, Theirs []effort
	Short        effort
}

func (e effort) wall() float64 { return e.Wall.Seconds() }
func (e effort) cpu() float64  { return e.CPU.Seconds() }
func (e effort) rss() float64  { return float64(e.RSS) / 1e6 }

// ratio returns what we took next to ffmpeg: the median of the turns.
func (t transmuxing) ratio(of func(effort) float64) float64 {
	var all []float64
	for i := range t.Ours {
		all = append(all, of(t.Ours[i])/of(t.Theirs[i]))
	}
	return quantile.Median(all)
}

// medianOf returns the median of a figure.
func medianOf(all []effort, of func(effort) float64) float64 {
	var v []float64
	for _, e := range all {
		v = append(v, of(e))
	}
	return quantile.Median(v)
}

// writeTransmux writes the table of what conversions take.
func writeTransmux(w io.Writer, all []transmuxing) {
	header(w, "transmux", "MB", "wall s", "× ffmpeg", "CPU s", "× ffmpeg", "most RSS MB", "ffmpeg MB", "an eighth MB")
	for _, t := range all {
		row(w, t.name(), number(float64(t.Bytes)/1e6, 0),
			number(medianOf(t.Ours, effort.wall), 2), number(t.ratio(effort.wall), 2),
			number(medianOf(t.Ours, effort.cpu), 2), number(t.ratio(effort.cpu), 2),
			number(medianOf(t.Ours, effort.rss), 0), number(medianOf(t.Theirs, effort.rss), 0), number(t.Short.rss(), 0))
	}
}

// transmuxTargets returns the targets that conversions have. What an index takes is
// 16 bytes a frame; a film has one in 6 KB.
func transmuxTargets(all []transmuxing) (targets targets) {
	for _, t := range all {
		targets.add(t.name()+": wall ÷ ffmpeg's", t.ratio(effort.wall), 1, 2)
		targets.add(t.name()+": CPU ÷ ffmpeg's", t.ratio(effort.cpu), 1, 2)
		index := float64(t.Bytes) / 6e3 * 16 / 1e6
		targets.add(t.name()+": RSS beyond that of an eighth and the index, MB (the collector's choice)", medianOf(t.Ours, effort.rss)-t.Short.rss()-index, 16, 1)
		targets.add(t.name()+": RSS ÷ ffmpeg's", t.ratio(effort.rss), 1, 2)
	}
	return targets
}
