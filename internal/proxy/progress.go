package proxy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

// Progress is how the work of a proxy goes: the state of the stream that is tried
// again and again, and counters of all its attempts. Its zero value is that of a
// proxy which has not begun. It is for use by several goroutines.
type Progress struct {
	// Tell is called after each change of state, in order, one call at a time.
	// It must not change before the first change. nil: nobody is told.
	Tell func()

	telling sync.Mutex // held from a change of state until Tell has returned; before mu

	mu      sync.Mutex // guards what follows
	state   source.RetryState
	earlier source.RetryState // counters of openings before the one at hand
	idle    bool
	ended   bool
	live    time.Time
	changed chan struct{} // closed at the next change of state; made by who waits

	bytes, frames uint64
	measured      time.Time // when the rate was
	counted       uint64    // bytes then
	rate          uint64
}

// A Snapshot is a Progress at one time.
type Snapshot struct {
	State         source.RetryState // counters of all openings
	Idle          bool              // there is nothing to do
	Live          time.Time         // when the stream came, zero while it is not there
	Bytes, Frames uint64
	Rate          uint64 // bytes per second
}

// rateWindow is the time over which the rate is measured.
const rateWindow = time.Second

// change changes the state and tells of it.
func (p *Progress) change(fn func()) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	fn()
	if p.state.Phase != source.RetryLive {
		p.live = time.Time{}
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	p.mu.Unlock()
	if p.Tell != nil {
		p.Tell()
	}
}

// Begin says that a stream is opened with counters of its own, which Note will
// tell of.
func (p *Progress) Begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.earlier = p.sum()
	p.state = source.RetryState{Err: p.state.Err}
}

// sum returns the state with the counters of all openings. The lock is held.
func (p *Progress) sum() source.RetryState {
	s := p.state
	s.Attempts += p.earlier.Attempts
	s.Reconnects += p.earlier.Reconnects
	s.Dropped += p.earlier.Dropped
	return s
}

// Note takes over the state of the stream, as its OnState is told; idle says that
// there is nothing to do until somebody or something comes. The end of the stream
// is not the proxy's.
func (p *Progress) Note(s source.RetryState, idle bool) {
	p.change(func() {
		if s.Phase == source.RetryLive && p.state.Phase != source.RetryLive {
			p.live = time.Now()
		}
		if s.Phase == source.RetryEnded && closed(s.Err) {
			s.Err = p.state.Err // what was wrong before says more
		}
		p.state, p.idle = s, idle
	})
}

// closed reports whether err only says that somebody ended the stream.
func closed(err error) bool {
	return errors.Is(err, source.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, io.ErrClosedPipe)
}

// Rest is Idle(true) for a proxy that has not begun, of which nobody is told.
func (p *Progress) Rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = true
}

// Idle says whether there is nothing to do.
func (p *Progress) Idle(idle bool) { p.change(func() { p.idle = idle }) }

// End says that the proxy is over, and why. Later changes are not.
func (p *Progress) End(err error) {
	p.change(func() {
		p.state.Phase, p.state.Next, p.state.Err = source.RetryEnded, time.Time{}, err
		p.idle, p.ended = false, true
	})
}

// Count counts a frame.
func (p *Progress) Count(bytes int) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.measured) >= rateWindow {
		p.rate = uint64(float64(p.bytes-p.counted) / now.Sub(p.measured).Seconds())
		p.measured, p.counted = now, p.bytes
	}
	p.bytes += uint64(bytes)
	p.frames++
}

// Snapshot returns what there is to know.
func (p *Progress) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Snapshot{State: p.sum(), Idle: p.idle, Live: p.live, Bytes: p.bytes, Frames: p.frames, Rate: p.rate}
	if time.Since(p.measured) > 2*rateWindow { // nothing comes any more
		s.Rate = 0
	}
	return s
}

// Wait waits until the stream is there, which returns nil, or an attempt has
// failed, or the proxy has ended, which returns why. An idle one is not waited for.
func (p *Progress) Wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		s, idle := p.state, p.idle
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		switch {
		case idle, s.Phase == source.RetryLive:
			return nil
		case s.Phase == source.RetryWaiting, s.Phase == source.RetryEnded:
			return s.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
