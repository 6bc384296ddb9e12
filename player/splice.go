package player

import (
	"errors"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// frameTime is how long a frame takes where nothing tells.
const frameTime = 40 * time.Millisecond

// A splice moves the frames of media that are played one after the other to where
// they have their places in one stream.
type splice struct {
	base time.Duration // the stream's times minus the medium's
	last time.Duration // highest DTS in the stream since the latest jump
	seam bool          // the medium was joined and has had no frame yet
}

// join has a medium follow that begins at base, or where the one before it has
// ended, if that was longer than it had told.
func (s *splice) join(base time.Duration) { s.base, s.seam = base, true }

// jump goes to a place in a medium that begins at base.
func (s *splice) jump(base time.Duration) { *s = splice{base: base} }

// place returns f, the medium's next frame, as it is in the stream, where its
// track is the given one.
func (s *splice) place(f *codec.Frame, track *codec.Track) *codec.Frame {
	if s.seam && f.DTS+s.base <= s.last {
		s.base = s.last + frameTime - f.DTS
	}
	s.seam = false
	s.last = max(s.last, f.DTS+s.base)
	if s.base == 0 && track == f.Track {
		return f
	}
	out := *f
	out.Track = track
	out.DTS += s.base
	out.PTS += s.base
	return &out
}

// over reports whether err is the end of a medium, or of what is left of one that
// was cut.
func over(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
