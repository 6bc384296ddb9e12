package source

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	ringBytes    = 8 << 20 // what a ring holds at most, overhead included
	slotOverhead = 128     // what an item is charged beyond its bytes
	slotsAtFirst = 16
	manyWaiters  = 8 // above this, waking them is not done by the producer
)

// A ring keeps the newest items of one producer for any number of consumers,
// each with a position of its own. It holds everything since the newest key
// item, and older items for as long as window and keep say, within limit. The
// producer never waits for a consumer and pays nothing for each; consumers who
// were overtaken find out by their position.
type ring[T any] struct {
	mu     sync.RWMutex
	slots  []slot[T] // a power of two of them; position p is in slots[p&(len-1)]
	tail   uint64    // oldest position held
	head   atomic.Uint64
	key    uint64 // newest key position, if hasKey
	hasKey bool
	keyed  bool // there was a key item once: consumers can rely on another
	bytes  int
	window time.Duration // how long items before the key are kept
	keep   time.Duration // how far back consumers can begin
	limit  int           // bytes it holds at most, overhead included; 0: ringBytes
	keys   []uint64      // key positions held, oldest first; only with keep
	err    error         // why it was closed; nil while open

	changed chan struct{} // closed at the next change; made for the first waiter
	waiters atomic.Int32  // who took changed

	blockers map[*blocker]struct{} // consumers whom the producer waits for
	room     chan struct{}         // closed when a blocker has advanced
	once     bool                  // what all blockers have had is not kept
}

// A slot is an item with what the ring needs to know of it.
type slot[T any] struct {
	item T
	size int       // bytes, overhead included
	key  bool      // consumers can start here
	at   time.Time // when it was appended
}

// A blocker is a consumer whom the producer must not overtake.
type blocker struct {
	pos   uint64
	limit int // items the producer may be ahead
}

// append adds an item of size bytes and wakes who waits. It reports false if
// the ring is closed.
func (r *ring[T]) append(item T, size int, key bool, now time.Time) bool {
	r.mu.Lock()
	if r.err != nil {
		r.mu.Unlock()
		return false
	}
	head := r.head.Load()
	if head-r.tail == uint64(len(r.slots)) {
		r.grow()
	}
	size += slotOverhead
	r.slots[head&uint64(len(r.slots)-1)] = slot[T]{item, size, key, now}
	r.bytes += size
	if key {
		r.key, r.hasKey, r.keyed = head, true, true
		if r.keep > 0 {
			r.keys = append(r.keys, head)
		}
	}
	r.head.Store(head + 1)
	r.evict(now)
	r.wakeAndUnlock()
	return true
}

// close ends the ring: consumers get err once they have read everything.
func (r *ring[T]) close(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.freeRoom()
	r.wakeAndUnlock()
}

// wakeAndUnlock wakes who waits for a change. The producer does it itself for
// a few only, so that its cost does not grow with their number.
func (r *ring[T]) wakeAndUnlock() {
	ch := r.changed
	r.changed = nil
	n := r.waiters.Swap(0)
	r.mu.Unlock()
	switch {
	case ch == nil:
	case n <= manyWaiters:
		close(ch)
	default:
		go close(ch)
	}
}

func (r *ring[T]) grow() {
	bigger := make([]slot[T], max(slotsAtFirst, 2*len(r.slots)))
	for p := r.tail; p < r.head.Load(); p++ {
		bigger[p&uint64(len(bigger)-1)] = *r.at(p)
	}
	r.slots = bigger
}

// at returns the slot of a position that is held. The lock is held.
func (r *ring[T]) at(pos uint64) *slot[T] { return &r.slots[pos&uint64(len(r.slots)-1)] }

// evict drops what need not be kept, nothing that a blocker has not had. The
// lock is held.
func (r *ring[T]) evict(now time.Time) {
	head := r.head.Load()
	had := head
	for b := range r.blockers {
		had = min(had, b.pos)
	}
	for r.tail+1 < head && r.tail < had {
		s := r.at(r.tail)
		beforeKey := !r.hasKey || r.tail < r.key
		if !r.once && r.bytes <= r.most() && (!beforeKey || now.Sub(s.at) < r.window || r.kept(now)) {
			return
		}
		if r.hasKey && r.tail == r.key {
			r.hasKey = false
		}
		if len(r.keys) > 0 && r.keys[0] == r.tail {
			r.keys = r.keys[1:]
		}
		r.bytes -= s.size
		*s = slot[T]{}
		r.tail++
	}
}

// kept reports whether the oldest item is needed for a consumer who begins as far
// back as keep says. The lock is held.
func (r *ring[T]) kept(now time.Time) bool {
	return len(r.keys) > 0 && r.tail >= r.keys[0] && (len(r.keys) == 1 || now.Sub(r.at(r.keys[1]).at) < r.keep)
}

// most returns how many bytes the ring may hold.
func (r *ring[T]) most() int {
	if r.limit > 0 {
		return r.limit
	}
	return ringBytes
}

// setWindow changes how long items before the newest key item are kept.
func (r *ring[T]) setWindow(d time.Duration, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.window = d
	r.evict(now)
}

