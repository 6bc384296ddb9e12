package ps

import "sync/atomic"

// Bounds of what is kept for streams whose Handler has not answered yet.
const (
	maxUnanswered = 64 << 20 // bytes, of all sessions of a Server or of Receivers
	maxShare      = 64 << 10 // of what a session has begun, when there is more
)

// An unanswered is how many bytes are kept for streams whose Handler has not answered.
type unanswered struct{ size atomic.Int64 }

// weigh tells how much s keeps while its Handler has not answered. If all sessions
// keep too much, those that get more of it start again at the next key frame: a
// Handler that is slow, or many who send, cost no more memory. mu is held.
func (s *Session) weigh() {
	if s.unanswered == nil || s.weight == 0 && s.isLive.Load() {
		return
	}
	if s.note() <= maxUnanswered || s.weight == 0 {
		return
	}
	s.backlog.await()
	if s.inside > maxShare {
		s.decoder.lose()
		lost := s.decoder.flush(s.frames[:0], true)
		s.backlog.dropped += uint64(len(lost))
		s.count += uint64(len(lost))
		clear(lost)
		s.inside = 0
	}
	s.note()
}

// note takes to the books what s keeps, and returns how much all do.
func (s *Session) note() (all int64) {
	weight := 0
	if !s.finished && !s.isLive.Load() {
		weight = s.backlog.size + s.inside
	}
	all = s.unanswered.size.Add(int64(weight - s.weight))
	s.weight = weight
	return all
}
