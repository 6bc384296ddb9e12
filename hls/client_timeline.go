package hls

import (
	"sync"
	"time"
)

// A timeline tells how the times in segments become those of the stream: after a
// discontinuity another amount is added. Renditions share one, so that audio and
// video stay together.
type timeline struct {
	mu     sync.Mutex               // guards shifts
	shifts map[uint64]time.Duration // by discontinuity sequence number
}

// maxEpochs is how many shifts are kept.
const maxEpochs = 16

// shift returns what is added in the epoch with that number.
func (t *timeline) shift(epoch uint64) (d time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, ok = t.shifts[epoch]
	return d, ok
}

// begin returns what is added in the epoch with that number: d if nobody has
// come so far.
func (t *timeline) begin(epoch uint64, d time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.shifts[epoch]; ok {
		return known
	}
	if t.shifts == nil || len(t.shifts) >= 2*maxEpochs {
		kept := map[uint64]time.Duration{}
		for e, s := range t.shifts {
			if e < epoch && epoch-e <= maxEpochs {
				kept[e] = s
			}
		}
		t.shifts = kept
	}
	t.shifts[epoch] = d
	return d
}
