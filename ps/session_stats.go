package ps

import (
	"net"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// SessionStats are the counters of a Session.
type SessionStats struct {
	ID            string // of the source.Request
	Key           source.Key
	SSRC          uint32
	Protocol      string // "udp" or "tcp"
	Remote, Local net.Addr
	Payload       Payload        // PayloadAuto while unknown
	Tracks        []*codec.Track // known so far
	Start         time.Time

	Packets    uint64        // accepted
	Bytes      uint64        // of these, headers included
	Lost       uint64        // that did not come, or too late
	Reordered  uint64        // that came after a later one, in time
	Duplicates uint64        // that came twice, or too late
	Invalid    uint64        // that are no RTP, have another payload type, or fit nowhere
	Foreign    uint64        // that came from elsewhere than the sender
	Resyncs    uint64        // times a TCP stream had to be searched for the next packet
	Resets     uint64        // times the sender began anew, or another one did
	Frames     uint64        // found in the packets
	Dropped    uint64        // of these, those that the Publication did not get: it was refused, or waited for too long
	Jitter     time.Duration // RFC 3550, 6.4.1

	Err error // why it ended; nil while it lasts, io.EOF for a goodbye
}

// Stats returns the counters. Those of a session that is taking in a packet right
// now may be 100 ms old.
func (s *Session) Stats() SessionStats {
	if s.mu.TryLock() {
		if !s.finished {
			s.snapshot()
			s.describe()
		}
		s.mu.Unlock()
		s.settle()
	}
	s.state.Lock()
	defer s.state.Unlock()
	st := s.stats
	st.Key, st.Remote, st.Err = s.key, s.link.remote(), s.reason
	st.Foreign, st.Resyncs = s.strange.Load(), s.resynced.Load()
	return st
}

// describe notes the tracks for Stats. mu is held.
func (s *Session) describe() {
	if s.decoder == nil {
		return
	}
	tracks := s.decoder.tracks()
	s.state.Lock()
	defer s.state.Unlock()
	s.stats.Tracks = tracks
}

// snapshot notes the counters for Stats. mu is held.
func (s *Session) snapshot() {
	s.state.Lock()
	defer s.state.Unlock()
	st := &s.stats
	st.Payload, st.Frames, st.Dropped = s.payload, s.count, s.backlog.dropped+s.held.dropped
	if s.decoder == nil {
		st.Invalid = s.invalid
		return
	}
	r := s.decoder.stats()
	addStats(&r, &s.past)
	st.SSRC, st.Jitter = s.decoder.ssrc(), r.Jitter
	st.Packets, st.Bytes, st.Lost, st.Reordered = r.Packets, r.Bytes, r.Lost, r.Reordered
	st.Duplicates, st.Invalid, st.Resets = r.Duplicates, s.invalid+r.Invalid, r.Resets
}
