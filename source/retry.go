package source

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A Backoff says when a stream that failed is tried again, for [Retry] and
// [RetrySink]. The zero value tries for ever, 2 s after a stream was lost, then
// 3, 6, 9 s and so on up to 60 s apart.
type Backoff struct {
	Min      time.Duration // shortest wait before an attempt; 0 means 2 s
	Step     time.Duration // what each failure in a row adds to the wait; 0 means 3 s
	Max      time.Duration // longest wait; 0 means 60 s
	Attempts int           // so many failures in a row end the stream with the last error; 0: none do
	EndAtEOF bool          // a source's graceful end is the end; else it is opened again as after any loss

	// GiveUp tells the errors that no other attempt can mend: they end the
	// stream at once. nil: those that wrap ErrUnsupported or ErrBadKey.
	GiveUp func(err error) bool

	// OnState is called when the phase changes, in order, one call at a time,
	// and the stream waits for it. It must not call the stream, except for its
	// RetryState.
	OnState func(RetryState)
}

// Delay returns the wait before the attempt that follows so many failures in a
// row. A stream that had worked is no failure: the attempt after its loss waits
// for Delay(0).
func (b Backoff) Delay(failures int) time.Duration {
	least, step, most := b.Min, b.Step, b.Max
	if least == 0 {
		least = 2 * time.Second
	}
	if step == 0 {
		step = 3 * time.Second
	}
	if most == 0 {
		most = 60 * time.Second
	}
	wait := most
	if step <= 0 || time.Duration(failures) < most/step {
		wait = time.Duration(failures) * step
	}
	return max(least, wait, 0)
}

// givesUp reports whether no attempt follows after so many failures in a row,
// the last one for the reason err.
func (b Backoff) givesUp(failures int, err error) bool {
	if b.Attempts > 0 && failures >= b.Attempts {
		return true
	}
	if b.GiveUp != nil {
		return b.GiveUp(err)
	}
	return errors.Is(err, ErrUnsupported) || errors.Is(err, ErrBadKey)
}

// A RetryPhase is what a stream that is tried again is doing.
type RetryPhase uint8

// The phases. RetryEnded is the last one and stays.
const (
	RetryConnecting RetryPhase = iota // an attempt is being made and has brought no frame yet
	RetryLive                         // frames pass
	RetryWaiting                      // for the time of the next attempt
	RetryEnded                        // there will be no other attempt
)

// String returns the phase's name for people, such as "waiting".
func (p RetryPhase) String() string {
	switch p {
	case RetryConnecting:
		return "connecting"
	case RetryLive:
		return "live"
	case RetryWaiting:
		return "waiting"
	}
	return "ended"
}

// A RetryState tells how the retrying of a stream goes.
type RetryState struct {
	Phase      RetryPhase
	Attempts   uint64    // how often the stream was opened or created, or that was tried
	Failures   int       // attempts in a row that brought no frame
	Reconnects uint64    // how often frames passed again after the stream had been lost
	Dropped    uint64    // frames left out: those before a key frame, and of a Writer those while it was away
	Err        error     // why the latest attempt failed or ended; nil before one did
	Next       time.Time // in RetryWaiting: when the next attempt is due
}

// A Retrier is the ability of the Readers of [Retry], found with [As], and of
// the Writers of [RetrySink] to tell how the retrying goes. It may be called
// from any goroutine.
type Retrier interface {
	RetryState() RetryState
}

// retrying is what the Readers of Retry and the Writers of RetrySink share: the
// attempt at hand and its state.
type retrying[T io.Closer] struct {
	Backoff
	life context.Context // ends with Close
	kill context.CancelFunc

	passed  atomic.Bool // the attempt at hand has brought a frame
	telling sync.Mutex  // held from a change of phase until OnState has returned; before mu

	mu      sync.Mutex         // guards what follows
	state   RetryState         // state.Err is what ended the stream once it has
	cur     T                  // of the attempt at hand
	release context.CancelFunc // ends the context cur was made with; nil while there is no cur
}

func (r *retrying[T]) begin(ctx context.Context, b Backoff) {
	r.Backoff = b
	r.life, r.kill = context.WithCancel(context.WithoutCancel(ctx))
}

