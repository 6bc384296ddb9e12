package hls

import (
	"cmp"
	"log/slog"
	"time"
)

// A Container is what segments are.
type Container uint8

// The containers.
const (
	TS   Container = iota // MPEG-2 transport stream
	FMP4                  // fragmented MP4
)

// Bounds and defaults of segments. A stream without key frames is cut where it
// has none, rather than fill the memory.
const (
	defaultSegment  = 2 * time.Second
	defaultPart     = 200 * time.Millisecond
	defaultSegments = 3
	defaultRetain   = 5
	capFactor       = 10       // times Options.Segment: the longest segment
	maxSegmentBytes = 32 << 20 // beyond, the segment ends with the next frame
)

// Options say how a stream is cut into segments. The zero value is the default.
type Options struct {
	Container Container
	Segment   time.Duration // least length of a segment, which ends before a key frame; 0 means 2 s
	Part      time.Duration // target length of the parts of low-latency HLS; 0 means 200 ms, negative makes none
	Segments  int           // how many segments the playlist lists, more if they are no three target durations; 0 means 3, negative all of them: the playlist is of type EVENT
	Retain    int           // how many more are kept after they left the list; 0 means 5, and never fewer than make three target durations
	Delay     int           // how many more a second playlist lists, hls_delay.m3u8 or hls_delay.fmp4.m3u8, which goes back further; 0 or with Segments < 0: there is none; it is not written to Dir
	Dir       string        // folder where playlist and segments are written, too; "": they are in memory only, with Segments < 0 all of them
	Keep      bool          // segments in Dir are kept when they have left the playlist, which does not list all; see [Writer]
	Record    string        // name of a recording in Dir, such as "11-09-38.m3u8", which a Writer makes instead; see [Writer]
	Logger    *slog.Logger  // nil discards
}

// withDefaults returns o with its defaults filled in: Part is 0 for none.
func (o Options) withDefaults() Options {
	o.Segment = cmp.Or(max(0, o.Segment), defaultSegment)
	o.Part = max(0, min(cmp.Or(o.Part, defaultPart), o.Segment))
	o.Segments = cmp.Or(o.Segments, defaultSegments)
	o.Retain = cmp.Or(max(0, o.Retain), defaultRetain)
	if o.Record != "" {
		o.Segments, o.Part = -1, 0
	}
	if o.Delay = max(0, o.Delay); o.Segments < 0 {
		o.Delay = 0
	}
	o.Retain += o.Delay
	return o
}

// playlist returns the name of the media playlist.
func (c Container) playlist() string {
	if c == FMP4 {
		return "hls.fmp4.m3u8"
	}
	return "hls.m3u8"
}

// delayed returns the name of the one that goes back further.
func (c Container) delayed() string {
	if c == FMP4 {
		return "hls_delay.fmp4.m3u8"
	}
	return "hls_delay.m3u8"
}

// extension returns that of segments.
func (c Container) extension() string {
	if c == FMP4 {
		return ".mp4"
	}
	return ".ts"
}

// contentType returns that of segments.
func (c Container) contentType() string {
	if c == FMP4 {
		return "video/mp4"
	}
	return "video/mp2t"
}
