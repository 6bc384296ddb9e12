package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/camera"
)

// ingestTestTurn is a turn in which 10 cameras sent 1000 packets.
func ingestTestTurn(cpu time.Duration, packets, lost, frames uint64) ingestTurn {
	return ingestTurn{
		CPU: cpu, Time: 2 * time.Second, Bytes: 500e6, Busy: 0.5, RSSBefore: 10e6, RSSAfter: 20e6,
		Sent:  camera.Sent{Packets: 1000, Frames: 300, Late: 7 * time.Millisecond},
		Stats: ingestStats{Streams: 10, Packets: packets, Lost: lost, Drops: lost / 2, Frames: frames, Buffer: 33e6},
	}
}

func TestIngestTurn(t *testing.T) {
	for _, c := range []struct {
		name          string
		turn          ingestTurn
		lost, pending int64
	}{
		{"all", ingestTestTurn(0, 1000, 0, 300), 0, 0},
		{"the last frames wait", ingestTestTurn(0, 1000, 0, 280), 0, 0},
		{"a frame is missing", ingestTestTurn(0, 1000, 0, 279), 0, 1},
		{"packets are missing", ingestTestTurn(0, 990, 4, 300), 10, 0},
		{"a session ended, others lost", ingestTestTurn(0, 1000, 4, 300), 4, 0},
	} {
		require.Equal(t, c.lost, c.turn.lost(), c.name)
		require.Equal(t, c.pending, c.turn.framesLost(10), c.name)
	}
	turn := ingestTestTurn(time.Second, 1000, 0, 300)
	require.InDelta(t, 2, turn.perGB(), 1e-9)
	require.InDelta(t, 0.5, turn.core(), 1e-9)
	require.InDelta(t, 2e9, turn.rate(), 1)
}

func TestWriteIngest(t *testing.T) {
	c := ingestCell{Subject: subjectServer, N: 10, Ports: true}
	base := c
	base.Subject = subjectFloor
	all := []ingesting{
		{base, []ingestTurn{ingestTestTurn(time.Second, 1000, 0, 0), ingestTestTurn(2*time.Second, 1000, 0, 0)}},
		{c, []ingestTurn{ingestTestTurn(2*time.Second, 1000, 0, 300), ingestTestTurn(3*time.Second, 990, 4, 270)}},
	}
	require.Equal(t, "MediaKit, 10 ports, joined", c.name())
	var b strings.Builder
	writeIngest(&b, all)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 4)
	for _, l := range lines {
		require.Equal(t, strings.Count(lines[0], "|"), strings.Count(l, "|"), l)
	}
	require.Equal(t, "| 10 | 10 ports, joined | floor | 2000 | 3.000 | – | 75 | 10 | 20 | 10 | 0 | 0 | – | 33.0 | 7 | 50 % |", lines[2])
	require.Equal(t, "| 10 | 10 ports, joined | MediaKit | 2000 | 5.000 | 1.75 | 125 | 10 | 20 | 10 | 10 | 2 | 10 | 33.0 | 7 | 50 % |", lines[3])

	b.Reset()
	writeTargets(&b, ingestTargets(all))
	require.Contains(t, b.String(), "10 cameras, 10 ports, joined: packets lost | 10 | 0 | **missed** |")
	require.Contains(t, b.String(), "frames lost | 10 | 0 | **missed** |")
	require.Contains(t, b.String(), "streams missing | 0 | 0 | ok |")

	slugs := map[string]bool{}
	for _, c := range ingestCells() {
		if c.Subject == subjectServer {
			require.False(t, slugs[c.slug()], c.slug())
			slugs[c.slug()] = true
		}
	}
	require.Len(t, slugs, 3)
}
