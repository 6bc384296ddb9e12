package codec

import (
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// A DTSExtractor makes decoding times for streams whose wire tells
// presentation times only, such as RTP: from the picture order count of H.264,
// from the reference picture sets of H.265. Other codecs have no reordering.
// The zero value is ready. It serves one track.
type DTSExtractor struct {
	track *Track // the one the extractor below was set up for
	inner interface {
		Extract(au [][]byte, pts int64) (int64, error)
	}
	au    [][]byte
	last  time.Duration
	begun bool
}

// dtsClock is that of the extractors of mediacommon, in Hz.
const dtsClock = 90000

// Extract returns the decoding time of f from f.PTS, f.Data and f.Track; it
// does not read f.DTS. Frames must come in decoding order, beginning with a
// key frame. The result never falls, except at [FlagDiscont], where a new
// timeline begins.
//
// If the order of the pictures cannot be found out, the error wraps
// [ErrInvalid] and the time is a guess that is good for streams without
// reordering: PTS, but not before the time returned last.
func (d *DTSExtractor) Extract(f *Frame) (time.Duration, error) {
	if f.Has(FlagDiscont) {
		*d = DTSExtractor{au: d.au}
	}
	dts, err := d.extract(f)
	if err != nil || dts > f.PTS { // the latter while the depth of reordering is being learnt
		dts = f.PTS
	}
	if d.begun {
		dts = max(dts, d.last)
	}
	d.begun, d.last = true, dts
	return dts, err
}

func (d *DTSExtractor) extract(f *Frame) (time.Duration, error) {
	t := f.Track
	if t.Codec != H264 && t.Codec != H265 {
		return f.PTS, nil
	}
	if d.track == nil || d.track != t && !d.track.SameConfig(t) {
		d.inner = nil
	}
	d.track = t
	again := d.inner != nil && f.Key()
	pts := Ticks(f.PTS, dtsClock)
	dts, err := d.run(f, pts)
	if err != nil && again { // the timeline jumped: start over here
		d.inner = nil
		dts, err = d.run(f, pts)
	}
	if err != nil {
		return 0, err
	}
	if dts == pts {
		return f.PTS, nil
	}
	return FromTicks(dts, dtsClock), nil
}

// run feeds the extractor with f, a new one with the parameter sets first.
func (d *DTSExtractor) run(f *Frame, pts int64) (int64, error) {
	t := f.Track
	d.au = d.au[:0]
	if d.inner == nil {
		d.au = append(d.au, t.ParameterSets()...)
		for _, nalu := range d.au {
			if _, err := parseParamSet(t.Codec, nalu); err != nil {
				return 0, err
			}
		}
		d.setUp(t.Codec)
	}
	for nalu := range f.NALUs() {
		if r := roleOf(t.Codec, nalu); r == roleKey || r == rolePicture {
			d.au = append(d.au, nalu)
		}
	}
	dts, err := d.inner.Extract(d.au, pts)
	clear(d.au) // let go of the frame
	if err != nil {
		return 0, invalid("%v DTS: %v", t.Codec, err)
	}
	return dts, nil
}

func (d *DTSExtractor) setUp(c Codec) {
	if c == H265 {
		e := &h265.DTSExtractor{}
		e.Initialize()
		d.inner = e
		return
	}
	e := &h264.DTSExtractor{}
	e.Initialize()
	d.inner = e
}
