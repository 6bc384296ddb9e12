package hls

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/mp4"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// A demuxer finds the frames in the segments of one rendition.
type demuxer interface {
	Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error)
	Tracks() []*codec.Track
}

// A splitter is a demuxer and what differs between containers.
type splitter struct {
	demuxer
	container Container
	flush     func(dst []*codec.Frame) []*codec.Frame // appends the frames that waited for their end; what comes next need not continue them
	complete  func() bool                             // no other track is expected
	period    time.Duration                           // after which the times in segments begin anew; 0: never
}

// tsPeriod is how long the 33 bits of MPEG-TS last.
const tsPeriod = (1 << 33) * time.Second / 90000

// newSplitter returns a splitter for a container.
func newSplitter(c Container) *splitter {
	if c == TS {
		d := &ts.Demuxer{}
		return &splitter{demuxer: d, container: c, flush: d.Flush, complete: d.Complete, period: tsPeriod}
	}
	if c == packed {
		d := &packedDemuxer{}
		return &splitter{
			demuxer: d, container: c, flush: d.flush, period: tsPeriod,
			complete: func() bool { return d.track != nil },
		}
	}
	d := &mp4.Demuxer{}
	return &splitter{
		demuxer: d, container: c,
		flush: func(dst []*codec.Frame) []*codec.Frame {
			d.Flush()
			return dst
		},
		complete: func() bool {
			ts := d.Tracks()
			return len(ts) > 0 && !slices.ContainsFunc(ts, func(t *codec.Track) bool { return !t.Ready() })
		},
	}
}

const sniffed = 8 // bytes

// sniff tells by how a segment begins what it is.
func sniff(b []byte) (Container, error) {
	if len(b) > 0 && b[0] == 0x47 {
		return TS, nil
	}
	if len(b) >= sniffed {
		switch string(b[4:8]) {
		case "ftyp", "styp", "moof", "moov", "sidx", "emsg", "prft", "free", "skip", "uuid", "mdat":
			return FMP4, nil
		}
	}
	if is, err := isPacked(b); is || err != nil {
		return packed, err
	}
	if bytes.HasPrefix(b, []byte("WEBVTT")) {
		return 0, fmt.Errorf("%w: segments of subtitles", source.ErrUnsupported)
	}
	return 0, invalid("a segment that begins with %q", b)
}
