package pes

import (
	"bytes"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Stream is an elementary stream of an [Assembler]. The payload of its PES
// packets makes units. A unit is the payload of a PES packet; of video, of all that
// belong to a picture.
type Stream struct {
	Key     uint16 // of its Entry
	ID      int    // of its track
	Content        // what it is said to carry

	a           *Assembler
	streamType  byte
	descriptors []byte
	track       *codec.Track // nil while unknown

	inUnit bool // payload goes into unit
	unit   []byte
	size   int  // of unit, once it is whole; 0 while open
	random bool // it is said that decoding can begin with it
	timing

	tainted bool  // some of the unit is wrong
	damaged bool  // of the unit: it is, or it was cut
	newest  int64 // DTS in ticks; valid if timed
	timed   bool
	last    time.Duration // DTS of the last frame; valid if begun
	begun   bool
	discont bool // the next frame has FlagDiscont

	video pictures
	audio audioFrames
}

// Known reports whether the track can be announced.
func (s *Stream) Known() bool { return s.track != nil && s.track.Ready() }

// IsVideo tells whether s carries video that is understood.
func (s *Stream) IsVideo() bool {
	return s.Codec == codec.H264 || s.Codec == codec.H265 || s.Codec == codec.MPEG2Video
}

// Begin takes in the header of a PES packet and payload that follows it. random
// tells that the container says that decoding can begin there.
func (s *Stream) Begin(h *Header, random bool, payload []byte) {
	v, video := &s.video, s.IsVideo()
	prompted := v.prompted
	v.prompted, v.large = false, h.Size > largePES
	switch {
	case video && (v.loose || s.loosens(h, payload)):
		s.beginPart(h)
	case video && s.continues(h, payload):
		if prompted {
			v.truths = -never
		}
		v.seenParts = true
		s.inUnit = s.inUnit && len(s.unit) > 0 // what went out already cannot be completed
		s.size = 0
	default:
		v.checkMark(len(s.unit))
		s.finish(false)
		s.beginUnit(h, random)
		if video && v.seeking {
			s.joinPicture(payload)
		}
	}
	if s.inUnit {
		s.Add(payload)
	}
}

// Add takes in payload of the PES packet that has begun. Where its length is known
// the unit ends with it; video may go on, as the length of large pictures may be
// wrong.
func (s *Stream) Add(b []byte) {
	if !s.inUnit {
		s.video.straggler()
		return
	}
	if s.size > 0 && len(s.unit)+len(b) > s.size {
		if s.IsVideo() {
			s.size, s.video.whole = 0, 0
		} else {
			b = b[:s.size-len(s.unit)]
		}
	}
	a := s.a
	a.units += len(b)
	if len(s.unit)+len(b) > MaxUnit || a.units > maxUnits {
		a.units -= len(b)
		s.dropUnit()
		s.inUnit = false
		return
	}
	s.unit = append(s.unit, b...)
	switch {
	case s.video.loose:
		s.splitPictures()
	case len(s.unit) == s.size && (!s.IsVideo() || s.video.prompt(s)):
		s.finish(false)
	}
}

// Taint tells that some of what has come of the picture may be wrong.
func (s *Stream) Taint() { s.tainted = s.inUnit && s.IsVideo() }

// End ends the PES packet that has begun, and what is in it: payload that follows
// is not of it.
func (s *Stream) End() {
	s.finish(false)
	s.inUnit, s.video.prompted = false, false
}

// Lose is End where bytes are missing before what comes next. What was begun is
// cut there.
func (s *Stream) Lose() {
	s.finish(true)
	s.inUnit, s.video.prompted, s.video.seeking = false, false, true
	s.video.marks = s.video.marks[:0]
	s.audio.forget()
}

// announce makes the track as far as the table tells.
func (s *Stream) announce() {
	switch s.Codec {
	case codec.H264, codec.H265, codec.MPEG2Video:
		s.track = &codec.Track{ID: s.ID, Codec: s.Codec, ClockRate: ClockRate}
	case codec.Opus:
		s.track = codec.NewOpusTrack(s.ID, s.Opus)
	case codec.PCMA, codec.PCMU:
		s.track = codec.NewG711Track(s.ID, s.Codec, G711Rate, 1)
	}
}

// forget makes s ready for another stream of bytes.
func (s *Stream) forget() {
	s.inUnit, s.timed, s.begun = false, false, false
	s.video.loose, s.video.seeking, s.video.shown = false, false, shown{}
	s.audio.forget()
}

// beginUnit begins a unit with a PES packet.
func (s *Stream) beginUnit(h *Header, random bool) {
	s.inUnit, s.tainted, s.size, s.timing = true, false, 0, timing{}
	s.random = random
	s.unit = s.unit[:0]
	if h.Size > 0 {
		s.size = h.Size - h.Header
		s.inUnit = s.size > 0
	}
	if s.Passes() && s.track == nil {
		s.track = OpaqueTrack(s.ID, s.Codec, Carriage{s.streamType, h.ID, s.descriptors})
	}
	s.timing = s.a.timingOf(s, h)
	s.video.pts, s.video.dts = h.PTS, h.DTS
}

// dropUnit gives the unit up.
func (s *Stream) dropUnit() {
	s.a.units -= len(s.unit)
	s.unit = s.unit[:0]
	s.video.forgetUnit()
	if cap(s.unit) > 1<<20 { // pictures of this size are rare
		s.unit = nil
	}
}

// finish ends the unit of s, if there is one, and makes its frames. cut tells that
// some of it may be missing.
func (s *Stream) finish(cut bool) {
	if !s.inUnit || len(s.unit) == 0 {
		return
	}
	s.inUnit = false
	s.damaged = s.tainted || cut && (s.size == 0 || len(s.unit) < s.size)
	s.tainted = false
	switch {
	case s.Passes():
		s.finishOpaque()
	case s.video.loose && s.video.seeking:
	case s.IsVideo():
		s.finishPicture(s.unit)
	default:
		s.finishAudio()
	}
	s.dropUnit()
}

// finishOpaque makes a frame of a unit that is not understood.
func (s *Stream) finishOpaque() {
	if s.damaged {
		return
	}
	if !s.hasTime {
		s.pts, s.dts = s.a.now(), s.a.now()
	}
	f := &codec.Frame{Track: s.track, DTS: s.dts, PTS: s.pts, Data: bytes.Clone(s.unit)}
	if s.random || s.track.Kind() != codec.KindVideo {
		f.Flags |= codec.FlagKey
	}
	s.a.emit(s, f)
}
