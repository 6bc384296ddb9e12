package pes

import (
	"bytes"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A shown is when the last pictures of a loose stream are shown. That of those that no
// PES header tells the time of is told by their order, or guessed where that cannot be
// read.
type shown struct {
	order  codec.PictureOrder
	anchor anchor        // the last picture whose time is known
	scale  time.Duration // from one count to the next; 0: not known

	times [16]time.Duration // PTS
	next  int
	ahead [2]time.Duration // from DTS to PTS, of the last key frame and the last other picture that others need
}

// An anchor is a picture that others are placed by.
type anchor struct {
	count int
	pts   time.Duration
	valid bool
}

// maxReorder is more than pictures are shown behind where they are decoded.
const maxReorder = 2 * time.Second

// place sets the PTS of f, which has its DTS, unless it was told.
func (x *shown) place(f *codec.Frame, told bool, step time.Duration) {
	count, first, ok := x.order.Count(f)
	if !ok || first {
		x.anchor.valid = false
	}
	if told && x.anchor.valid && count != x.anchor.count {
		if scale := (f.PTS - x.anchor.pts) / time.Duration(count-x.anchor.count); scale > 0 && scale <= maxReorder {
			x.scale = scale
		}
	}
	x.guess(f, told, step)
	if !told && x.anchor.valid && x.scale > 0 {
		if pts := x.anchor.pts + time.Duration(count-x.anchor.count)*x.scale; pts >= f.DTS && pts <= f.DTS+maxReorder {
			f.PTS = pts
		}
	}
	if ok && (told || first) {
		x.anchor = anchor{count, f.PTS, true}
	}
	x.times[x.next] = f.PTS
	x.next = (x.next + 1) % len(x.times)
}

// guess sets the PTS of f unless it was told: a picture that no other needs goes
// where the first gap is, one that others need as far ahead as the last of its kind.
func (x *shown) guess(f *codec.Frame, told bool, step time.Duration) {
	ahead := &x.ahead[1]
	if f.Key() {
		ahead = &x.ahead[0]
	}
	needed := !disposable(f)
	switch {
	case told && needed:
		*ahead = f.PTS - f.DTS
	case !told:
		f.PTS = f.DTS
		if needed {
			f.PTS += *ahead
		}
		for range x.times {
			if !x.has(f.PTS, step) {
				break
			}
			f.PTS += step
		}
	}
}

// has reports whether there is a picture at about t.
func (x *shown) has(t, step time.Duration) bool {
	for _, at := range x.times {
		if at-t < step/2 && t-at < step/2 {
			return true
		}
	}
	return false
}

// disposable tells whether no other picture needs that of f: nal_ref_idc of H.264 is
// 0, the type of H.265 is that of a sub-layer non-reference picture, that of MPEG-2
// is B.
func disposable(f *codec.Frame) bool {
	if f.Track.Codec == codec.MPEG2Video {
		_, b, ok := bytes.Cut(f.Data, []byte{0, 0, 1, 0})
		return ok && len(b) > 1 && b[1]>>3&7 == 3 // picture_coding_type (13818-2, 6.2.3)
	}
	for nalu := range f.NALUs() {
		switch {
		case len(nalu) == 0:
		case f.Track.Codec == codec.H264:
			if t := nalu[0] & 0x1f; t == 1 || t == 5 {
				return nalu[0]&0x60 == 0
			}
		default:
			if t := nalu[0] >> 1; t < 32 {
				return t < 16 && t&1 == 0
			}
		}
	}
	return false
}
