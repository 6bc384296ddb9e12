package pes

import (
	"bytes"

	"github.com/mediakit-go/mediakit/codec"
)

// Where PES packets do not begin with pictures, as in files for DVD, those are told
// by the units that they are made of. The time in a PES header is that of the first
// picture which begins in the packet (13818-1, 2.4.3.7).

// A part is what a NAL unit, or what follows a start code of MPEG-2, is to a
// picture.
type part uint8

const (
	partOther   part = iota // goes on with what was begun
	partPicture             // begins the picture itself
	partPrefix              // stands before a picture
)

// unitKind returns what a unit is that begins behind the zeros of its start code,
// with the 1. It reports false if b is too short to tell.
func unitKind(c codec.Codec, b []byte) (p part, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	switch c {
	case codec.H264: // table 7-1, 7.4.1.2.3
		switch t := b[1] & 0x1f; {
		case t == 1, t == 2, t == 5:
			if b[2]&0x80 == 0 { // first_mb_in_slice is not 0
				return partOther, true
			}
			return partPicture, true
		case t >= 6 && t <= 9, t >= 15 && t <= 18:
			return partPrefix, true
		}
	case codec.H265: // table 7-1, 7.4.2.4.4
		switch t := b[1] >> 1; {
		case t < 32:
			if b[3]&0x80 == 0 { // first_slice_segment_in_pic_flag
				return partOther, true
			}
			return partPicture, true
		case t >= 32 && t <= 35, t == 39, t >= 41 && t <= 44, t >= 48 && t <= 55:
			return partPrefix, true
		}
	case codec.MPEG2Video: // 13818-2, table 6-1
		switch b[1] {
		case 0:
			return partPicture, true
		case 0xb3, 0xb8: // sequence, group
			return partPrefix, true
		}
	}
	return partOther, true
}

// A looked is how far a unit was looked at.
type looked struct {
	to      int  // what is before was
	picture bool // a picture has begun
}

// nextUnit returns where the next unit begins, from which position on it is a unit,
// and what it is. It reports false if there is none, or too little of it.
func (s *Stream) nextUnit() (at int, p part, ok bool) {
	l := &s.video.looked
	n := bytes.Index(s.unit[l.to:], startCode)
	if n < 0 {
		l.to = max(l.to, len(s.unit)-len(startCode)+1)
		return 0, 0, false
	}
	at = l.to + n
	if p, ok = unitKind(s.Codec, s.unit[at+2:]); !ok {
		l.to = at
		return 0, 0, false
	}
	l.to = at + len(startCode)
	return at, p, true
}

var startCode = []byte{0, 0, 1}

// lookForPicture reports whether a picture has begun in the unit.
func (s *Stream) lookForPicture() bool {
	l := &s.video.looked
	for !l.picture {
		_, p, ok := s.nextUnit()
		if !ok {
			break
		}
		l.picture = p == partPicture
	}
	return l.picture
}

// A mark is a time in the header of a PES packet.
type mark struct {
	at int // where its payload begins in the unit
	timing
}

// maxMarks is how many are kept: those of PES packets in whose payload nothing has
// been found yet.
const maxMarks = 8

// joinPicture decides what becomes of the first unit after bytes were lost. It may
// be the rest of a picture.
func (s *Stream) joinPicture(payload []byte) {
	kind, ok := unitKind(s.Codec, afterZeros(payload))
	switch {
	case GoesOn(payload):
		s.inUnit = false
	case ok && kind == partOther:
		s.tainted = true
	default:
		s.video.seeking = false
	}
}

// loosens notes that a PES packet with a time of its own goes on with what the one
// before has, and reports whether it does.
func (s *Stream) loosens(h *Header, payload []byte) bool {
	if !h.HasPTS || !s.inUnit || !s.hasTime || len(s.unit) == 0 || !GoesOn(payload) ||
		h.PTS == s.video.pts && h.DTS == s.video.dts {
		return false
	}
	s.video.forgetUnit()
	s.video.loose, s.video.wasLoose, s.video.seeking = true, true, GoesOn(s.unit)
	s.splitPictures()
	return true
}

// GoesOn reports whether payload of video certainly begins in the middle of a unit.
func GoesOn(b []byte) bool {
	begin := b[:min(len(b), 8)]
	rest := bytes.TrimLeft(begin, "\x00")
	return len(rest) > 0 && (len(rest) > len(begin)-2 || rest[0] != 1)
}

// beginPart begins a PES packet of a loose stream.
func (s *Stream) beginPart(h *Header) {
	v := &s.video
	s.inUnit, s.size = true, 0
	t := s.a.timingOf(s, h) // which may end the unit
	s.inUnit = true
	if !t.hasTime {
		return
	}
	if len(s.unit) == 0 {
		v.seeking = true
	}
	if len(v.marks) == maxMarks {
		v.marks = append(v.marks[:0], v.marks[1:]...)
	}
	v.marks = append(v.marks, mark{len(s.unit), t})
}

// splitPictures takes the pictures out of the unit that have ended.
func (s *Stream) splitPictures() {
	v := &s.video
	from := 0 // of the picture that has begun
	for {
		at, p, ok := s.nextUnit()
		if !ok {
			break
		}
		if p == partOther || !v.looked.picture && !v.seeking {
			v.looked.picture = v.looked.picture || p == partPicture
			continue
		}
		if at > from && s.unit[at-1] == 0 && !v.marksAt(at) {
			at-- // a start code of four bytes
		}
		if !v.seeking {
			s.damaged, s.tainted = s.tainted, false
			s.finishPicture(s.unit[from:at])
		}
		v.seeking, v.looked.picture = false, p == partPicture
		s.timing = v.takeTime(at)
		from = at
	}
	if v.seeking { // nobody wants what was looked at
		from = v.looked.to
	}
	if from > 0 {
		s.unit = s.unit[:copy(s.unit, s.unit[from:])]
		s.a.units -= from
		v.looked.to -= from
		for i := range v.marks {
			v.marks[i].at -= from
		}
	}
}

// marksAt reports whether there is a mark at a position.
func (v *pictures) marksAt(at int) bool {
	for _, m := range v.marks {
		if m.at == at {
			return true
		}
	}
	return false
}

// takeTime returns the time of a picture that begins at a position.
func (v *pictures) takeTime(at int) (t timing) {
	n := 0
	for n < len(v.marks) && v.marks[n].at <= at {
		t = v.marks[n].timing
		n++
	}
	v.marks = append(v.marks[:0], v.marks[n:]...)
	return t
}
