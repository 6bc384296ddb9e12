package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/crowd"
)

// testRounds are two rounds of a server that costs 1.2 and 1.4 times the floor.
func testRounds() ([]cell, []round) {
	ours, floor := cell{subjectServer, crowd.RTMP, 1000, 0}, cell{subjectFloor, crowd.Plain, 1000, 0}
	make1 := func(c cell, cpu time.Duration) result {
		r := result{cell: c, RSSBefore: 10e6, RSSAfter: 18e6, Busy: 0.5}
		r.CPU, r.Bytes = cpu, 2e9
		r.LatencyP50, r.LatencyP99 = time.Millisecond, 3*time.Millisecond
		r.JoinP50, r.JoinP99 = time.Millisecond, 2*time.Millisecond
		return r
	}
	bad := make1(ours, 1400*time.Millisecond)
	bad.Behind, bad.Missed = 2, 5
	return []cell{floor, ours}, []round{
		{make1(floor, time.Second), make1(ours, 1200*time.Millisecond)},
		{make1(floor, time.Second), bad},
	}
}

func TestRatio(t *testing.T) {
	cells, rounds := testRounds()
	require.InDelta(t, 1.3, ratio(rounds, cells[1], floorOf(cells[1])), 1e-9)
	require.True(t, math.IsNaN(ratio(rounds, cells[1], nginxOf(cells[1]))))
	require.InDelta(t, 0.65, median(rounds, cells[1], result.perGB), 1e-9)
	require.Equal(t, 5, sum(rounds, cells[1], func(r result) int { return r.Missed }))
}

func TestWriteViewers(t *testing.T) {
	cells, rounds := testRounds()
	var b strings.Builder
	writeViewers(&b, cells, rounds)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 4)
	for _, l := range lines {
		require.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"), l)
	}
	require.Equal(t, "| 1000 | frame | floor | 0.500 | – | – | 8.0 | – | 1.0 / 3.0 | 0 | 0 | 0 | 50 % |", lines[2])
	require.Equal(t, "| 1000 | frame | MediaKit RTMP | 0.650 | 1.30 | – | 8.0 | 1.0 / 2.0 | 1.0 / 3.0 | 0 | 2 | 5 | 50 % |", lines[3])
}

func TestTargets(t *testing.T) {
	cells, rounds := testRounds()
	var b strings.Builder
	writeTargets(&b, viewerTargets(cells, rounds))
	require.Contains(t, b.String(), "÷ floor | 1.30 | 1.30 | ok |")
	require.Contains(t, b.String(), "memory per viewer, KB | 8.0 | 9.0 | ok |")
	require.Contains(t, b.String(), "frames lost | 7 | 0 | **missed** |")

	udp := cell{subjectServer, crowd.RTSPUDP, 1000, 0}
	rtsp := cell{subjectServer, crowd.RTSP, 1000, 0}
	lossy := result{cell: udp, RSSAfter: 30e6}
	lossy.CPU, lossy.Bytes, lossy.Lost = 1100*time.Millisecond, 1e9, 3
	base := result{cell: floorOf(udp)}
	base.CPU, base.Bytes = time.Second, 1e9
	slow := result{cell: rtsp, RSSAfter: 15e6}
	slow.Bytes, slow.JoinP50 = 1e9, 4*time.Millisecond
	b.Reset()
	writeTargets(&b, viewerTargets([]cell{udp, rtsp}, []round{{base, lossy, slow}}))
	require.Contains(t, b.String(), "RTSP/UDP, 1000 viewers, batch frame: CPU per GB ÷ floor | 1.10 | 1.30 | ok |")
	require.Contains(t, b.String(), "frames lost | 3 | 0 | **missed** |")
	require.NotContains(t, b.String(), "30.0")
	require.Contains(t, b.String(), "memory per viewer, KB | 15.0 | 16.0 | ok |")
	require.Contains(t, b.String(), "from connecting, ms | 4.00 | 3.00 | **missed** |")

	c := cell{subjectServer, crowd.RTMP, 100, 0}
	r := result{cell: c, RSSAfter: 90e6}
	r.CPU, r.Time, r.Stats.RingBytes = 100*time.Millisecond, time.Second, 20e6
	b.Reset()
	writeTargets(&b, publisherTargets([]cell{c}, []round{{r}}))
	require.Contains(t, b.String(), "% of a core | 10.00 | 8.00 | **missed** |")
	require.Contains(t, b.String(), "| 90.0 | 100.0 | ok |")

	b.Reset()
	writeTargets(&b, joinTargets([]cell{c}, []crowd.Joins{{AskedP50: time.Millisecond}}))
	require.Contains(t, b.String(), "| 1.00 | 2.00 | ok |")
	require.Empty(t, publisherTargets([]cell{{subjectServer, crowd.RTSP, 100, 0}}, nil))
}

func TestInsert(t *testing.T) {
	const results = "new\n"
	require.Equal(t, results, string(insert(nil, []byte(results))))
	require.Equal(t, results, string(insert([]byte("no marks\n"), []byte(results))))
	require.Equal(t, "a\n"+resultsBegin+results+resultsEnd+"b\n",
		string(insert([]byte("a\n"+resultsBegin+"old\nold\n"+resultsEnd+"b\n"), []byte(results))))
}

func TestTransmux(t *testing.T) {
	all := []transmuxing{{
		conversion: conversion{From: "film.fmp4.mp4", To: "film.ts"}, Bytes: 600e6,
		Ours:   []effort{{2 * time.Second, time.Second, 30e6}, {3 * time.Second, 2 * time.Second, 31e6}, {4 * time.Second, time.Second, 32e6}},
		Theirs: []effort{{time.Second, 2 * time.Second, 60e6}, {time.Second, 2 * time.Second, 60e6}, {2 * time.Second, 4 * time.Second, 60e6}},
		Short:  effort{RSS: 13e6},
	}}
	var b strings.Builder
	writeTransmux(&b, all)
	require.Contains(t, b.String(), "| fMP4 → TS | 600 | 3.00 | 2.00 | 1.00 | 0.50 | 31 | 60 | 13 |\n")
	b.Reset()
	writeTargets(&b, transmuxTargets(all))
	require.Contains(t, b.String(), "wall ÷ ffmpeg's | 2.00 | 1.00 | **missed** |")
	require.Contains(t, b.String(), "CPU ÷ ffmpeg's | 0.50 | 1.00 | ok |")
	require.Contains(t, b.String(), "(the collector's choice) | 16.4 | 16.0 | **missed** |")
	require.Contains(t, b.String(), "RSS ÷ ffmpeg's | 0.52 | 1.00 | ok |")
}
