package source

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// privateFeed returns a cursor in a feed made for it alone, filled from r by a
// goroutine that waits for the viewer. sub is nil if r is no Subscription.
func privateFeed(ctx context.Context, r Reader, sub *Subscription, format Format) (*Cursor, error) {
	mux, err := format.New(r.Tracks())
	if err != nil {
		return nil, fmt.Errorf("source: feed %s: %w", format.Name, err)
	}
	if s, ok := As[Seeker](r); ok && sub == nil {
		if m, ok := mux.(FilmMuxer); ok && s.Duration() > 0 {
			m.PlayFilm(s.Duration())
		}
	}
	f := &Feed{format: format, mux: mux}
	f.ring.once = true
	for _, t := range r.Tracks() {
		f.seeVideo(t)
	}
	ctx, cancel := context.WithCancel(ctx)
	f.pump = &pump{feed: f, r: r, place: &place{}, seeks: sub == nil, ctx: ctx}
	f.pump.resume()
	c := &Cursor{feed: f, r: r, sub: sub, place: f.pump.place, header: mux.Header(), cancel: cancel, pumped: make(chan struct{})}
	c.place.enter(0, true, 0, ViewerOptions{Slow: SlowBlock})
	c.block, _ = f.ring.block(0, feedAhead)
	go func() {
		defer close(c.pumped)
		err := f.pump.run()
		f.mu.Lock()
		f.finish(err)
		f.mu.Unlock()
	}()
	return c, nil
}

// longestJoint is the step in time above which a frame does not follow the one
// before it, but was gone to.
const longestJoint = 500 * time.Millisecond

// A pump fills a private feed.
type pump struct {
	feed  *Feed
	r     Reader
	place *place          // the Cursor's; guarded by the feed's ring
	seeks bool            // a frame with FlagDiscont may be one that somebody went to
	ctx   context.Context // ends with the Cursor

	gate    sync.Mutex         // held by who seeks, who comes before the next frame
	stopMu  sync.Mutex         // guards stop
	stop    context.CancelFunc // ends waiting for a frame
	frame   sync.Mutex         // held from the reading of a frame until it is muxed, and while seeking; guards what follows
	reading context.Context    // that frames are read with
	last    time.Duration      // DTS of the newest frame
	over    bool               // there will be no frame any more
}

// run muxes what r yields, at most feedAhead packets ahead of the viewer.
func (p *pump) run() error {
	for {
		for room := p.feed.ring.full(); room != nil; room = p.feed.ring.full() {
			select {
			case <-room:
			case <-p.ctx.Done():
				return context.Cause(p.ctx)
			}
		}
		p.gate.Lock()
		p.gate.Unlock() //nolint:staticcheck // it is passed, not held
		if err := p.next(); err != nil {
			return err
		}
	}
}

// next muxes one frame, or none if somebody wants to seek.
func (p *pump) next() error {
	p.frame.Lock()
	defer p.frame.Unlock()
	fr, err := p.r.ReadFrame(p.reading)
	switch {
	case err == nil:
	case p.reading.Err() != nil && p.ctx.Err() == nil:
		return nil
	default:
		p.over = true
		return err
	}
	f := p.feed
	step := fr.DTS - p.last
	p.last = fr.DTS
	if p.seeks && fr.Has(codec.FlagKey|codec.FlagDiscont) && (step < 0 || step > longestJoint) {
		p.drop()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.add(fr, time.Now()) {
		p.over = true
		return io.EOF
	}
	return nil
}

// seek goes to another time. What the viewer has not had by then is not sent.
func (p *pump) seek(ctx context.Context, s Seeker, t time.Duration) (time.Duration, error) {
	p.gate.Lock()
	defer p.gate.Unlock()
	p.interrupt()
	p.frame.Lock()
	defer p.frame.Unlock()
	p.resume()
	if p.over {
		return 0, ErrClosed
	}
	t, err := s.Seek(ctx, t)
	if err == nil {
		p.drop()
	}
	return t, err
}

// drop makes what the viewer has not had be forgotten. p.frame is held.
func (p *pump) drop() {
	f := p.feed
	var unsent []Packet
	f.ring.mu.Lock()
	head := f.ring.head.Load()
	for pos := max(p.place.pos, f.ring.tail, f.flush.Load()); pos < head; pos++ {
		unsent = append(unsent, f.ring.at(pos).item.Packet)
	}
	f.flush.Store(head)
	f.ring.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, ok := f.mux.(Rewinder); ok && len(unsent) > 0 {
		m.Rewind(unsent)
	}
}

// interrupt ends waiting for a frame.
func (p *pump) interrupt() {
	p.stopMu.Lock()
	defer p.stopMu.Unlock()
	p.stop()
}

// resume lets frames be read again, until the next interrupt. p.frame is held.
func (p *pump) resume() {
	p.stopMu.Lock()
	defer p.stopMu.Unlock()
	p.reading, p.stop = context.WithCancel(p.ctx)
}
