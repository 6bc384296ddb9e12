package source

import (
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// keyWait is how much media a stream that goes on after a break waits for a key
// frame of its video before its audio goes on alone.
const keyWait = 10 * time.Second

// A keyGate lets a stream go on after a break: from the first key frame, what
// comes before it is left out. The zero value is closed.
type keyGate struct {
	open  bool
	begun []int         // IDs of the video tracks that have had their key frame
	from  time.Duration // open: frames before this DTS are left out
	first time.Duration // closed: DTS of the first frame seen
	seen  bool
}

// pass reports whether f goes through and whether it is a new beginning, where
// tracks are the stream's as far as known.
func (g *keyGate) pass(tracks func() []*codec.Track, f *codec.Frame) (ok, fresh bool) {
	if g.open && f.DTS < g.from {
		return false, false
	}
	if startsAtKey(f.Track) {
		if slices.Contains(g.begun, f.Track.ID) {
			return true, false
		}
		if !f.Key() {
			g.see(f)
			return false, false
		}
		g.begun = append(g.begun, f.Track.ID)
		g.begin(f)
		return true, true
	}
	if g.open {
		return true, false
	}
	g.see(f)
	if f.DTS-g.first < keyWait && slices.ContainsFunc(tracks(), startsAtKey) {
		return false, false
	}
	g.begin(f)
	return true, true
}

func (g *keyGate) see(f *codec.Frame) {
	if !g.seen {
		g.seen, g.first = true, f.DTS
	}
}

func (g *keyGate) begin(f *codec.Frame) {
	if !g.open {
		g.open, g.from = true, f.DTS
	}
}

// startsAtKey reports whether decoding of t starts at key frames only and they
// are known: not with audio, and not in a coding that nobody looks into.
func startsAtKey(t *codec.Track) bool {
	return t.Kind() == codec.KindVideo && t.Codec != codec.Opaque
}
