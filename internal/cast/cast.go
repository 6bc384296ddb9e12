// Package cast gives the tracks of media that follow each other in one stream, as
// files do and attempts at a source, their places there: those of a medium take the
// places of earlier ones by codec, then by kind, and keep their IDs.
package cast

import (
	"slices"

	"github.com/mediakit-go/mediakit/codec"
)

// A Cast is the tracks of a stream. Its zero value has none yet.
type Cast struct {
	First []*codec.Track // of each ID what it was first
	Known []*codec.Track // and what it was last
}

// A Role is what a medium's track is in the stream.
type Role struct{ In, Out *codec.Track }

// Play adds roles for tracks to those of a medium: first those of a track with the
// same codec that the medium does not play yet, then of one of the same kind; the
// rest are new.
func (c *Cast) Play(roles []Role, tracks ...*codec.Track) []Role {
	n := len(roles)
	for _, t := range tracks {
		roles = append(roles, Role{In: t})
	}
	for _, exact := range []bool{true, false} {
		for i := n; i < len(roles); i++ {
			if r := &roles[i]; r.Out == nil {
				r.Out = c.free(roles, r.In, exact)
			}
		}
	}
	for i := n; i < len(roles); i++ {
		r := &roles[i]
		if r.Out == nil {
			r.Out = withID(r.In, c.freeID(r.In.ID))
			c.First = append(c.First, r.Out)
			c.Known = append(c.Known, r.Out)
		}
	}
	return roles
}

// free returns the place that t can take, in the form that it has there, or nil.
func (c *Cast) free(roles []Role, t *codec.Track, exact bool) *codec.Track {
	for i, k := range c.Known {
		taken := slices.ContainsFunc(roles, func(r Role) bool { return r.Out != nil && r.Out.ID == k.ID })
		if taken || t.Kind() != k.Kind() || exact && t.Codec != k.Codec {
			continue
		}
		c.Known[i] = like(t, k)
		return c.Known[i]
	}
	return nil
}

// freeID returns id, or the lowest one above all there are if one has it.
func (c *Cast) freeID(id int) int {
	free, above := true, id
	for _, k := range c.Known {
		free = free && k.ID != id
		above = max(above, k.ID+1)
	}
	if free {
		return id
	}
	return above
}

// Renew says that t is how the medium describes the track of r from now on.
func (c *Cast) Renew(r *Role, t *codec.Track) {
	r.In, r.Out = t, like(t, r.Out)
	for i, k := range c.Known {
		if k.ID == r.Out.ID {
			c.Known[i] = r.Out
		}
	}
}

// Find returns the index of the role that the track of a medium with this ID has,
// or -1.
func Find(roles []Role, id int) int {
	return slices.IndexFunc(roles, func(r Role) bool { return r.In.ID == id })
}

// like returns t with the ID of k: k itself if a frame of t needs no more than that.
func like(t, k *codec.Track) *codec.Track {
	if t.SameConfig(k) && t.Width == k.Width && t.Height == k.Height && t.Synthetic == k.Synthetic {
		return k
	}
	return withID(t, k.ID)
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
