package hls

import (
	"container/list"
	"net/http"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// An audience is who watches, or waits for, a stream under one name. It exists
// while there is anybody. The Handler's lock guards it.
type audience struct {
	sessions map[clientKey]*viewer
	prints   map[printKey]*viewer // the newest of those who look the same
	joins    map[printKey]*join
	recent   list.List  // of *viewer; who asked last is in front
	muxing   [2]*muxing // by Container: the newest that is shared, for requests without a session
}

// A clientKey tells sessions apart: a client that shows the same id in two
// containers has two.
type clientKey struct {
	container Container
	id        string
}

// A printKey is that of a client which has shown no id.
type printKey struct {
	container Container
	print     fingerprint
}

// audience returns the audience of a name, made if there is none. The lock is
// held.
func (h *Handler) audience(key source.Key) *audience {
	a := h.audiences[key]
	if a == nil {
		a = &audience{sessions: map[clientKey]*viewer{}, prints: map[printKey]*viewer{}, joins: map[printKey]*join{}}
		if h.audiences == nil {
			h.audiences = map[source.Key]*audience{}
		}
		h.audiences[key] = a
	}
	return a
}

// dismiss forgets the audience of a name if nobody is left. The lock is held.
func (h *Handler) dismiss(key source.Key) {
	if a := h.audiences[key]; a != nil && len(a.sessions) == 0 && len(a.joins) == 0 {
		delete(h.audiences, key)
	}
}

// A claim is who a request says it comes from.
type claim struct {
	r       *http.Request
	ids     []string
	print   fingerprint // set by look
	printed bool
}

func claimOf(r *http.Request) claim {
	who := claim{r: r, ids: idsOf(nil, r)}
	if len(who.ids) == 0 {
		who.look()
	}
	return who
}

// look sets the fingerprint, which is not needed of who shows a good id.
func (c *claim) look() {
	if !c.printed {
		c.print, c.printed = fingerprintOf(c.r), true
	}
}

// find returns the session that a request belongs to, nil if there is none. The
// lock is held.
//
// Who looks the same is the same viewer only until that one has shown its id with
// a request for a playlist, so that several players behind one address become
// several viewers. Their segments may come without an id all the same; those are
// charged to the newest.
func (a *audience) find(c Container, who *claim, playlist bool) *viewer {
	for _, id := range who.ids {
		if v := a.sessions[clientKey{c, id}]; v != nil {
			v.shown = v.shown || playlist || v.muxing.vod // whose playlist is asked for once
			return v
		}
	}
	who.look()
	v := a.prints[printKey{c, who.print}]
	if v != nil && v.shown && playlist {
		return nil
	}
	return v
}

// idFor returns the id of a client that has none in this container: the one it
// has in the other, else a new one. The lock is held.
func (a *audience) idFor(c Container, ids []string) string {
	for _, id := range ids {
		if a.sessions[clientKey{TS, id}] != nil || a.sessions[clientKey{FMP4, id}] != nil {
			if a.sessions[clientKey{c, id}] == nil {
				return id
			}
		}
	}
	return source.NewID() // 130 random bits
}

// enter adds a session. The lock is held.
func (a *audience) enter(v *viewer) {
	a.sessions[clientKey{v.container, v.id}] = v
	a.prints[printKey{v.container, v.print}] = v
	v.place = a.recent.PushFront(v)
	if v.muxing.stream != nil {
		a.muxing[v.container] = v.muxing
	}
}

// remove takes a session out. The lock is held.
func (a *audience) remove(v *viewer) {
	delete(a.sessions, clientKey{v.container, v.id})
	if k := (printKey{v.container, v.print}); a.prints[k] == v {
		delete(a.prints, k)
	}
	a.recent.Remove(v.place)
}

// touch notes that a session has asked for something. The lock is held.
func (a *audience) touch(v *viewer) {
	v.last = time.Now()
	v.active++
	a.recent.MoveToFront(v.place)
}
