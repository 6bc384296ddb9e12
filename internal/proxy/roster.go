package proxy

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mediakit-go/mediakit/source"
)

// A Runner is what runs under an id.
type Runner interface {
	// Run returns when it is over, or soon after ctx is done.
	Run(ctx context.Context)
}

// A Roster is a set of Runners, whose configurations are Cs. Its zero value is an
// empty one that is not kept. It is for use by several goroutines.
type Roster[C any, R Runner] struct {
	File string // the configurations, as JSON; "": they are not kept. It must not change after the first use

	changing sync.Mutex     // held while somebody adds or removes; before mu
	running  sync.WaitGroup // all Runners

	mu      sync.Mutex // guards what follows
	entries map[string]*entry[C, R]
	closed  bool
}

// An entry is a Runner under its id.
type entry[C any, R Runner] struct {
	config C
	runner R
	cancel context.CancelFunc
	done   chan struct{} // closed when it has returned
}

func (e *entry[C, R]) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// abandon ends an entry that has not run.
func (e *entry[C, R]) abandon() {
	e.cancel()
	close(e.done)
}

// Add runs r under id, in the place of one that is over; one that is not is an
// error that wraps source.ErrBusy. When the file cannot be written nothing was
// added.
func (s *Roster[C, R]) Add(id string, config C, r R) error { return s.add(id, config, r, true) }

// Resume is Add for what is in the file already.
func (s *Roster[C, R]) Resume(id string, config C, r R) error { return s.add(id, config, r, false) }

func (s *Roster[C, R]) add(id string, config C, r R, keep bool) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	old, closed := s.entries[id], s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return source.ErrClosed
	case old != nil && !old.over():
		return fmt.Errorf("%w: %s", source.ErrBusy, id)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &entry[C, R]{config, r, cancel, make(chan struct{})}
	s.put(id, e)
	if keep {
		if err := s.save(); err != nil {
			e.abandon()
			s.put(id, old)
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		e.abandon()
		delete(s.entries, id)
		return source.ErrClosed
	}
	s.running.Go(func() {
		defer cancel()
		defer close(e.done)
		r.Run(ctx)
	})
	return nil
}

// put sets the entry of id; nil deletes it.
func (s *Roster[C, R]) put(id string, e *entry[C, R]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries == nil {
		s.entries = map[string]*entry[C, R]{}
	}
	if e == nil {
		delete(s.entries, id)
	} else {
		s.entries[id] = e
	}
}

// Remove ends what runs under id and waits for it. It reports whether there was
// something. An error is the file's: what was removed comes back from there.
func (s *Roster[C, R]) Remove(id string) (bool, error) {
	s.mu.Lock()
	e := s.entries[id]
	if s.closed {
		e = nil
	}
	s.mu.Unlock()
	if e == nil {
		return false, nil
	}
	e.cancel()
	<-e.done // which may take its time, but not that of others
	s.changing.Lock()
	defer s.changing.Unlock()
	if !s.drop(id, e) {
		return true, nil // somebody else was quicker
	}
	return true, s.save()
}

// drop deletes e, if it still is the entry of id.
func (s *Roster[C, R]) drop(id string, e *entry[C, R]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[id] != e {
		return false
	}
	delete(s.entries, id)
	return true
}

// Get returns what runs, or has run, under id.
func (s *Roster[C, R]) Get(id string) (r R, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	if !ok {
		return r, false
	}
	return e.runner, true
}

// All returns all Runners in the order of their ids.
func (s *Roster[C, R]) All() []R {
	var all []R
	for _, e := range s.sorted() {
		all = append(all, e.runner)
	}
	return all
}

// sorted returns all entries in the order of their ids.
func (s *Roster[C, R]) sorted() []*entry[C, R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.entries))
	for id := range s.entries {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	all := make([]*entry[C, R], 0, len(ids))
	for _, id := range ids {
		all = append(all, s.entries[id])
	}
	return all
}

// Close ends everything and waits for it. The file stays as it is.
func (s *Roster[C, R]) Close() {
	s.mu.Lock()
	s.closed = true
	for _, e := range s.entries {
		e.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
}
