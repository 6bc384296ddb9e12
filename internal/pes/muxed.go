package pes

import "github.com/mediakit-go/mediakit/codec"

// A Muxed is what a muxer's stream has in either container, to be embedded in it.
type Muxed struct {
	Track   *codec.Track
	Carried bool
	Carriage
	Framer Framer
}

func (m *Muxed) muxed() *Muxed { return m }

// Streams are those of a muxer, one for each track that there was, carried or not.
type Streams[S any, P interface {
	*S
	muxed() *Muxed
}] []P

// Tracks returns the tracks that are carried, as they are now.
func (l Streams[S, P]) Tracks() (tracks []*codec.Track) {
	for _, s := range l {
		if m := s.muxed(); m.Carried {
			tracks = append(tracks, m.Track)
		}
	}
	return tracks
}

// Of returns the stream of the track with the ID of t, a new one if there are fewer
// than most, else nil. other tells that t is not the Track that it has.
func (l *Streams[S, P]) Of(t *codec.Track, most int) (s P, other bool) {
	for _, s := range *l {
		if m := s.muxed(); m.Track.ID == t.ID {
			return s, m.Track != t
		}
	}
	if len(*l) == most {
		return nil, false
	}
	s = new(S)
	*l = append(*l, s)
	return s, true
}
