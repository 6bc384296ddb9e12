package ps

import (
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

// A succession is how the tracks of a sender go on as those of the one before: each
// gets the ID of one of its codec, or else of its kind, and its first frame has
// FlagDiscont. nil: there was none before.
type succession struct {
	before []*codec.Track
	heirs  []heir
}

// An heir is a track that has got an ID.
type heir struct {
	from    int          // its ID before
	of, is  *codec.Track // the track as it was last, and with its ID
	started bool         // it has had a frame
}

// apply gives frames their tracks.
func (s *succession) apply(frames []*codec.Frame) {
	if s == nil {
		return
	}
	for _, f := range frames {
		h := s.heir(f.Track)
		f.Track = h.is
		if !h.started {
			h.started = true
			f.Flags |= codec.FlagDiscont
		}
	}
}

// tracks returns what these tracks are.
func (s *succession) tracks(list []*codec.Track) []*codec.Track {
	if s == nil {
		return list
	}
	renamed := make([]*codec.Track, len(list))
	for i, t := range list {
		renamed[i] = s.heir(t).is
	}
	return renamed
}

// heir returns what has become of t.
func (s *succession) heir(t *codec.Track) *heir {
	i := slices.IndexFunc(s.heirs, func(h heir) bool { return h.from == t.ID })
	if i < 0 {
		i = len(s.heirs)
		s.heirs = append(s.heirs, heir{from: t.ID, is: &codec.Track{ID: s.id(t)}})
	}
	h := &s.heirs[i]
	if h.of != t {
		is := *t
		is.ID = h.is.ID
		h.of, h.is = t, &is
	}
	return h
}

// id returns an ID for a track that has none.
func (s *succession) id(t *codec.Track) int {
	free := func(id int) bool {
		return !slices.ContainsFunc(s.heirs, func(h heir) bool { return h.is.ID == id })
	}
	for _, o := range s.before {
		if o.Codec == t.Codec && free(o.ID) {
			return o.ID
		}
	}
	for _, o := range s.before {
		if o.Kind() == t.Kind() && free(o.ID) {
			return o.ID
		}
	}
	id := 1
	for !free(id) || slices.ContainsFunc(s.before, func(o *codec.Track) bool { return o.ID == id }) {
		id++
	}
	return id
}
