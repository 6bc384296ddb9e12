package source

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Subscription is a viewer of a [Stream]: the Reader that a Hub's Play
// returns. Servers turn it into wire bytes with [FeedOf]; who wants frames reads it.
type Subscription struct {
	stream *Stream
	req    *Request
	start  time.Time
	place  place // in the stream's ring, or in the feed's
	bytes  atomic.Uint64
	frames atomic.Uint64
	fetch  atomic.Bool // Charge was called

	mu      sync.Mutex // guards what follows
	err     error      // why it ended
	cutFor  error      // why the stream ended it, if it did
	onCut   func(error)
	closed  chan struct{} // made by the first who waits
	over    bool          // err is set, or the stream has ended
	done    chan struct{} // closed with over; made by the first who asks
	block   *blocker
	unblock func()
}

func newSubscription(s *Stream, req *Request) *Subscription {
	sub := &Subscription{stream: s, req: req, start: time.Now()}
	pos, key := s.ring.startBack(req.Viewer.Back, sub.start)
	sub.place.enter(pos, key || !s.hasVideo(), s.ring.head.Load(), req.Viewer)
	if req.Viewer.Slow == SlowBlock {
		sub.block, sub.unblock = s.ring.block(pos, maxHeld)
	}
	return sub
}

// Tracks implements Reader.
func (s *Subscription) Tracks() []*codec.Track { return s.stream.Tracks() }

// Stream returns the stream that is watched.
func (s *Subscription) Stream() *Stream { return s.stream }

// Request returns the request that led to the subscription.
func (s *Subscription) Request() *Request { return s.req }

// ReadFrame implements Reader. A viewer who is too slow is treated as
// Request.Viewer says; the frame after a jump has FlagDiscont.
func (s *Subscription) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	for {
		f, err := s.next()
		if f != nil || err != nil {
			return f, err
		}
		ch := s.stream.ring.wait(s.place.pos)
		if ch == nil {
			continue
		}
		ended := s.ending()
		if ended == nil {
			continue
		}
		select {
		case <-ch:
		case <-ended:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// next returns the next frame, or nothing if there is none yet.
func (s *Subscription) next() (*codec.Frame, error) {
	if err := s.reason(); err != nil {
		return nil, err
	}
	r, p := &s.stream.ring, &s.place
	r.mu.RLock()
	err := catchUp(r, p, time.Now())
	var f *codec.Frame
	head := r.head.Load()
	for f == nil && err == nil && p.pos < head {
		slot := r.at(p.pos)
		p.pos++
		if p.needKey && !slot.key {
			continue
		}
		p.needKey = false
		f = slot.item
		p.isAt(slot.at)
	}
	if f == nil && err == nil {
		p.hasAll()
		err = r.err
	}
	r.mu.RUnlock()
	if err != nil {
		s.fail(err)
		return nil, err
	}
	if f == nil {
		return nil, nil
	}
	if s.block != nil {
		r.advance(s.block, p.pos)
	}
	s.frames.Add(1)
	s.bytes.Add(uint64(len(f.Data)))
	if p.jumped {
		p.jumped = false
		g := *f
		g.Flags |= codec.FlagDiscont
		f = &g
	}
	return f, nil
}

// ending returns a channel that is closed when the subscription ends, nil if it
// has.
func (s *Subscription) ending() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil
	}
	if s.closed == nil {
		s.closed = make(chan struct{})
	}
	return s.closed
}

func (s *Subscription) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail records why the subscription ended, the first time.
func (s *Subscription) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	if s.closed != nil {
		close(s.closed)
	}
	if s.unblock != nil {
		s.unblock()
	}
	s.finish()
}

// finish closes what Done returned. The lock is held.
func (s *Subscription) finish() {
	if !s.over && s.done != nil {
		close(s.done)
	}
	s.over = true
}

// streamEnded is told when the stream has ended. There may be frames left to read.
func (s *Subscription) streamEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
}

// Done returns a channel that is closed when the subscription was closed or
// kicked, or when its stream has ended. It is for viewers who read no frames.
func (s *Subscription) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.over {
			close(s.done)
		}
	}
	return s.done
}

// Charge counts bytes that the viewer has fetched of something which was made of
// the stream once for all, such as HLS segments. A viewer who is charged reads no
// frames and is never behind.
func (s *Subscription) Charge(bytes int) {
	s.fetch.Store(true)
	s.bytes.Add(uint64(max(0, bytes)))
}

// cut ends the subscription from the stream's side.
func (s *Subscription) cut(err error) {
	s.fail(err)
	s.mu.Lock()
	s.cutFor = err
	fn := s.onCut
	s.mu.Unlock()
	if fn != nil {
		fn(err)
	}
}

// whenCut has fn called when the stream ends the subscription.
func (s *Subscription) whenCut(fn func(error)) {
	s.mu.Lock()
	s.onCut = fn
	err := s.cutFor
	s.mu.Unlock()
	if err != nil {
		fn(err)
	}
}

// Close implements Reader.
func (s *Subscription) Close() error { return s.CloseWithError(io.ErrClosedPipe) }

// CloseWithError is Close for a reason, which the statistics tell unless the
// subscription has ended before.
func (s *Subscription) CloseWithError(err error) error {
	s.fail(err)
	s.stream.unsubscribe(s)
	s.req.end(s.Stats())
	return nil
}

// Stats returns the viewer's counters.
func (s *Subscription) Stats() SessionStats {
	var lag time.Duration
	if !s.fetch.Load() {
		lag = s.place.behind(time.Now())
	}
	return SessionStats{
		ID: s.req.ID, Key: s.stream.key, Schema: s.req.Schema, Protocol: s.req.Protocol, Remote: s.req.Remote,
		Passive: s.req.Passive, Start: s.start, Bytes: s.bytes.Load(), Frames: s.frames.Load(),
		Lag: lag, Jumps: s.place.jumps.Load(), Skipped: s.place.skipped.Load(), Err: s.reason(),
	}
}
