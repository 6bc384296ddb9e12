package source

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shardViewers   = 256       // viewers above which a feed is split
	shardBatchSize = 128 << 10 // bytes written to each viewer between two looks at the ring
)

// A shard is a writer loop: one goroutine that writes a feed's packets to some
// hundred viewers, each batch to all of them in one burst, one non-blocking
// write each. All its viewers are up to date; one whose socket is full gets a
// goroutine of its own until it has caught up.
type shard struct {
	feed   *Feed
	window time.Duration
	size   atomic.Int32  // viewers served or about to be
	wake   chan struct{} // of one: there is somebody in the lists below

	mu        sync.Mutex // guards what follows
	incoming  []*Delivery
	attention []*Delivery // has control bytes, is paused or has ended
	running   bool

	// The loop's own.
	pos     uint64 // what all viewers have had, but those who joined since
	viewers []*Delivery
	packets []Packet
	first   uint64       // position of packets[0]
	batches []*wireBatch // packets in the forms that viewers want
	out     Batch        // packets for those who take them as they are
	socket  tryWriter
}

// A wireBatch is some packets' bytes in one piece.
type wireBatch struct {
	framed bool
	only   trackSet
	joined bool   // it holds the packets of the batch
	buf    []byte // reused
	bytes  []byte // buf, or the bytes of the only packet
	ends   []end  // of each packet
}

// An end is where a packet ends in a wireBatch.
type end struct {
	bytes   int
	packets int // of those that are wanted, with this one
}

// join makes w hold the packets.
func (w *wireBatch) join(packets []Packet) {
	w.joined = true
	w.buf, w.ends = w.buf[:0], w.ends[:0]
	if len(packets) == 1 && w.only.has(packets[0].Track) {
		w.bytes = packets[0].wire(w.framed)
		w.ends = append(w.ends, end{len(w.bytes), 1})
		return
	}
	n := 0
	for i := range packets {
		if w.only.has(packets[i].Track) {
			w.buf = append(w.buf, packets[i].wire(w.framed)...)
			n++
		}
		w.ends = append(w.ends, end{len(w.buf), n})
	}
	w.bytes = w.buf
}

// from returns the bytes and the number of the packets from the ith on.
func (w *wireBatch) from(i int) ([]byte, int) {
	all := w.ends[len(w.ends)-1].packets
	if i == 0 {
		return w.bytes, all
	}
	return w.bytes[w.ends[i-1].bytes:], all - w.ends[i-1].packets
}

// batchFor returns the packets of the batch in the form that d wants.
func (s *shard) batchFor(d *Delivery) *wireBatch {
	var w *wireBatch
	for _, have := range s.batches {
		if have.framed == d.framed && have.only == d.cursor.only {
			w = have
		}
	}
	if w == nil {
		w = &wireBatch{framed: d.framed, only: d.cursor.only}
		s.batches = append(s.batches, w)
	}
	if !w.joined {
		w.join(s.packets)
	}
	return w
}

// shardFor returns the loop for one more viewer: the one with the fewest, or a
// new one while all have many and there are fewer than processors.
func (f *Feed) shardFor(window time.Duration) *shard {
	f.shardsMu.Lock()
	defer f.shardsMu.Unlock()
	var best *shard
	n := 0
	for _, s := range f.shards {
		if s.window != window {
			continue
		}
		n++
		if best == nil || s.size.Load() < best.size.Load() {
			best = s
		}
	}
	if best == nil || best.size.Load() >= shardViewers && n < runtime.GOMAXPROCS(0) {
		best = &shard{feed: f, window: window, wake: make(chan struct{}, 1)}
		f.shards = append(f.shards, best)
	}
	best.size.Add(1)
	return best
}

// add gives d to the loop, which is started if it does not run.
func (s *shard) add(d *Delivery) {
	s.mu.Lock()
	s.incoming = append(s.incoming, d)
	starts := !s.running
	s.running = true
	s.mu.Unlock()
	if starts {
		go s.run()
		return
	}
	s.poke() // something may be due for it sooner than for the others
}

func (s *shard) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// attend makes the loop look at d soon.
func (s *shard) attend(d *Delivery) {
	s.mu.Lock()
	s.attention = append(s.attention, d)
	s.mu.Unlock()
	s.poke()
}

// run is the loop. It ends when nobody is left.
func (s *shard) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.feed.fill()
		s.lookAround()
		if len(s.viewers) == 0 && s.stop() {
			return
		}
		at, pending, head := s.pending()
		if pending && !at.After(time.Now()) {
			s.flush()
			continue
		}
		changed := s.feed.wait(head)
		if changed == nil {
			continue
		}
		var timeout <-chan time.Time
		if pending {
			timer.Reset(time.Until(at))
			timeout = timer.C
		}
		select {
		case <-changed:
		case <-timeout:
		case <-s.wake:
		}
	}
}

// stop ends the loop unless somebody has come.
func (s *shard) stop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = len(s.incoming)+len(s.attention) > 0
	return !s.running
}

// pending returns when the next batch is due, whether there is one, and the
// ring's head.
func (s *shard) pending() (at time.Time, ok bool, head uint64) {
	r := &s.feed.ring
	r.mu.RLock()
	defer r.mu.RUnlock()
	at, ok = s.feed.due(s.pos, 0, s.window)
	return at, ok, r.head.Load()
}

