package testmedia

import (
	"github.com/mediakit-go/mediakit/codec"
)

// A picture is what a frame's header tells of it.
type picture struct {
	display int // position in its GOP as shown
	past    int // pictures back to the reference before it
	future  int // pictures ahead to the reference after it; 0 if it needs none
	refs    int // reference pictures before it in the GOP, as decoded
}

func (p picture) key() bool        { return p.past == 0 }
func (p picture) disposable() bool { return p.future > 0 }

// weight is the share of the GOP's bytes.
func (p picture) weight() int {
	switch {
	case p.key():
		return 6
	case p.disposable():
		return 1
	}
	return 2
}

// gopOf returns n pictures in decoding order: a key picture, then reference
// pictures each before the up to b pictures shown before it.
func gopOf(n, b int) []picture {
	gop := []picture{{}}
	for last, refs := 0, 1; last < n-1; refs++ {
		next := min(last+b+1, n-1)
		gop = append(gop, picture{display: next, past: next - last, refs: refs})
		for d := last + 1; d < next; d++ {
			gop = append(gop, picture{display: d, past: d - last, future: next - d, refs: refs + 1})
		}
		last = next
	}
	return gop
}

// A video makes the frames of a video track.
type video struct {
	Stream
	payload *payload
	tracks  [2]*codec.Track
	headers [2]headerWriter
	gop     []picture
	unit    int // bytes of a picture of weight 1
	n       int // frames made
}

// newVideo returns nil if s has no video. s has its defaults.
func newVideo(s Stream, p *payload) *video {
	if s.Video == codec.Opaque {
		return nil
	}
	v := &video{Stream: s, payload: p}
	for i := range v.tracks {
		v.tracks[i] = newTrack(VideoID, s.Video, i, min(s.BFrames, 1))
	}
	for i, t := range v.tracks {
		v.headers[i] = newHeaderWriter(t, i)
	}
	n := max(int(s.GOP.Seconds()*float64(s.FPS)+0.5), 1)
	if s.Video == codec.MJPEG {
		n = 1 // every picture is a key
	}
	v.gop = gopOf(n, s.BFrames)
	total := 0
	for _, p := range v.gop {
		total += p.weight()
	}
	v.unit = s.Bitrate / 8 * n / s.FPS / total
	return v
}

func (v *video) next() *codec.Frame {
	gop, i := v.n/len(v.gop), v.n%len(v.gop)
	pic := v.gop[i]
	set := 0
	if v.Change > 0 {
		set = gop / v.Change % 2
	}
	delay := min(v.BFrames, 1)
	f := &codec.Frame{
		Track: v.tracks[set],
		DTS:   at(v.n, v.FPS),
		PTS:   at(gop*len(v.gop)+pic.display+delay, v.FPS),
	}
	if pic.key() {
		f.Flags |= codec.FlagKey
	}
	if pic.disposable() {
		f.Flags |= codec.FlagDisposable
	}
	v.n++
	f.Data = v.headers[set](pic, gop, max(v.unit*pic.weight(), 64), v.payload)
	return f
}
