package codec

import (
	"slices"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// A DTSExtractor makes decoding times for streams whose wire tells
// presentation times only, such as RTP. Where the parameter sets tell by how
// many frames pictures are reordered, as those of H.265 and of most encoders of
// H.264 do, the times are those the encoder had: the presentation times in
// their order, that many frames late. Else the depth is learnt from the picture
// order count during the first group of pictures. Other codecs have no
// reordering. The zero value is ready. It serves one track.
type DTSExtractor struct {
	track *Track // the one it was set up for
	known bool   // the depth of reordering is
	order window
	inner interface { // if it is not
		Extract(au [][]byte, pts int64) (int64, error)
	}
	au    [][]byte
	last  time.Duration
	begun bool
}

const (
	dtsClock  = 90000                 // Hz, of the extractors of mediacommon
	usualStep = 40 * time.Millisecond // between frames, where the stream does not tell
	maxSpan   = 5 * time.Second       // within a window; what is farther away belongs to another timeline
)

// Extract returns the decoding time of f from f.PTS, f.Data and f.Track; it
// does not read f.DTS. Frames must come in decoding order, beginning with a
// key frame. The result never falls, except at [FlagDiscont], where a new
// timeline begins. It may be before 0 when PTS begins there.
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

// Exact reports whether the parameter sets tell the depth of reordering. Then
// frames may be missing; else they mislead the extractor until the next key frame.
func (d *DTSExtractor) Exact() bool { return d.known }

func (d *DTSExtractor) extract(f *Frame) (time.Duration, error) {
	t := f.Track
	if t.Codec != H264 && t.Codec != H265 {
		return f.PTS, nil
	}
	if d.track == nil || d.track != t && !d.track.SameConfig(t) {
		d.inner = nil
		var depth int
		if depth, d.known = reorderDepth(t); d.known {
			d.order.setDepth(depth, stepOf(t))
		}
	}
	d.track = t
	if d.known {
		return d.order.push(f.PTS), nil
	}
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

// reorderDepth returns how many frames at most precede another one in decoding
// order and follow it in presentation order, if the parameter sets tell (H.264,
// E.2.1, max_num_reorder_frames; H.265, 7.4.3.2.1, sps_max_num_reorder_pics).
func reorderDepth(t *Track) (depth int, ok bool) {
	const maxDepth, baseline = 16, 66
	for _, nalu := range t.ParameterSets() {
		if roleOf(t.Codec, nalu) != roleSPS {
			continue
		}
		if t.Codec == H265 {
			s, err := parseH265SPS(nalu)
			if err != nil || len(s.MaxNumReorderPics) == 0 {
				return 0, false
			}
			return int(s.MaxNumReorderPics[len(s.MaxNumReorderPics)-1]), true
		}
		s, err := parseH264SPS(nalu)
		switch {
		case err != nil:
			return 0, false
		case s.PicOrderCntType == 2 || s.ProfileIdc == baseline:
			return 0, true
		case s.VUI == nil || s.VUI.BitstreamRestriction == nil || s.VUI.BitstreamRestriction.MaxNumReorderFrames > maxDepth:
			return 0, false
		}
		return int(s.VUI.BitstreamRestriction.MaxNumReorderFrames), true
	}
	return 0, false
}

// stepOf returns the time between t's frames.
func stepOf(t *Track) time.Duration {
	if t.FrameRate <= 0 {
		return usualStep
	}
	return time.Duration(float64(time.Second) / t.FrameRate)
}

// A window holds the highest presentation times so far, in order: one more than
// the depth of reordering. The lowest of them is the decoding time.
type window struct {
	times []time.Duration
	depth int
	step  time.Duration // between frames
}

// setDepth changes the depth. The highest times are kept.
func (w *window) setDepth(depth int, step time.Duration) {
	w.depth, w.step = depth, step
	if len(w.times) == 0 {
		return
	}
	for len(w.times) <= depth {
		w.times = slices.Insert(w.times, 0, w.times[0]-step)
	}
	w.times = w.times[len(w.times)-depth-1:]
}

// push takes in the next presentation time and returns the decoding time.
func (w *window) push(pts time.Duration) time.Duration {
	if n := len(w.times); n == 0 || pts-w.times[n-1] > maxSpan || w.times[n-1]-pts > maxSpan {
		w.times = w.times[:0]
		for i := w.depth; i >= 0; i-- {
			w.times = append(w.times, pts-time.Duration(i)*w.step)
		}
		return w.times[0]
	}
	w.times[0] = pts
	for i := 1; i < len(w.times) && w.times[i] < w.times[i-1]; i++ {
		w.times[i], w.times[i-1] = w.times[i-1], w.times[i]
	}
	return w.times[0]
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
