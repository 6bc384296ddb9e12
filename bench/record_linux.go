package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/mediakit-go/mediakit/bench/internal/child"
	"github.com/mediakit-go/mediakit/bench/internal/crowd"
	"github.com/mediakit-go/mediakit/bench/internal/proc"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/record"
	"github.com/mediakit-go/mediakit/source"
)

// recordKinds are what is measured.
func recordKinds() []recordKind {
	return []recordKind{
		{"MP4", record.Options{Format: record.MP4}},
		{"MP4, fast start", record.Options{Format: record.MP4, Layout: mp4.LayoutFastStart}},
		{"MP4, fragmented", record.Options{Format: record.MP4, Layout: mp4.LayoutFragmented}},
		{"FLV", record.Options{Format: record.FLV}},
		{"TS", record.Options{Format: record.TS}},
		{"HLS, TS", record.Options{Format: record.HLS}},
		{"HLS, fMP4", record.Options{Format: record.HLSFMP4}},
	}
}

// measureRecord records streams that a second process publishes by RTMP, and
// measures what that costs the server, which this process is. The files lie in a
// folder of the system's for such (TMPDIR) and are deleted.
func measureRecord(o options, progress func(string, ...any)) ([]recording, error) {
	s, err := startServer(0)
	if err != nil {
		return nil, err
	}
	defer s.close()
	publishers, err := child.Start("publish")
	if err != nil {
		return nil, err
	}
	defer publishers.Close()
	st := &stage{publish: publishers, addrs: s.addrs()}
	if err := st.startPublishers(crowd.RTMP, recordStreams, o); err != nil {
		return nil, err
	}
	if n := len(s.hub.Streams()); n != recordStreams {
		return nil, fmt.Errorf("%d of %d streams", n, recordStreams)
	}
	length := recordTime
	if o.quick {
		length = o.duration
	}
	var all []recording
	for _, k := range recordKinds() {
		r, err := recordAs(s.hub, k, length)
		if err != nil {
			return all, fmt.Errorf("%s: %w", k.name, err)
		}
		progress("recorded as %s: %.1f %% of a core, %d frames lost", k.name, 100*r.cores(), r.lost)
		all = append(all, r)
	}
	return all, st.lost()
}

// recordAs records all streams of the hub for so long.
func recordAs(hub *source.Hub, k recordKind, d time.Duration) (r recording, err error) {
	r.recordKind = k
	root, err := os.MkdirTemp("", "mediakit-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(root)
	if r.idle, err = coresFor(d / 2); err != nil {
		return r, err
	}
	recorders := &record.Recorders{Hub: hub, Root: root}
	defer recorders.Close()
	before, err := diskWritten()
	if err != nil {
		return r, err
	}
	began := time.Now()
	for _, stream := range hub.Streams() {
		if _, err := recorders.Start(stream.Key(), k.o); err != nil {
			return r, err
		}
	}
	all := recorders.All()
	if r.busy, err = coresFor(d); err != nil {
		return r, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.memory = m.HeapInuse
	for _, rec := range all {
		r.queued = max(r.queued, rec.Stats().Queued)
	}
	r.time = time.Since(began)
	ending := time.Now()
	if err := recorders.Close(); err != nil {
		return r, err
	}
	r.finish = time.Since(ending)
	after, err := diskWritten()
	r.written = after - before
	for _, rec := range all {
		st := rec.Stats()
		r.frames, r.lost, r.errors, r.bytes = r.frames+st.Frames, r.lost+st.Lost, r.errors+st.Errors, r.bytes+st.Bytes
	}
	return r, err
}

// coresFor waits for so long and returns how many cores this process took meanwhile.
func coresFor(d time.Duration) (float64, error) {
	before, err := proc.CPU(os.Getpid())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	time.Sleep(d)
	after, err := proc.CPU(os.Getpid())
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// diskWritten returns how many bytes of this process were sent to a disk.
func diskWritten() (uint64, error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			return strconv.ParseUint(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, nil
}
