package source

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Cursor is a viewer's position in a feed. Pass it to a connection with
// Deliver, or read packets with Next.
type Cursor struct {
	feed   *Feed
	r      Reader
	sub    *Subscription // whose frames these are; nil if r is no Subscription
	place  *place        // the Subscription's, but of a private feed
	header []byte
	only   trackSet           // what is written
	block  *blocker           // private feed
	epoch  atomic.Uint64      // counts the seeks of a Delivery; guarded by its lock for writing
	cancel context.CancelFunc // private feed: ends its goroutine
	pumped chan struct{}      // private feed: closed when that has ended
	once   sync.Once
}

// enter puts c at the newest key packet, with the header in force there.
func (c *Cursor) enter(v ViewerOptions) {
	f := c.feed
	f.fill()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring.mu.RLock()
	defer f.ring.mu.RUnlock()
	r := &f.ring
	c.header = nil
	pos := r.head.Load()
	if r.hasKey {
		pos = r.key
		c.header = r.at(pos).item.start.header
	} else {
		c.header = f.mux.Header()
	}
	c.place.enter(pos, r.hasKey || !f.video.Load(), r.head.Load(), v)
}

// Header returns what the viewer is to be sent first.
func (c *Cursor) Header() []byte { return c.header }

// Reader returns the Reader the Cursor was made of.
func (c *Cursor) Reader() Reader { return c.r }

// Muxer returns the feed's muxer, which all viewers of the feed share: it can be
// asked for what it tells several goroutines.
func (c *Cursor) Muxer() Muxer { return c.feed.mux }

// Close gives up the position and closes the Reader it came from.
func (c *Cursor) Close() error {
	var err error
	c.once.Do(func() {
		if c.cancel != nil {
			c.cancel()
		}
		err = c.r.Close()
		if c.pumped != nil {
			<-c.pumped
		}
		if c.feed.stream != nil {
			c.feed.stream.release(c.feed)
		}
	})
	return err
}

// Next appends to dst the packets that are due, waiting for the first of them,
// and returns io.EOF at the end of the stream. It is for outputs that are not a
// connection; it must not be mixed with Deliver.
func (c *Cursor) Next(ctx context.Context, dst []Packet) ([]Packet, error) {
	for {
		var ended <-chan struct{}
		if c.block == nil {
			if ended = c.sub.ending(); ended == nil {
				return dst, c.sub.reason()
			}
		}
		n := len(dst)
		b, err := c.gather(batch{packets: dst, epoch: c.epoch.Load()})
		if err != nil || len(b.packets) > n {
			c.count(b.bytes, len(b.packets)-n)
			return b.packets, err
		}
		ch := c.feed.wait(c.place.pos)
		if ch == nil {
			continue
		}
		select {
		case <-ch:
		case <-ended:
		case <-ctx.Done():
			return dst, context.Cause(ctx)
		}
	}
}

// A batch is what a cursor has gathered.
type batch struct {
	packets []Packet
	bytes   int
	most    int    // packets; 0: as many as are good to write at once
	epoch   uint64 // of the cursor, when it was decided to gather
}