// lookAround takes in who has come and does what is asked for who is there.
func (s *shard) lookAround() {
	s.mu.Lock()
	incoming, attention := s.incoming, s.attention
	s.incoming, s.attention = nil, nil
	s.mu.Unlock()
	for _, d := range incoming {
		if len(s.viewers) == 0 || d.cursor.place.pos < s.pos {
			s.pos = d.cursor.place.pos
		}
		s.viewers = append(s.viewers, d)
	}
	if len(attention) == 0 {
		return
	}
	gone := map[*Delivery]bool{}
	for _, d := range attention {
		if !gone[d] && !s.obey(d) {
			gone[d] = true
		}
	}
	s.keep(func(d *Delivery) bool { return !gone[d] })
}

// obey does what is asked for d. It reports whether the loop goes on serving it.
func (s *shard) obey(d *Delivery) bool {
	d.mu.Lock()
	if d.shard != s {
		d.mu.Unlock()
		return true // somebody else's by now
	}
	control, leave, err := d.control, d.paused || d.leaving != nil || d.starts != nil, d.err
	d.control = nil
	d.mu.Unlock()
	if err != nil {
		d.finish(err)
		return false
	}
	n := len(control)
	switch {
	case n == 0:
	case d.out != nil:
		err = d.write(net.Buffers{control})
	default:
		n, err = s.socket.write(d.raw, control)
	}
	if err != nil {
		d.finish(err)
		return false
	}
	if leave || n < len(control) {
		d.takeBack(control[n:])
		return false
	}
	return true
}

// keep removes the viewers for whom ok is false.
func (s *shard) keep(ok func(*Delivery) bool) {
	kept := s.viewers[:0]
	for _, d := range s.viewers {
		if ok(d) {
			kept = append(kept, d)
		}
	}
	s.size.Add(int32(len(kept) - len(s.viewers)))
	clear(s.viewers[len(kept):])
	s.viewers = kept
}

// flush writes one batch to every viewer.
func (s *shard) flush() {
	if !s.collect() {
		// The end of the stream, or it has overtaken this loop: each viewer's own
		// goroutine says goodbye or jumps.
		s.keep(func(d *Delivery) bool { d.takeBack(nil); return false })
		return
	}
	s.pos = s.first + uint64(len(s.packets))
	s.out = Batch{Packets: s.packets, Spare: s.out.Spare}
	s.keep(s.send)
	clear(s.packets)
	s.packets = s.packets[:0]
	if s.out.Prepared != nil {
		s.out.Spare = s.out.Prepared
	}
	s.out = Batch{Spare: s.out.Spare}
	s.batches = slices.DeleteFunc(s.batches, func(w *wireBatch) bool {
		unused := !w.joined
		w.joined, w.bytes = false, nil
		return unused
	})
}

// collect takes the next batch from the ring. It reports false if there is none
// to be had here.
func (s *shard) collect() bool {
	r := &s.feed.ring
	r.mu.RLock()
	defer r.mu.RUnlock()
	head := r.head.Load()
	if s.pos < r.tail || s.pos >= head {
		return false
	}
	s.first = s.pos
	n := 0
	for p := s.pos; p < head; p++ {
		e := r.at(p)
		if n > 0 && n+e.size > shardBatchSize {
			break
		}
		n += e.size
		s.packets = append(s.packets, e.item.Packet)
	}
	return true
}

// send writes to d what it has not had of the batch. It reports whether the
// loop goes on serving it.
func (s *shard) send(d *Delivery) bool {
	p := d.cursor.place
	if p.pos >= s.pos {
		return true // it came with more than this batch holds
	}
	i := int(p.pos - s.first)
	if d.out != nil {
		return s.handOut(d, i)
	}
	w := s.batchFor(d)
	b, packets := w.from(i)
	if len(b) == 0 {
		p.pos = s.pos
		return true
	}
	n, err := s.socket.write(d.raw, b)
	if err != nil {
		d.finish(err)
		return false
	}
	if n == len(b) {
		d.cursor.count(n, packets)
		p.pos = s.pos
		return true
	}
	// Back to the first packet that was not written at all; what is left of the
	// one before it goes first. The batch's own buffer is reused, the packets' are not.
	var rest []byte
	bytes := 0
	packets = 0
	for ; n > 0; i++ {
		p.pos++
		if !d.cursor.only.has(s.packets[i].Track) {
			continue
		}
		wire := s.packets[i].wire(d.framed)
		if n < len(wire) {
			rest = wire[n:]
		}
		bytes += len(wire)
		packets++
		n -= min(n, len(wire))
	}
	d.cursor.count(bytes, packets)
	p.waited = true // the rest waits for its socket
	d.takeBack(rest)
	return false
}

// handOut gives d the packets of the batch from the ith on. It reports whether
// the loop goes on serving it.
func (s *shard) handOut(d *Delivery, i int) bool {
	b := &s.out
	if i > 0 {
		b = &Batch{Packets: s.packets[i:]}
	}
	n, err := d.out.WritePackets(b)
	d.cursor.count(n, len(b.Packets))
	if err != nil {
		d.finish(err)
		return false
	}
	d.cursor.place.pos = s.pos
	return true
}
