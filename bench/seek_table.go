package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/quantile"
)

// A seeking is what it takes to be somewhere in a file.
type seeking struct {
	Name   string
	Length time.Duration
	Bytes  int64
	Open   []time.Duration
	Memory int64           // of an open file, bytes
	Seeks  []time.Duration // from Seek to the first frame
}

// most returns the longest of the seeks.
func (s seeking) most() time.Duration { return slices.Max(s.Seeks) }

// writeSeek writes the table of what seeking takes.
func writeSeek(w io.Writer, all []seeking) {
	header(w, "seek", "length", "MB", "open ms", "KB of an open file", "first frame ms", "at most ms")
	for _, s := range all {
		row(w, s.Name, fmt.Sprint(s.Length), number(float64(s.Bytes)/1e6, 0),
			pair(ms(quantile.Of(slices.Clone(s.Open), 0.5)), ms(quantile.Of(slices.Clone(s.Open), 0.99))),
			number(float64(s.Memory)/1e3, 0),
			pair(ms(quantile.Of(slices.Clone(s.Seeks), 0.5)), ms(quantile.Of(slices.Clone(s.Seeks), 0.99))), number(ms(s.most()), 2))
	}
}

// seekTargets returns the targets that seeking has.
func seekTargets(all []seeking) (targets targets) {
	for _, s := range all {
		targets.add(fmt.Sprintf("%s of %v: first frame after a seek at most, ms", s.Name, s.Length), ms(s.most()), 50, 2)
		targets.add(fmt.Sprintf("%s of %v: memory of an open file, MB", s.Name, s.Length), float64(s.Memory)/1e6, 1, 2)
	}
	return targets
}
