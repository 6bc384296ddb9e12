package ps

import (
	"slices"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/cast"
)

// A succession is how the tracks of a sender go on as those of the one before: each
// gets the ID of one of its codec, or else of its kind, and its first frame has
// FlagDiscont. nil: there was none before.
type succession struct {
	cast    cast.Cast
	roles   []cast.Role
	started []int // IDs of the sender's tracks that have had a frame
}

// succeeding returns how a sender goes on that follows one with these tracks.
func succeeding(before []*codec.Track) *succession {
	return &succession{cast: cast.Cast{Known: slices.Clone(before)}}
}

// apply gives frames their tracks.
func (s *succession) apply(frames []*codec.Frame) {
	if s == nil {
		return
	}
	for _, f := range frames {
		if id := f.Track.ID; !slices.Contains(s.started, id) {
			s.started = append(s.started, id)
			f.Flags |= codec.FlagDiscont
		}
		f.Track = s.track(f.Track)
	}
}

// tracks returns what these tracks are.
func (s *succession) tracks(list []*codec.Track) []*codec.Track {
	if s == nil {
		return list
	}
	renamed := make([]*codec.Track, len(list))
	for i, t := range list {
		renamed[i] = s.track(t)
	}
	return renamed
}

// track returns what t is.
func (s *succession) track(t *codec.Track) *codec.Track {
	i := cast.Find(s.roles, t.ID)
	if i < 0 {
		i = len(s.roles)
		s.roles = s.cast.Play(s.roles, t)
	}
	r := &s.roles[i]
	if r.In != t {
		s.cast.Renew(r, t)
	}
	return r.Out
}