// RetryState returns the state.
func (r *retrying[T]) RetryState() RetryState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// enter changes the state and tells of it, unless the stream has ended.
func (r *retrying[T]) enter(p RetryPhase, change func(*RetryState)) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	if r.state.Phase == RetryEnded {
		r.mu.Unlock()
		return
	}
	r.state.Phase, r.state.Next = p, time.Time{}
	change(&r.state)
	s := r.state
	r.mu.Unlock()
	if r.OnState != nil {
		r.OnState(s)
	}
}

// end notes that there will be no other attempt, because of err.
func (r *retrying[T]) end(err error) {
	r.enter(RetryEnded, func(s *RetryState) { s.Err = err })
}

// pass notes that the attempt at hand brought a frame; again says that frames
// had passed before it.
func (r *retrying[T]) pass(again bool) {
	if r.passed.Load() {
		return
	}
	r.passed.Store(true)
	r.enter(RetryLive, func(s *RetryState) {
		s.Failures = 0
		if again {
			s.Reconnects++
		}
	})
}

// fail notes why the attempt at hand failed or ended, and reports whether
// another one follows. It is due at the state's Next.
func (r *retrying[T]) fail(err error) bool {
	failures := 0
	if !r.passed.Load() {
		failures = r.RetryState().Failures + 1
	}
	phase, next := RetryWaiting, time.Now().Add(r.Delay(failures))
	if r.givesUp(failures, err) {
		phase, next = RetryEnded, time.Time{}
	}
	r.enter(phase, func(s *RetryState) { s.Failures, s.Err, s.Next = failures, err, next })
	return phase == RetryWaiting
}

// drop counts a frame that was left out.
func (r *retrying[T]) drop() {
	r.mu.Lock()
	r.state.Dropped++
	r.mu.Unlock()
}

// over returns why there will be no other attempt, or nil. The caller holds mu.
func (r *retrying[T]) over() error {
	if r.state.Phase == RetryEnded {
		return r.state.Err
	}
	return nil
}

// current returns the attempt at hand, if there is one, and what ended the
// stream.
func (r *retrying[T]) current() (cur T, ok bool, over error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cur, r.release != nil, r.over()
}

// leave takes the attempt at hand away and returns the function that closes it.
func (r *retrying[T]) leave() (closeIt func() error) {
	var none T
	r.mu.Lock()
	defer r.mu.Unlock()
	cur, release := r.cur, r.release
	r.cur, r.release = none, nil
	return func() error {
		if release == nil {
			return nil
		}
		defer release()
		return cur.Close()
	}
}

// ended returns why ctx or the stream's life is over, or nil.
func (r *retrying[T]) ended(ctx context.Context) error {
	if r.life.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// attempt calls open once and makes what it returns the attempt at hand. The
// context of open ends when ctx or the stream's life does, but outlives ctx once
// open has returned: whether what it opened is bound to its context must not
// matter.
func (r *retrying[T]) attempt(ctx context.Context, open func(context.Context) (T, error)) error {
	r.passed.Store(false)
	r.enter(RetryConnecting, func(s *RetryState) { s.Attempts++ })
	octx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	defer context.AfterFunc(r.life, cancel)()
	v, err := open(octx)
	if e := r.ended(ctx); e != nil {
		if err == nil {
			v.Close()
		}
		err = e
	}
	if err != nil {
		cancel()
		return err
	}
	r.mu.Lock()
	if err = r.over(); err == nil {
		r.cur, r.release = v, cancel
	}
	r.mu.Unlock()
	if err != nil { // closed just now
		v.Close()
		cancel()
	}
	return err
}

// comeBack makes attempts, each when it is due, until one succeeds, ctx or the
// stream's life ends, or there is to be no other.
func (r *retrying[T]) comeBack(ctx context.Context, open func(context.Context) (T, error)) error {
	for {
		if d := time.Until(r.RetryState().Next); d > 0 {
			t := time.NewTimer(d)
			select {
			case <-t.C:
			case <-ctx.Done():
			case <-r.life.Done():
			}
			t.Stop()
		}
		if err := r.ended(ctx); err != nil {
			return err
		}
		err := r.attempt(ctx, open)
		if err == nil {
			return nil
		}
		if e := r.ended(ctx); e != nil {
			return e
		}
		if !r.fail(err) {
			return err
		}
	}
}
