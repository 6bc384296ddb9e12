package rtp

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// maxDelay is the most that pictures are held back to be put in order.
const maxDelay = 2 * time.Second

// A decodingTimes gives the frames of a track their DTS. Where the extractor has
// to count pictures, those that were lost would mislead it: it then rests until
// the next key frame, and PTS less what it has learnt of the stream so far has to
// do.
type decodingTimes struct {
	extractor codec.DTSExtractor
	keyed     bool          // there was a key frame
	intact    bool          // nothing was lost since the last one
	knows     bool          // the extractor has told a DTS before PTS since it was set up
	delay     time.Duration // the most that DTS was before PTS
	begun     bool          // there was a frame
	last      time.Duration // its DTS
}

// lose tells that frames may be missing before the next one.
func (d *decodingTimes) lose() { d.intact = false }

// stamp sets the DTS of f, which never falls. It reports false if f cannot be
// decoded for want of a key frame before it.
func (d *decodingTimes) stamp(f *codec.Frame) bool {
	switch {
	case f.Track.Wire != "":
		f.DTS = f.PTS
	case f.Track.Codec == codec.H264, f.Track.Codec == codec.H265:
		d.keyed = d.keyed || f.Key()
		if !d.keyed {
			return false
		}
		f.DTS = d.reordered(f)
	default:
		if d.begun {
			f.PTS = max(f.PTS, d.last)
		}
		f.DTS = f.PTS
	}
	if d.begun {
		f.DTS = max(f.DTS, d.last)
	}
	d.begun, d.last = true, f.DTS
	return true
}

// reordered returns the DTS of a frame of a codec that reorders pictures.
func (d *decodingTimes) reordered(f *codec.Frame) time.Duration {
	if f.Key() && !d.intact {
		d.intact, d.knows = true, false
		if !d.extractor.Exact() {
			d.extractor = codec.DTSExtractor{}
		}
	}
	if d.intact || d.extractor.Exact() {
		dts, err := d.extractor.Extract(f)
		if d.extractor.Exact() {
			return dts
		}
		if err == nil && dts < f.PTS {
			d.knows = true
			d.delay = max(d.delay, f.PTS-dts)
		}
		if err == nil && d.knows {
			return dts
		}
	}
	if late := d.last - f.PTS; d.begun && late > 0 && d.delay+late <= maxDelay {
		d.delay += late
	}
	return f.PTS - d.delay
}
