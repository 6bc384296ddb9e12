package server

import (
	"container/list"
	"crypto/rand"
	"strings"
	"sync"
	"time"
)

// Bounds of what is remembered of visitors.
const (
	maxGrants  = 10_000
	maxRefusal = 1 << 10 // bytes of a text
)

// A grant is what a visitor was answered.
type grant struct {
	id      string   // what his cookie says; "" if the answer was not kept
	query   queryKey // he came with
	folder  string   // it is good for
	refusal string   // "": he may pass
	until   time.Time
}

// Grants are the answers that visitors got, the youngest 10,000. The zero value
// has none.
type grants struct {
	mu      sync.Mutex // guards what follows
	byID    map[string]*list.Element
	byQuery map[queryKey]*list.Element // the youngest of each
	byAge   list.List                  // of *grant, the oldest first
}

// find returns the grant of a visitor that answers for a path. A refusal counts
// until he comes with another query.
func (g *grants) find(v visitor, path string, now time.Time) (grant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range v.ids {
		if got, ok := g.answer(g.byID[id], v, path, now); ok {
			return got, true
		}
	}
	if v.query != (queryKey{}) {
		return g.answer(g.byQuery[v.query], v, path, now)
	}
	return grant{}, false
}

// answer returns the grant in e, which may be nil, if it answers for a path.
func (g *grants) answer(e *list.Element, v visitor, path string, now time.Time) (grant, bool) {
	if e == nil {
		return grant{}, false
	}
	got := e.Value.(*grant)
	if !now.Before(got.until) {
		g.remove(e)
		return grant{}, false
	}
	again := got.refusal == "" || v.query == (queryKey{}) || v.query == got.query
	return *got, again && within(got.folder, path)
}

// add keeps an answer for a while and returns it as it is kept.
func (g *grants) add(v visitor, a grant, keep time.Duration, now time.Time) grant {
	a.id, a.query, a.until = rand.Text(), v.query, now.Add(keep)
	a.refusal = strings.Clone(a.refusal[:min(len(a.refusal), maxRefusal)])
	a.folder = strings.Clone(a.folder)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byID == nil {
		g.byID, g.byQuery = map[string]*list.Element{}, map[queryKey]*list.Element{}
	}
	e := g.byAge.PushBack(&a)
	g.byID[a.id] = e
	if a.query != (queryKey{}) {
		g.byQuery[a.query] = e
	}
	if g.byAge.Len() > maxGrants {
		g.remove(g.byAge.Front())
	}
	return a
}

// remove forgets a grant.
func (g *grants) remove(e *list.Element) {
	old := g.byAge.Remove(e).(*grant)
	delete(g.byID, old.id)
	if g.byQuery[old.query] == e {
		delete(g.byQuery, old.query)
	}
}
