package source

import (
	"net"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// SessionStats are the counters of one play or publish session.
type SessionStats struct {
	ID       string
	Key      Key
	Schema   string
	Protocol string
	Remote   net.Addr
	Passive  bool
	Publish  bool      // a publisher; else a viewer
	Start    time.Time // when it was accepted

	Bytes   uint64        // received from a publisher, or sent to a viewer
	Frames  uint64        // frames read, or packets sent to a viewer
	Lag     time.Duration // of a viewer: how far behind the newest frame
	Jumps   uint64        // of a viewer: how often it was too slow and went to the newest key frame
	Skipped uint64        // of a viewer: frames it missed by that
	Dropped uint64        // of a publisher: frames refused for bad content
	Repairs uint64        // of a publisher: timestamps repaired
	Err     error         // why it ended; nil while it lasts, io.EOF for a graceful end
}

// A StreamStats is a stream's state and counters.
type StreamStats struct {
	Key       Key
	State     State
	Created   time.Time
	Tracks    []*codec.Track
	Publisher SessionStats   // of the present publisher; zero while lingering
	Viewers   map[string]int // viewers by Request.Schema
	Sessions  []SessionStats // of all viewers, passive ones included
	RingItems int            // frames kept
	RingBytes int            // bytes of media kept
	Feeds     []FeedStats
}

// Stats returns the stream's state and counters.
func (s *Stream) Stats() StreamStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := StreamStats{Key: s.key, State: s.state, Created: s.created, Tracks: s.tracks, Viewers: map[string]int{}}
	if s.pub != nil {
		st.Publisher = s.pub.stats()
	}
	for sub := range s.subs {
		st.Sessions = append(st.Sessions, sub.Stats())
		if !sub.req.Passive {
			st.Viewers[sub.req.Schema]++
		}
	}
	for _, f := range s.feeds {
		st.Feeds = append(st.Feeds, f.stats())
	}
	st.RingItems, st.RingBytes = s.ring.usage()
	return st
}
