package rtsp

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A playback says when the packets of a film are: their time goes on without a gap
// wherever the film goes, and by the clock on the wall at every Scale (RFC 2326,
// 12.34 and appendix B). The zero value plays from time 0 on.
type playback struct {
	origin time.Duration // of the film
	base   time.Duration // when that is
	scale  float64       // 0: 1
	last   time.Duration // DTS of the newest frame in the film
	end    time.Duration // up to when there are packets
	begun  bool          // there was a frame
}

const (
	frameTime   = 40 * time.Millisecond  // about how long a frame is shown
	longestStep = 500 * time.Millisecond // between the times of frames that follow each other
)

// take returns f at its time. key: it is a picture that a viewer can begin with, so
// that it is no other track's that has been told of the jump first.
func (p *playback) take(f *codec.Frame, key bool) *codec.Frame {
	step := f.DTS - p.last
	if p.begun && f.Has(codec.FlagDiscont) && (step.Abs() > longestStep || step < 0 && key) {
		p.origin, p.base = f.DTS, p.end+frameTime
	}
	p.begun, p.last = true, f.DTS
	out := f
	if p.origin != p.base || p.scale != 0 {
		out = new(codec.Frame)
		*out = *f
		out.DTS, out.PTS = p.when(f.DTS), p.when(f.PTS)
	}
	p.end = max(p.end, out.PTS)
	return out
}

// setScale has the film played at another speed after the newest frame.
func (p *playback) setScale(scale float64) {
	p.origin, p.base, p.scale = p.last, p.when(p.last), scale
}

// when returns when a time of the film is.
func (p *playback) when(t time.Duration) time.Duration {
	d := t - p.origin
	if p.scale != 0 {
		d = time.Duration(float64(d) / p.scale)
	}
	return p.base + d
}
