package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/mediakit-go/mediakit/record"
)

const (
	recordStreams = 200              // recorded at once
	recordTime    = 20 * time.Second // for so long
)

// A recordKind is what streams are recorded as.
type recordKind struct {
	name string
	o    record.Options
}

// A recording is what it has cost to record.
type recording struct {
	recordKind
	time    time.Duration
	idle    float64       // cores that the server takes without recording
	busy    float64       // and with it
	bytes   uint64        // of the files
	written uint64        // what went to the disk meanwhile, as the system counts
	frames  uint64        //
	lost    uint64        //
	errors  uint64        //
	queued  int           // bytes of one stream that waited at the end
	finish  time.Duration // until all files were finished
	memory  uint64        // heap in use at the end
}

// cores returns how many cores recording takes.
func (r recording) cores() float64 { return r.busy - r.idle }

// writeRecord prints the table.
func writeRecord(w io.Writer, all []recording) {
	fmt.Fprintf(w, "%d streams of 2 Mbit/s recorded at once. CPU is what recording adds to a server that takes them by RTMP.\n\n", recordStreams)
	header(w, "recorded as", "CPU, % of a core", "CPU-s/GB", "written, MB/s", "to the disk, MB/s", "heap, MB", "waiting, KB", "files finished in, s", "frames", "lost", "errors")
	for _, r := range all {
		s := r.time.Seconds()
		row(w, r.name, number(100*r.cores(), 0), number(r.cores()*s/(float64(r.bytes)/1e9), 2),
			number(float64(r.bytes)/1e6/s, 1), number(float64(r.written)/1e6/(s+r.finish.Seconds()), 1),
			number(float64(r.memory)/1e6, 0), number(float64(r.queued)/1e3, 0), number(r.finish.Seconds(), 2),
			strconv.FormatUint(r.frames, 10), strconv.FormatUint(r.lost, 10), strconv.FormatUint(r.errors, 10))
	}
}

// recordTargets compares with what was promised.
func recordTargets(all []recording) (t targets) {
	for _, r := range all {
		t.add(fmt.Sprintf("frames lost of %d streams recorded as %s", recordStreams, r.name), float64(r.lost+r.errors), 0, 0)
	}
	return t
}
