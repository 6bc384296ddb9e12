package ts

import (
	"bytes"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A demuxStream is an elementary stream of a Demuxer. Its PES packets are taken
// apart: the header is looked at once it is whole, the payload makes units. A unit
// is the payload of a PES packet; of video, of all that belong to a picture.
type demuxStream struct {
	pid uint16
	elementary
	content
	id    int
	track *codec.Track // nil while unknown

	counter byte // of the last packet; valid if counted
	counted bool
	before  []byte // payload of the last packet, to know it again
	gap     bool   // packets are missing before the next one

	head   []byte // of a PES packet, while it is not whole
	inHead bool
	inUnit bool // payload goes into unit
	unit   []byte
	size   int  // of unit, once it is whole; 0 while open
	starts bool // random_access_indicator of the PES packet that head is of
	random bool // and of that which unit began with
	timing

	damaged bool  // of the unit
	newest  int64 // DTS in ticks; valid if timed
	timed   bool
	last    time.Duration // DTS of the last frame; valid if begun
	begun   bool
	discont bool // the next frame has FlagDiscont

	video pictures
	audio audioFrames
}

// A timing is the times of a unit.
type timing struct {
	hasTime  bool
	pts, dts time.Duration
}

// known reports whether the track can be announced.
func (s *demuxStream) known() bool { return s.track != nil && s.track.Ready() }

// announce makes the track as far as the PMT tells.
func (s *demuxStream) announce() {
	switch s.codec {
	case codec.H264, codec.H265:
		s.track = &codec.Track{ID: s.id, Codec: s.codec, ClockRate: clockRate}
	case codec.MPEG2Video:
		s.track = &codec.Track{ID: s.id, Codec: s.codec, ClockRate: clockRate}
	case codec.Opus:
		s.track = codec.NewOpusTrack(s.id, s.opus)
	case codec.PCMA, codec.PCMU:
		s.track = codec.NewG711Track(s.id, s.codec, g711Rate, 1)
	}
}

// forget makes s ready for another stream of bytes.
func (s *demuxStream) forget() {
	s.counted, s.gap, s.inHead, s.inUnit = false, false, false, false
	s.timed, s.begun = false, false
	s.audio.forget()
}

// takePayload takes in a packet of s.
func (d *Demuxer) takePayload(s *demuxStream, p *packet) {
	if len(p.payload) == 0 {
		if p.discontinuity {
			s.counted = false
		}
		return
	}
	if s.counted && p.counter != (s.counter+1)&15 {
		if p.counter == s.counter && bytes.Equal(p.payload, s.before) {
			return // sent twice (13818-1, 2.4.3.3)
		}
		s.gap = s.gap || !p.discontinuity || !p.start
	}
	s.counter, s.counted = p.counter, true
	s.before = append(s.before[:0], p.payload...)
	if s.gap || p.scrambled {
		d.finish(s, true)
		s.inHead, s.inUnit, s.gap, s.video.prompted = false, false, false, false
		s.audio.forget()
	}
	if p.scrambled {
		return
	}
	if p.start {
		s.video.prompted = false
		if s.inHead {
			d.finish(s, false) // what had begun never did
			s.inUnit = false
		}
		s.head, s.inHead = s.head[:0], true
		s.starts = p.random
	}
	switch {
	case s.inHead:
		d.takeHead(s, p.payload)
	case s.inUnit:
		d.takeUnit(s, p.payload)
	default:
		s.video.straggler()
	}
}

// takeHead takes in the beginning of a PES packet.
func (d *Demuxer) takeHead(s *demuxStream, b []byte) {
	s.head = append(s.head, b...)
	h, more, ok := parsePES(s.head)
	if more {
		return
	}
	s.inHead = false
	if !ok || h.id == idPadding {
		d.finish(s, false)
		s.inUnit = false
		return
	}
	payload := s.head[h.header:]
	if s.isVideo() && s.continues(&h, payload) {
		s.video.seenParts = true
		s.inUnit = s.inUnit && len(s.unit) > 0 // what went out already cannot be completed
		s.size = 0
	} else {
		d.finish(s, false)
		d.beginUnit(s, &h)
	}
	if s.inUnit {
		d.takeUnit(s, payload)
	}
}

// beginUnit begins a unit with a PES packet.
func (d *Demuxer) beginUnit(s *demuxStream, h *pes) {
	s.inUnit, s.damaged, s.size, s.timing = true, false, 0, timing{}
	s.random = s.starts
	s.unit = s.unit[:0]
	if h.size > 0 {
		s.size = h.size - h.header
		s.inUnit = s.size > 0
	}
	if s.codec == codec.Opaque && s.track == nil {
		s.track = opaqueTrack(s.id, s.elementary, h.id)
	}
	if h.hasPTS {
		pts, dts := d.timeOf(s, h)
		s.timing = timing{true, codec.FromTicks(pts, clockRate), codec.FromTicks(dts, clockRate)}
		s.video.pts, s.video.dts = h.pts, h.dts
	}
}

// takeUnit takes in payload of a PES packet. Where its length is known the unit
// ends with it; video may go on, as the length of large pictures may be wrong.
func (d *Demuxer) takeUnit(s *demuxStream, b []byte) {
	if s.size > 0 && len(s.unit)+len(b) > s.size {
		if s.isVideo() {
			s.size = 0
		} else {
			b = b[:s.size-len(s.unit)]
		}
	}
	d.units += len(b)
	if len(s.unit)+len(b) > maxUnit || d.units > maxUnits {
		d.units -= len(b)
		d.dropUnit(s)
		s.inUnit = false
		return
	}
	s.unit = append(s.unit, b...)
	if len(s.unit) == s.size && (!s.isVideo() || s.video.prompt(s)) {
		d.finish(s, false)
	}
}

// dropUnit gives the unit up.
func (d *Demuxer) dropUnit(s *demuxStream) {
	d.units -= len(s.unit)
	s.unit = s.unit[:0]
	if cap(s.unit) > 1<<20 { // pictures of this size are rare
		s.unit = nil
	}
}

// finish ends the unit of s, if there is one, and makes its frames. cut tells that
// some of it may be missing.
func (d *Demuxer) finish(s *demuxStream, cut bool) {
	if !s.inUnit || len(s.unit) == 0 {
		return
	}
	s.inUnit = false
	s.damaged = cut && (s.size == 0 || len(s.unit) < s.size)
	switch s.codec {
	case codec.Opaque:
		d.finishOpaque(s)
	case codec.H264, codec.H265, codec.MPEG2Video:
		d.finishPicture(s)
	default:
		d.finishAudio(s)
	}
	d.dropUnit(s)
}

// finishOpaque makes a frame of a unit that is not understood.
func (d *Demuxer) finishOpaque(s *demuxStream) {
	if s.damaged {
		return
	}
	if !s.hasTime {
		s.pts, s.dts = d.now(), d.now()
	}
	f := &codec.Frame{Track: s.track, DTS: s.dts, PTS: s.pts, Data: bytes.Clone(s.unit)}
	if s.random || s.track.Kind() != codec.KindVideo {
		f.Flags |= codec.FlagKey
	}
	d.emit(s, f)
}
