package ps

import (
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
)

// How many packets, or bytes, somebody has to send while the sender sends nothing, to
// be the next one. Less is enough if the packets cannot be the sender's.
const (
	rivalPackets  = 16
	rivalBytes    = 48 << 10
	rivalStranger = 3
)

// A rival is packets in a row that do not look as if they were of the sender: it may
// be that something else is sent from now on. If the sender goes on they are given to
// its decoder after all, in the order in which they came.
type rival struct {
	candidate
	ssrc        uint32
	payloadType uint8
	disguised   bool    // as the sender's
	shown       finding // by the first one
	found       finding // once that is certain
}

// contend takes in a packet unless it is the sender's, and lets its rival take the
// sender's place when it is certain that it does. It reports whether it has taken it.
func (s *Session) contend(p *rtp.Packet, b []byte, now time.Time) bool {
	r := &s.rival
	expected := s.decoder.expects(p)
	var f finding
	if expected && r.taken == 0 {
		f = contradiction(p, s.payload, &s.options) // most often, so it has to be quick
	} else {
		f = inspect(p, &s.options)
	}
	fits := f.payload == PayloadAuto || s.decoder.fits(p, f)
	strange := !fits && (f.certain || !expected)
	if r.taken > 0 {
		isOurs := fits && f.certain
		if expected {
			isOurs = isOurs || !r.disguised || !strange && !r.shown.goesOn(p.Payload)
		}
		if isOurs || p.SSRC != r.ssrc || p.PayloadType != r.payloadType {
			s.dismiss()
		}
	}
	if r.taken == 0 {
		if !strange {
			return false
		}
		r.ssrc, r.payloadType, r.disguised, r.shown = p.SSRC, p.PayloadType, expected, f
	}
	if found, ok := r.take(p, b, now, &s.options); ok && !s.decoder.fits(p, found) {
		r.found = found
	}
	if r.prevails(s.decoder.ssrc()) {
		s.succeed()
	}
	return true
}

// prevails reports whether r is the next sender.
func (r *rival) prevails(sender uint32) bool {
	switch {
	case r.found.payload == PayloadAuto || r.taken < rivalStranger:
		return false
	case r.found.certain && r.ssrc != sender:
		return true
	}
	return r.taken >= rivalPackets || r.size >= rivalBytes
}

// dismiss lets the decoder have the packets of the rival, if there is one: they are
// the sender's, or nobody's.
func (s *Session) dismiss() {
	packets := s.rival.packets
	s.invalid += uint64(s.rival.taken - len(packets))
	s.rival = rival{}
	s.decodeAll(packets)
}

// succeed makes the rival the sender.
func (s *Session) succeed() {
	r := s.rival
	s.rival = rival{}
	packets := r.of(r.ssrc)
	s.invalid += uint64(r.taken - len(packets))
	s.pass(s.decoder.flush(s.frames[:0], true), s.heard)
	was := s.decoder.stats()
	was.Jitter = 0
	addStats(&s.past, &was)
	s.past.Resets++
	s.payload = r.found.payload
	s.decoder = newDecoder(&r.found, &s.options, succeeding(s.decoder.tracks()))
	s.renew()
	s.decodeAll(packets)
}

// holdTime is how long frames of another sender wait until it is known whether it has
// the tracks of the one before.
const holdTime = 3 * time.Second

// renew is called where another sender begins, or the same anew: it may have other
// tracks.
func (s *Session) renew() {
	s.complete, s.fresh = false, 0
	if s.pub == nil { // nobody knows of those before
		s.tracks, s.untold = nil, false
		s.backlog.clear()
		return
	}
	s.held.clear()
	s.holding = true
}

// release hands on the frames that wait for the tracks of a new sender. If there are
// tracks that it does not have, as far as it tells, the Publication ends as if its
// publisher was lost, and is made again: in the same one a track stays for ever.
func (s *Session) release() {
	if !s.holding || s.fresh == 0 {
		return
	}
	tracks := s.decoder.tracks()
	if s.decoder.complete() && s.misses(tracks) {
		s.anew = true
		s.backlog.clear()
	}
	s.holding, s.tracks, s.complete, s.untold = false, tracks, s.decoder.complete(), true
	for _, f := range s.held.take() {
		s.backlog.add(f)
	}
	s.backlog.dropped += s.held.dropped
	s.held = backlog{}
	if !s.publishing {
		s.publishInBackground(false)
	}
}

// misses reports whether there is a track that is announced, but not in list.
func (s *Session) misses(list []*codec.Track) bool {
	return slices.ContainsFunc(s.tracks, func(t *codec.Track) bool {
		return !slices.ContainsFunc(list, func(o *codec.Track) bool { return o.ID == t.ID })
	})
}
