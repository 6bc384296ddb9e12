package source

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// silenceFrame is how long one frame of silent AAC lasts: 1024 samples at 8 kHz.
const silenceFrame = 128 * time.Millisecond

// silentID is the id of a silent track, unless the publisher has higher ones: out
// of the way of tracks that may come late.
const silentID = 100

// A silence makes the frames of a silent audio track that keeps up with video.
type silence struct {
	track *codec.Track
	data  []byte
	next  time.Duration
}

// newSilence returns a silence that begins at start.
func newSilence(id int, start time.Duration) *silence {
	return &silence{track: codec.NewSilentAACTrack(id), data: codec.SilentAACFrame(), next: start}
}

// until returns the next silent frame that is due before t, or nil.
func (s *silence) until(t time.Duration) *codec.Frame {
	if s.next > t {
		return nil
	}
	if t-s.next > maxStep { // the stream has jumped
		s.next = t
	}
	f := &codec.Frame{Track: s.track, DTS: s.next, PTS: s.next, Flags: codec.FlagKey, Data: s.data}
	s.next += silenceFrame
	return f
}
