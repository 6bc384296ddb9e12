package hls

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A role is what a track in segments is in our stream.
type role struct {
	lane       *lane
	in, out    *codec.Track
	last, step time.Duration // DTS, and what it was after the one before
	begun      bool
	broken     bool // the next frame does not continue the one before
}

// cast gives t, a track in segments, a role in our stream: one of the same codec
// that nobody plays, else one of the same kind, else a new one. nil: it is not
// used.
func (r *rendition) cast(t *codec.Track) *role {
	if a, ok := r.roles[t.ID]; ok {
		return a
	}
	r.roles[t.ID] = nil
	if k := t.Kind(); r.only != codec.KindData && k != r.only || r.but != codec.KindData && k == r.but {
		return nil
	}
	var a *role
	for _, p := range r.played {
		if p.out.Kind() != t.Kind() || r.plays(p) {
			continue
		}
		if a == nil || a.out.Codec != t.Codec && p.out.Codec == t.Codec {
			a = p
		}
	}
	if a == nil {
		if len(r.played) == maxRoles {
			return nil
		}
		out := withID(t, r.index*maxRoles+len(r.played)+1)
		a = &role{in: t, out: out, lane: r.out.addLane(r.side, out), step: usualStep}
		r.played = append(r.played, a)
	}
	r.roles[t.ID] = a
	return a
}

// plays reports whether a track at hand has the role a.
func (r *rendition) plays(a *role) bool {
	for _, b := range r.roles {
		if a == b {
			return true
		}
	}
	return false
}

// withID returns a copy of t that has the ID.
func withID(t *codec.Track, id int) *codec.Track {
	out := *t
	out.ID = id
	return &out
}
