package ps

import (
	"fmt"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

// reportEvery is how often receiver reports are sent.
const reportEvery = 5 * time.Second

// errNothing ends a session of packets that are not understood.
var errNothing = fmt.Errorf("ps: %w: neither PS nor TS nor a known elementary stream", source.ErrUnsupported)

// take takes in an RTP packet that came at now; b is the caller's again when it
// returns. It does not wait.
func (s *Session) take(b []byte, now time.Time) {
	s.mu.Lock()
	defer s.leave()
	if s.stopped.Load() {
		return
	}
	defer s.weigh()
	p := &s.packet
	if p.Unmarshal(b) != nil {
		s.invalid++
		return
	}
	if s.decoder == nil {
		s.consider(p, b, now)
		return
	}
	if !s.contend(p, b, now) {
		s.decode(p, b, now)
	}
}

// consider takes in a packet while it is not known what the sender sends.
func (s *Session) consider(p *rtp.Packet, b []byte, now time.Time) {
	found, ok := s.candidate.take(p, b, now, &s.options)
	if !ok {
		return
	}
	packets := s.candidate.of(p.SSRC)
	s.invalid += uint64(s.candidate.taken - len(packets))
	s.candidate = candidate{}
	s.decoder, s.payload = newDecoder(&found, &s.options, nil), found.payload
	s.plausible.Store(true)
	s.decodeAll(packets)
}

// decodeAll takes in packets of the sender that were kept.
func (s *Session) decodeAll(packets []keptPacket) {
	for i := range packets {
		k := &packets[i]
		s.decode(&k.p, k.b, k.at)
	}
}

// decode takes in a packet of the sender.
func (s *Session) decode(p *rtp.Packet, b []byte, now time.Time) {
	if !s.isLive.Load() {
		s.inside += len(b)
	}
	frames, err := s.decoder.take(s.frames[:0], p, b, now)
	s.pass(frames, now)
	if err != nil {
		s.stop(fmt.Errorf("ps: %w", err))
	}
}

// lose tells that packets are missing before the next one, as after the
// resynchronisation of a TCP stream.
func (s *Session) lose() {
	s.resynced.Add(1)
	s.mu.Lock()
	defer s.leave()
	if s.decoder != nil && !s.stopped.Load() {
		s.dismiss()
		s.decoder.lose()
	}
}

// control takes in an RTCP packet that came at now.
func (s *Session) control(b []byte, now time.Time) {
	s.mu.Lock()
	defer s.leave()
	if s.decoder == nil || s.stopped.Load() {
		return
	}
	if s.decoder.control(b, now) != nil {
		s.invalid++
	}
	if s.byed.IsZero() {
		s.byed = now
	}
	s.leaves(now)
}

// byeTime is how long a sender is silent after its goodbye: one who goes on has not
// said it. Datagrams may be anybody's.
const byeTime = 500 * time.Millisecond

// leaves lets the session end if the sender has said goodbye.
func (s *Session) leaves(now time.Time) {
	switch {
	case !s.decoder.goodbye():
		s.byed = time.Time{}
	case s.link.protocol() == "tcp" || now.Sub(s.byed) >= byeTime:
		s.conclude(nil)
	}
}

// tick does what is due at now: it gives up packets that do not come, sends reports,
// and notices silence. It is called every 100 ms or so. If the session is busy it
// does nothing.
func (s *Session) tick(now time.Time) {
	if !s.mu.TryLock() {
		return
	}
	defer s.leave()
	if s.stopped.Load() {
		return
	}
	if s.decoder != nil {
		frames, err := s.decoder.expire(s.frames[:0], now)
		if s.pass(frames, now); err != nil {
			s.stop(fmt.Errorf("ps: %w", err))
		}
		s.sendReport(now)
		s.leaves(now)
	}
	if !s.begun() && now.Sub(s.began) >= candidacy {
		s.stop(errNothing)
	}
	s.state.Lock()
	since := s.paused
	s.state.Unlock()
	if s.heard.After(since) {
		since = s.heard
	}
	if most := s.options.timeout(); most > 0 && now.Sub(since) >= most {
		s.conclude(fmt.Errorf("ps: %w: no frame in %v", source.ErrTimeout, most))
	}
	s.weigh()
	s.snapshot()
}

// sendReport sends a receiver report if it is time to. Over TCP nothing is lost that
// a report could tell of, and many senders do not read.
func (s *Session) sendReport(now time.Time) {
	if s.options.NoReport || s.link.protocol() == "tcp" || now.Sub(s.reported) < reportEvery {
		return
	}
	s.reported = now
	if s.report = s.decoder.appendReport(s.report[:0], now); len(s.report) > 0 {
		_ = s.link.report(s.report) // lost, as datagrams are
	}
}

// flush takes what the decoder has kept. cut tells that the stream was no whole one.
func (s *Session) flush(cut bool) {
	if s.decoder == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
		}
	}()
	s.dismiss()
	s.pass(s.decoder.flush(s.frames[:0], cut), s.heard)
	s.release()
}

// How long tracks are waited for that may come, after the first frame.
const (
	probeTime   = 2 * time.Second
	probeFrames = 100
)

// How much a sender sends that is met in the midst of a group of pictures, before the
// Handler is asked without a frame. A single packet may be anybody's, and look right.
const (
	provenPackets = 32
	provenBytes   = 48 << 10
)

// prove asks the Handler once the sender has shown that it is one: by n frames, or by
// a row of packets.
func (s *Session) prove(n int) {
	if s.begun() {
		return
	}
	if st := s.decoder.stats(); n == 0 && st.Packets < provenPackets && st.Bytes < provenBytes {
		return
	}
	s.asked.Store(true)
	s.publishInBackground(true)
}

// pass hands on the frames of a call of the decoder, which came at now.
func (s *Session) pass(frames []*codec.Frame, now time.Time) {
	s.frames = frames[:0] // for its memory
	if n, ok := s.decoder.renewed(); ok {
		s.hand(frames[:n], now)
		s.renew()
		frames = frames[n:]
	}
	s.hand(frames, now)
}

// hand hands on frames of one sender.
func (s *Session) hand(frames []*codec.Frame, now time.Time) {
	s.prove(len(frames))
	if len(frames) > 0 {
		if s.fresh == 0 {
			s.first = now
		}
		s.heard = now
		s.count += uint64(len(frames))
		s.fresh += uint64(len(frames))
		for _, f := range frames {
			s.inside = max(0, s.inside-len(f.Data))
		}
	}
	s.announce(now)
	for _, f := range frames {
		s.write(f)
	}
	clear(frames)
}

// announce finds out whether there is something to tell of the tracks. When they are
// complete there no longer is: new ones are announced by their frames.
func (s *Session) announce(now time.Time) {
	if s.complete || s.fresh == 0 {
		return
	}
	if s.holding {
		if s.decoder.complete() || now.Sub(s.first) >= holdTime || !s.misses(s.decoder.tracks()) {
			s.release()
		}
		return
	}
	complete := s.decoder.complete() || s.fresh >= probeFrames || now.Sub(s.first) >= probeTime
	tracks := s.decoder.tracks()
	if complete == s.complete && slices.Equal(tracks, s.tracks) {
		return
	}
	s.tracks, s.complete, s.untold = tracks, complete, true
	if !s.publishing {
		s.tell()
	}
}