// gather moves c over at most batchBytes of packets and appends them to b, with
// the configuration it missed if it had to jump. It returns why the stream
// ended once there is nothing more. After a seek that was not known of when b was
// begun it does nothing.
func (c *Cursor) gather(b batch) (batch, error) {
	c.feed.fill()
	r, p := &c.feed.ring, c.place
	r.mu.RLock()
	defer func() {
		r.mu.RUnlock()
		if c.block != nil {
			r.advance(c.block, p.pos)
		}
	}()
	if b.epoch != c.epoch.Load() {
		return b, nil
	}
	head, had := r.head.Load(), len(b.packets)
	for flush := min(c.feed.flush.Load(), head); p.pos < flush; p.pos++ {
		if e := &r.at(p.pos).item; e.Header && c.only.has(e.Track) {
			b.add(e.Packet)
		}
	}
	most := batchItems
	if b.most > 0 {
		most = b.most
	}
	if err := catchUp(r, p, time.Now()); err != nil {
		return b, err
	}
	if p.pos < head {
		p.isAt(r.at(p.pos).at)
	}
	began := p.pos
	for p.pos < head {
		s := r.at(p.pos)
		if b.bytes > 0 && (b.bytes+s.size > batchBytes || len(b.packets) >= most) {
			break
		}
		p.pos++
		if p.needKey && !s.key && !s.item.Header {
			continue
		}
		if s.key {
			p.needKey = false
		}
		if p.jumped && !p.needKey {
			p.jumped = false
			c.feed.configAt(&s.item, func(h headerAt) {
				if h.pos >= p.from && h.pos < p.to && c.only.has(h.Track) {
					b.add(h.Packet)
				}
			})
		}
		if c.only.has(s.item.Track) {
			b.add(s.item.Packet)
		}
	}
	if len(b.packets) == had && p.pos == head && began == head {
		return b, r.err
	}
	return b, nil
}

func (b *batch) add(p Packet) {
	b.packets = append(b.packets, p)
	b.bytes += len(p.Wire)
}

// restart puts c where a viewer who comes now begins.
func (c *Cursor) restart() {
	if c.block == nil {
		c.enter(c.sub.req.Viewer)
		c.place.waited = false
	}
}

// begin puts c, which was restarted, at the first packet that a viewer can start
// at, and returns the header in force there; false if there is none yet.
func (c *Cursor) begin() (header []byte, ok bool) {
	c.feed.fill()
	r, p := &c.feed.ring, c.place
	r.mu.RLock()
	defer func() {
		r.mu.RUnlock()
		if c.block != nil {
			r.advance(c.block, p.pos)
		}
	}()
	head := r.head.Load()
	p.pos = max(p.pos, r.tail)
	if c.block != nil {
		p.pos = max(p.pos, min(c.feed.flush.Load(), head))
	}
	for ; p.pos < head; p.pos++ {
		if s := r.at(p.pos); s.key {
			p.needKey, p.jumped, p.join = false, false, head
			p.isAt(s.at)
			return s.item.start.header, true
		}
	}
	return nil, false
}

// nextDTS returns the DTS of the packet c is at; false if there is none.
func (c *Cursor) nextDTS() (time.Duration, bool) {
	r := &c.feed.ring
	r.mu.RLock()
	defer r.mu.RUnlock()
	pos := max(c.place.pos, r.tail)
	if pos >= r.head.Load() {
		return 0, false
	}
	return r.at(pos).item.DTS, true
}

// rejoin puts a viewer who was paused at the newest key packet.
func (c *Cursor) rejoin() {
	r := &c.feed.ring
	if c.block != nil {
		return // a private feed waits for its viewer
	}
	c.feed.fill()
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.hasKey && r.key > c.place.pos {
		c.place.jump(r.key)
		c.place.needKey = false
	}
	c.place.join = r.head.Load()
}

// count records what was sent.
func (c *Cursor) count(bytes, packets int) {
	if c.block == nil { // else they were counted as they were read
		c.sub.bytes.Add(uint64(bytes))
		c.sub.frames.Add(uint64(packets))
	}
}

// ended returns why the stream is over, nil while it is not.
func (c *Cursor) ended() error {
	r := &c.feed.ring
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.err
}

// pending makes the packets that are due and returns when what is before c is
// to be written, whether there is anything (the end of the stream counts), and
// the ring's head.
func (c *Cursor) pending(window time.Duration) (at time.Time, ok bool, head uint64) {
	f, p := c.feed, c.place
	f.fill()
	f.ring.mu.RLock()
	defer f.ring.mu.RUnlock()
	at, ok = f.due(p.pos, p.join, window)
	head = f.ring.head.Load()
	if p.pos >= head {
		p.hasAll()
		p.waited = false
	}
	return at, ok, head
}
