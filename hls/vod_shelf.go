package hls

import (
	"container/list"
	"slices"
	"sync"
)

// maxShelf bounds a shelf, in bytes.
const maxShelf = 32 << 20

// maxPlans is how many plans a shelf keeps.
const maxPlans = 16

// A shelf keeps segments of files that were asked for lately, for all viewers.
// They are found by their entity tags, which no two media have in common.
type shelf struct {
	mu     sync.Mutex // guards what follows
	files  map[string]*list.Element
	recent list.List // of *file; the one asked for last is in front
	bytes  int
	plans  []*vodPlan // of media that were asked for first lately
}

// share returns p, or the same plan of another viewer: who watches a film needs none
// alone.
func (s *shelf) share(p *vodPlan) *vodPlan {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.plans, func(o *vodPlan) bool { return o.id == p.id }); i >= 0 {
		return s.plans[i]
	}
	if len(s.plans) == maxPlans {
		s.plans = slices.Delete(s.plans, 0, 1)
	}
	s.plans = append(s.plans, p)
	return p
}

// find returns the file with this entity tag; nil if it is not there.
func (s *shelf) find(tag string) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.files[tag]
	if e == nil {
		return nil
	}
	s.recent.MoveToFront(e)
	return e.Value.(*file)
}

// add keeps f, which is complete, and as many of the others as there is room for.
func (s *shelf) add(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[f.etag[0]] != nil {
		return
	}
	if s.files == nil {
		s.files = map[string]*list.Element{}
	}
	s.files[f.etag[0]] = s.recent.PushFront(f)
	s.bytes += len(f.content.Load().data)
	for s.bytes > maxShelf {
		old := s.recent.Remove(s.recent.Back()).(*file)
		delete(s.files, old.etag[0])
		s.bytes -= len(old.content.Load().data)
	}
}

// clear gives all up.
func (s *shelf) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files, s.bytes, s.plans = nil, 0, nil
	s.recent.Init()
}
