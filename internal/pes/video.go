package pes

import (
	"bytes"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// Pictures are mostly one PES packet each. Some encoders cut large pictures, as
// the length of a PES packet has 16 bits, or send slices and parameter sets
// apart: such packets repeat the time of the first or have none. Others cut
// packets where they please (see pictures.go).
const (
	wholeTimes = 8                     // pictures that came in one packet, or ended where that was told, until it is believed
	doubtTimes = 100                   // pictures until what was told wrongly is believed
	never      = 1 << 30               // pictures until what cost one is
	largePES   = 60_000                // bytes of a packet after which another may follow
	UsualStep  = 40 * time.Millisecond // between pictures without times
)

// pictures is what a Stream knows of how its pictures come.
type pictures struct {
	pts, dts  uint64 // as written, of the unit
	seenParts bool   // a picture came in several PES packets
	whole     int    // pictures in a row that came in one, with its length
	prompted  bool   // the last one went out before the next began
	step      time.Duration
	looked    looked

	large    bool // the PES packet is so long that another may follow
	marked   int  // where the end of the unit was told
	doubtful bool // and that was not it
	truths   int  // units in a row that ended where that was told

	loose    bool   // PES packets do not begin with pictures
	wasLoose bool   // they did not once
	seeking  bool   // until one begins
	marks    []mark // of loose streams
	shown    shown

	hasDTS    bool // there are pictures with a DTS of their own
	reordered bool // though there should be
	extractor codec.DTSExtractor
	extracts  bool // from a key frame on
}

// forgetUnit forgets what is known of the unit.
func (v *pictures) forgetUnit() {
	v.looked = looked{}
	v.marked, v.doubtful = 0, false
	v.marks = v.marks[:0]
}

// straggler notes payload behind the end of a unit.
func (v *pictures) straggler() {
	if v.prompted {
		v.seenParts = true
		v.truths = -never
	}
}

// prompt reports whether the unit, which is as long as its PES packet, is a whole
// picture, so that the next one need not be waited for.
func (v *pictures) prompt(s *Stream) bool {
	if v.seenParts || s.size > largePES || !beginsPicture(s.Codec, s.unit) {
		v.whole = 0
		return false
	}
	v.whole++
	v.prompted = v.whole > wholeTimes
	return v.prompted
}

// Mark tells that the sender says that a frame ends here. Senders may say so
// wrongly: the picture that has begun goes out at once if that was right so far.
func (s *Stream) Mark() {
	v := &s.video
	if !s.IsVideo() || !s.inUnit || len(s.unit) == 0 || v.loose {
		return
	}
	v.doubtful = v.doubtful || v.marked > 0 && v.marked < len(s.unit)
	v.marked = len(s.unit)
	if v.truths < wholeTimes || v.doubtful || v.large || !s.lookForPicture() {
		return
	}
	s.finish(false)
	v.prompted = true
}

// Doubt is Mark where that is certainly wrong, as within a PES packet.
func (s *Stream) Doubt() {
	s.video.doubtful = true
	s.video.truths = min(s.video.truths, -doubtTimes)
}

// checkMark is called when the unit has ended because another one begins.
func (v *pictures) checkMark(unit int) {
	switch {
	case unit == 0:
	case v.marked != unit || v.doubtful:
		v.truths = min(v.truths, 0)
	case v.truths < wholeTimes:
		v.truths++
	}
}

// continues reports whether a PES packet goes on with the picture of the one
// before.
func (s *Stream) continues(h *Header, payload []byte) bool {
	if beginsPicture(s.Codec, payload) {
		return false
	}
	if h.HasPTS {
		return s.hasTime && h.PTS == s.video.pts && h.DTS == s.video.dts
	}
	if !s.inUnit || len(s.unit) == 0 {
		return true
	}
	kind, ok := unitKind(s.Codec, afterZeros(payload))
	return !ok || kind == partOther || !s.lookForPicture()
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

// afterZeros returns b from the 1 of its first start code on, if it begins with
// that.
func afterZeros(b []byte) []byte {
	rest := bytes.TrimLeft(b[:min(len(b), 8)], "\x00")
	zeros := min(len(b), 8) - len(rest)
	if zeros < 2 || len(rest) == 0 || rest[0] != 1 {
		return nil
	}
	return b[zeros:]
}

// beginsPicture reports whether b begins with what a picture begins with: an
// access unit delimiter; of MPEG-2 the header of a picture, a group or a sequence.
func beginsPicture(c codec.Codec, b []byte) bool {
	b = afterZeros(b)
	if len(b) < 2 {
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

// finishPicture makes a frame of a picture, at the times of the unit.
func (s *Stream) finishPicture(b []byte) {
	v := &s.video
	switch {
	case s.hasTime && s.begun && s.dts > s.last && s.dts-s.last < time.Second:
		v.step = s.dts - s.last
	case !s.hasTime && !s.begun:
		return
	case !s.hasTime:
		if v.step == 0 {
			v.step = UsualStep
		}
		s.dts = s.last + v.step
		s.pts = s.dts
	}
	f := &codec.Frame{DTS: s.dts, PTS: s.pts}
	if s.Codec == codec.MPEG2Video {
		f.Track, f.Data = s.track, bytes.Clone(b)
		if codec.IsKey(s.track, f.Data) {
			f.Flags |= codec.FlagKey
		}
	} else {
		t, data, key, err := codec.ParseAnnexB(s.track, b)
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
	if v.loose && v.hasDTS {
		v.shown.place(f, s.hasTime, v.step)
	}
	s.a.emit(s, f)
}
