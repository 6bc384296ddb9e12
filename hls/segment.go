package hls

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// A file is what a playlist refers to, in memory: a segment that may still grow,
// or an initialization segment.
type file struct {
	name        string // relative to the playlist
	contentType []string
	etag        []string
	reused      bool                    // another one may get its name one day
	content     atomic.Pointer[content] // nil when only the disk has it
	stored      atomic.Bool             // the disk has it
}

// A content is as much of a file as there is. It is immutable; a larger one may
// begin in the same memory.
type content struct {
	data     []byte
	complete bool
	length   []string // of a complete one: its Content-Length
	modified []string // of a complete one: its Last-Modified
}

// grow replaces the content.
func (f *file) grow(data []byte, complete bool, now time.Time) {
	c := &content{data: data, complete: complete}
	if complete {
		c.length = []string{strconv.Itoa(len(data))}
		c.modified = []string{now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	}
	f.content.Store(c)
}

// A segment is one media segment. The goroutine that writes frames changes it
// until it is complete; others use its file only.
type segment struct {
	file
	sequence    uint64        // media sequence number
	discont     bool          // does not continue the segment before
	init        *file         // its initialization segment; nil if it has none
	wall        time.Time     // of its first frame
	start       time.Duration // DTS
	duration    time.Duration // of the parts cut so far
	size        int           // bytes of those
	parts       []part        // nil when they are not listed any more
	independent bool          // begins with a key frame
	mapped      bool          // has to tell of its initialization segment, which the one before has not
	partial     bool          // its parts are listed, and served while it grows

	offset uint64    // of its lines among those of all segments there were
	lines  int       // bytes of its lines
	gone   time.Time // when it left the playlist
}

// A part is a partial segment, a range of the segment's bytes.
type part struct {
	from, size  int
	duration    time.Duration
	independent bool // contains a key frame
}

// newSegment returns a segment without bytes, named for the time it is cut; that
// of a recording for its number.
func newSegment(o *Options, sequence uint64, now time.Time) *segment {
	c := o.Container
	s := &segment{sequence: sequence}
	s.name = fmt.Sprintf("%s_%d%s", now.UTC().Format("2006-01-02/15/04-05"), sequence, c.extension())
	if o.Record != "" {
		s.name = fmt.Sprintf("%s/%05d%s", recordedFolder(o.Record), sequence, c.extension())
	}
	s.contentType = []string{c.contentType()}
	s.etag = []string{fmt.Sprintf(`"%x-%d"`, now.UnixNano(), sequence)}
	s.content.Store(&content{})
	return s
}

// newInit returns the nth initialization segment.
func newInit(o *Options, n uint64, data []byte, now time.Time) *file {
	f := &file{name: "init.mp4", contentType: []string{FMP4.contentType()}, reused: true}
	if n > 0 {
		f.name = fmt.Sprintf("init-%d.mp4", n)
	}
	if o.Record != "" {
		f.name = recordedFolder(o.Record) + "/" + f.name
	}
	f.etag = []string{fmt.Sprintf(`"%x-i%d"`, now.UnixNano(), n)}
	f.grow(data, true, now)
	return f
}

// end returns the DTS where the part that is being filled begins.
func (s *segment) end() time.Duration { return s.start + s.duration }

// add publishes the bytes of data that are not in a part yet as one that ends at
// the time to.
func (s *segment) add(data []byte, to time.Duration, independent bool, now time.Time) {
	p := part{from: s.size, size: len(data) - s.size, duration: to - s.end(), independent: independent}
	s.parts, s.size = append(s.parts, p), len(data)
	s.duration += p.duration
	s.grow(slices.Clip(data), false, now)
}

// joinParts makes parts for a part target of those that were cut without one, for
// each frame, if that can be done as the target promises.
func (s *segment) joinParts(target time.Duration) {
	var joined []part
	for _, p := range s.parts {
		if n := len(joined); n > 0 && joined[n-1].duration+p.duration <= target {
			last := &joined[n-1]
			last.size, last.duration, last.independent = last.size+p.size, last.duration+p.duration, last.independent || p.independent
			continue
		}
		joined = append(joined, p)
	}
	s.partial = true
	for i, p := range joined {
		if p.duration > target || i < len(joined)-1 && p.duration*100 < target*leastPart {
			s.partial = false
		}
	}
	if s.parts = joined; !s.partial {
		s.parts = nil
	}
}

// complete says that data is all there will be. Memory that is not needed is
// given back where it is much.
func (s *segment) complete(data []byte, now time.Time) {
	if cap(data)-len(data) > len(data)/4 {
		data = slices.Clone(data)
	}
	s.grow(slices.Clip(data), true, now)
}

// bitrate returns that of bytes which take d, in bits per second.
func bitrate(bytes int, d time.Duration) int {
	return int(float64(bytes) * 8 / max(d.Seconds(), 0.001))
}