// wait returns a channel that is closed at the next change, or nil if there is
// something after pos already, or the ring is closed.
func (r *ring[T]) wait(pos uint64) <-chan struct{} {
	r.mu.RLock()
	if r.head.Load() > pos || r.err != nil {
		r.mu.RUnlock()
		return nil
	}
	if ch := r.changed; ch != nil {
		r.waiters.Add(1)
		r.mu.RUnlock()
		return ch
	}
	r.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head.Load() > pos || r.err != nil {
		return nil
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	r.waiters.Add(1)
	return r.changed
}

// start returns where a new consumer begins: the newest key item, or with
// false the next item to come if there is none.
func (r *ring[T]) start() (pos uint64, key bool) { return r.startBack(0, time.Time{}) }

// startBack is start for a consumer who begins with the newest key item that is
// as old as back says, or the oldest there is if none is.
func (r *ring[T]) startBack(back time.Duration, now time.Time) (pos uint64, key bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.hasKey {
		return r.head.Load(), false
	}
	pos = r.key
	for p := r.key; back > 0 && p > r.tail && now.Sub(r.at(pos).at) < back; {
		if p--; r.at(p).key {
			pos = p
		}
	}
	return pos, true
}

// usage returns the number of items and bytes held.
func (r *ring[T]) usage() (items, bytes int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := int(r.head.Load() - r.tail)
	return n, r.bytes - n*slotOverhead
}

// block makes the producer wait for a consumer at pos when it is limit items
// ahead, or what the consumer has not had fills the ring. The returned function
// takes it back.
func (r *ring[T]) block(pos uint64, limit int) (*blocker, func()) {
	b := &blocker{pos, limit}
	r.mu.Lock()
	if r.blockers == nil {
		r.blockers = map[*blocker]struct{}{}
	}
	r.blockers[b] = struct{}{}
	r.mu.Unlock()
	return b, func() {
		r.mu.Lock()
		delete(r.blockers, b)
		r.evict(time.Time{}) // what was kept for it alone and is too much
		r.freeRoom()
		r.mu.Unlock()
	}
}

// advance tells that the consumer b has come to pos.
func (r *ring[T]) advance(b *blocker, pos uint64) {
	r.mu.Lock()
	b.pos = pos
	if r.once {
		r.evict(time.Time{})
	}
	r.freeRoom()
	r.mu.Unlock()
}

func (r *ring[T]) freeRoom() {
	if r.room != nil {
		close(r.room)
		r.room = nil
	}
}

// full returns a channel to wait on while a consumer must not be overtaken,
// or nil if there is room.
func (r *ring[T]) full() <-chan struct{} {
	r.mu.RLock()
	none := len(r.blockers) == 0
	r.mu.RUnlock()
	if none {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	head := r.head.Load()
	for b := range r.blockers {
		if r.err == nil && (head >= b.pos+uint64(b.limit) || head > b.pos && r.bytes > r.most()) {
			if r.room == nil {
				r.room = make(chan struct{})
			}
			return r.room
		}
	}
	return nil
}

// A place is a consumer's position in a ring, with its patience.
type place struct {
	pos     uint64
	join    uint64        // where the ring's head was when it joined: what lies before is replay
	needKey bool          // what comes before the next key item is of no use to it
	jumped  bool          // what it reads next is a discontinuity
	from    uint64        // where it was before that jump
	to      uint64        // where that jump went
	maxLag  time.Duration //
	policy  SlowPolicy    //
	waited  bool          // it is its own doing if it is late: a write had to wait since it last had everything
	jumps   atomic.Uint64
	skipped atomic.Uint64
	entered time.Time    // set once
	waiting atomic.Int64 // when the item it is at was appended, odd nanoseconds since entered; 0 if it has had everything
}

// behind returns for how long the item that p is at has been there.
func (p *place) behind(now time.Time) time.Duration {
	if t := p.waiting.Load(); t != 0 {
		return max(0, now.Sub(p.entered)-time.Duration(t))
	}
	return 0
}

// isAt records when the item that p is at was appended.
func (p *place) isAt(t time.Time) { p.waiting.Store(int64(t.Sub(p.entered)) | 1) }

// hasAll records that p has had everything.
func (p *place) hasAll() { p.waiting.Store(0) }

// jump moves p ahead.
func (p *place) jump(to uint64) {
	if !p.jumped {
		p.from = p.pos
	}
	p.pos, p.to, p.jumped = to, to, true
}

// enter puts p at pos, which is the newest key item or one as good if key says so.
func (p *place) enter(pos uint64, key bool, head uint64, v ViewerOptions) {
	if p.entered.IsZero() {
		p.entered = time.Now()
	}
	p.pos, p.needKey, p.join = pos, !key, head
	p.policy, p.maxLag, p.waited = v.Slow, v.MaxLag, true
	if p.maxLag <= 0 {
		p.maxLag = DefaultMaxLag
	}
}

// lag returns for how long the next item of p has been there; 0 while it replays
// what was there when it joined. That is the wall clock's lag: by the media's
// clock everybody is behind when a publisher sends what a hiccup has held up. The
// ring's lock is held.
func lag[T any](r *ring[T], p *place, now time.Time) time.Duration {
	if p.pos >= r.head.Load() || p.pos < p.join && p.pos >= r.tail {
		return 0
	}
	return now.Sub(r.at(max(p.pos, r.tail)).at)
}

// catchUp moves p to the newest key item if it was overtaken, or is too far
// behind and not because this process had no time for it; the next item is then
// a discontinuity. The ring's lock is held.
func catchUp[T any](r *ring[T], p *place, now time.Time) error {
	overtaken := p.pos < r.tail
	if !overtaken && (p.policy == SlowBlock || !p.waited || lag(r, p, now) <= p.maxLag) {
		return nil
	}
	if p.policy == SlowCut {
		return ErrLagged
	}
	to := r.head.Load()
	switch {
	case r.hasKey && r.key > p.pos:
		to, p.needKey = r.key, false
	case !overtaken && r.err == nil:
		return nil // nothing to jump to: read on
	case r.err != nil:
		return ErrLagged // the stream ended, nothing newer will come
	default:
		p.needKey = r.keyed
	}
	p.skipped.Add(to - p.pos)
	p.jumps.Add(1)
	p.jump(to)
	return nil
}
