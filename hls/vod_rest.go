package hls

import (
	"container/list"
	"sync"
	"time"
)

const (
	maxAwake = 64              // media of a Handler that are open while nobody reads them
	awakeFor = 5 * time.Second // how long one is
)

// A rester is a medium that can close what it has open until it is used again. It
// is sought then.
type rester interface{ Rest() }

// A ward keeps the media of viewers who ask for nothing from being open: viewers
// cost nothing to make up. Those that were read lately are, but not too many.
type ward struct {
	mu    sync.Mutex  // guards what follows, and place and since of those in the list
	awake list.List   // of *vod; the one that was read last is in front
	timer *time.Timer // nil: nothing is due
}

// put notes that v was read, and is no more.
func (w *ward) put(v *vod) {
	w.mu.Lock()
	if v.place == nil {
		v.place = w.awake.PushFront(v)
	}
	w.awake.MoveToFront(v.place)
	v.since = time.Now()
	w.mu.Unlock()
	w.look()
}

// look has those rest whose time it is.
func (w *ward) look() {
	w.mu.Lock()
	var tired []*vod
	for e := w.awake.Back(); e != nil; e = w.awake.Back() {
		v := e.Value.(*vod)
		if left := awakeFor - time.Since(v.since); left > 0 && w.awake.Len() <= maxAwake {
			w.wait(left)
			break
		}
		w.drop(v)
		tired = append(tired, v)
	}
	w.mu.Unlock()
	for _, v := range tired {
		v.sleep()
	}
}

// wait has look called then, unless it is sooner anyhow. The lock is held.
func (w *ward) wait(d time.Duration) {
	if w.timer == nil {
		w.timer = time.AfterFunc(d, func() {
			w.mu.Lock()
			w.timer = nil
			w.mu.Unlock()
			w.look()
		})
	}
}

// remove forgets v, whose viewer has gone.
func (w *ward) remove(v *vod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(v)
	if w.awake.Len() == 0 && w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// drop takes v out of the list. The lock is held.
func (w *ward) drop(v *vod) {
	if v.place != nil {
		w.awake.Remove(v.place)
		v.place = nil
	}
}

// sleep has the medium rest, unless somebody reads it, who puts it back after that.
func (v *vod) sleep() {
	select {
	case <-v.turn:
		v.at, v.read, v.over, v.awake = -1, nil, false, false
		v.rest()
		v.turn <- struct{}{}
	default:
	}
}
