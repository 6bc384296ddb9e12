package ts

import (
	"bytes"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// Pictures are mostly one PES packet each. Some encoders cut large pictures, as
// the length of a PES packet has 16 bits, or send slices and parameter sets
// apart: such packets repeat the time of the first or have none.
const (
	wholeTimes = 8                     // pictures that came in one packet, until that is believed
	largePES   = 60_000                // bytes of a packet after which another may follow
	usualStep  = 40 * time.Millisecond // between pictures without times
)

// pictures is what a demuxStream knows of how its pictures come.
type pictures struct {
	pts, dts  uint64 // as written, of the unit
	seenParts bool   // a picture came in several PES packets
	whole     int    // pictures in a row that came in one, with its length
	prompted  bool   // the last one went out before the next began
	step      time.Duration

	hasDTS    bool // there are pictures with a DTS of their own
	reordered bool // though there should be
	extractor codec.DTSExtractor
	extracts  bool // from a key frame on
}

// straggler notes a packet behind the end of a unit.
func (v *pictures) straggler() {
	if v.prompted {
		v.seenParts = true
	}
}

// prompt reports whether the unit, which is as long as its PES packet, is a whole
// picture, so that the next one need not be waited for.
func (v *pictures) prompt(s *demuxStream) bool {
	if v.seenParts || s.size > largePES || !beginsPicture(s.codec, s.unit) {
		v.whole = 0
		return false
	}
	v.whole++
	v.prompted = v.whole > wholeTimes
	return v.prompted
}

func (s *demuxStream) isVideo() bool { return s.codec.Kind() == codec.KindVideo }

// continues reports whether a PES packet goes on with the picture of the one
// before.
func (s *demuxStream) continues(h *pes, payload []byte) bool {
	if beginsPicture(s.codec, payload) {
		return false
	}
	return !h.hasPTS || s.hasTime && h.pts == s.video.pts && h.dts == s.video.dts
}

// extractDTS makes the DTS of pictures where it is not told though they are
// reordered: PTS falls. Some muxers write PTS only.
func (v *pictures) extractDTS(f *codec.Frame, last time.Duration) {
	v.hasDTS = v.hasDTS || f.DTS != f.PTS
	v.reordered = v.reordered || f.PTS < last
	if v.hasDTS || !v.reordered || !v.extracts && !f.Key() {
		return
	}
	v.extracts = true
	if dts, err := v.extractor.Extract(f); err == nil {
		f.DTS = dts
	}
}

// beginsPicture reports whether b begins with what a picture begins with: an
// access unit delimiter; of MPEG-2 the header of a picture, a group or a sequence.
func beginsPicture(c codec.Codec, b []byte) bool {
	b = bytes.TrimLeft(b[:min(len(b), 8)], "\x00")
	if len(b) < 2 || b[0] != 1 {
		return false
	}
	switch c {
	case codec.H264:
		return b[1]&0x1f == 9
	case codec.H265:
		return b[1]>>1 == 35
	}
	return b[1] == 0 || b[1] == 0xb3 || b[1] == 0xb8
}

// finishPicture makes a frame of a unit of video.
func (d *Demuxer) finishPicture(s *demuxStream) {
	v := &s.video
	switch {
	case s.hasTime && s.begun && s.dts > s.last && s.dts-s.last < time.Second:
		v.step = s.dts - s.last
	case !s.hasTime && !s.begun:
		return
	case !s.hasTime:
		if v.step == 0 {
			v.step = usualStep
		}
		s.dts = s.last + v.step
		s.pts = s.dts
	}
	f := &codec.Frame{DTS: s.dts, PTS: s.pts}
	if s.codec == codec.MPEG2Video {
		f.Track, f.Data = s.track, bytes.Clone(s.unit)
		if codec.IsKey(s.track, f.Data) {
			f.Flags |= codec.FlagKey
		}
	} else {
		t, data, key, err := codec.ParseAnnexB(s.track, s.unit)
		if err != nil {
			return
		}
		if s.track = t; len(data) == 0 || !t.Ready() {
			return
		}
		f.Track, f.Data = t, data
		if key {
			f.Flags |= codec.FlagKey
		}
	}
	if s.damaged {
		f.Flags |= codec.FlagCorrupt
	}
	if s.begun && !s.discont {
		v.extractDTS(f, s.last)
	} else {
		v.extracts, v.extractor = false, codec.DTSExtractor{}
	}
	d.emit(s, f)
}
