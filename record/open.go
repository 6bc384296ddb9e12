package record

import "sync"

// openFiles are the hidden files that this process writes, by their paths. A nil
// one keeps none.
type openFiles struct {
	mu    sync.Mutex
	paths map[string]struct{} // guarded by mu
}

func (o *openFiles) add(path string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paths == nil {
		o.paths = map[string]struct{}{}
	}
	o.paths[path] = struct{}{}
}

func (o *openFiles) remove(path string) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.paths, path)
}

func (o *openFiles) has(path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.paths[path]
	return ok
}
