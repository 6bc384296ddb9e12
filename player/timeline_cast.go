package player

import (
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

// A cast gives the tracks of several media places in one stream.
type cast struct {
	first []*codec.Track // of each ID what it was first
	known []*codec.Track // and what it was last
}

// A role is what a medium's track is in the stream.
type role struct {
	in, out *codec.Track
}

// add returns the roles of the next medium's tracks.
func (c *cast) add(tracks []*codec.Track) []role { return c.play(nil, tracks...) }

// play adds roles for tracks to those of a medium: first those of a track with
// the same codec that the medium does not play yet, then of one of the same kind;
// the rest are new.
func (c *cast) play(roles []role, tracks ...*codec.Track) []role {
	n := len(roles)
	for _, t := range tracks {
		roles = append(roles, role{in: t})
	}
	for _, exact := range []bool{true, false} {
		for i := n; i < len(roles); i++ {
			if r := &roles[i]; r.out == nil {
				r.out = c.free(roles, r.in, exact)
			}
		}
	}
	for i := n; i < len(roles); i++ {
		r := &roles[i]
		if r.out == nil {
			r.out = withID(r.in, c.freeID(r.in.ID))
			c.first = append(c.first, r.out)
			c.known = append(c.known, r.out)
		}
	}
	return roles
}

// free returns the place that t can take, in the form that it has there, or nil.
func (c *cast) free(roles []role, t *codec.Track, exact bool) *codec.Track {
	for i, k := range c.known {
		taken := slices.ContainsFunc(roles, func(r role) bool { return r.out != nil && r.out.ID == k.ID })
		if taken || t.Kind() != k.Kind() || exact && t.Codec != k.Codec {
			continue
		}
		if !sameTrack(t, k) {
			c.known[i] = withID(t, k.ID)
		}
		return c.known[i]
	}
	return nil
}

// freeID returns id, or the lowest one above all there are if one has it.
func (c *cast) freeID(id int) int {
	free, above := true, id
	for _, k := range c.known {
		free = free && k.ID != id
		above = max(above, k.ID+1)
	}
	if free {
		return id
	}
	return above
}

// sameOut reports whether media with these roles have the same tracks.
func sameOut(a, b []role) bool {
	if len(a) != len(b) {
		return false
	}
	for _, r := range a {
		if !slices.ContainsFunc(b, func(o role) bool { return o.out == r.out }) {
			return false
		}
	}
	return true
}

// sameTrack reports whether a frame of t needs no more than k's description.
func sameTrack(t, k *codec.Track) bool {
	return t.SameConfig(k) && t.Width == k.Width && t.Height == k.Height && t.Synthetic == k.Synthetic
}

// withID returns t if it has the ID, or else a copy that does.
func withID(t *codec.Track, id int) *codec.Track {
	if t.ID == id {
		return t
	}
	out := *t
	out.ID = id
	return &out
}
