package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	paceSlack = time.Second // how late a frame may be before the clock of [Pace] starts anew

	minSpeed, maxSpeed = 0.1, 20
)

// Pace returns a Reader that delivers the frames of r no earlier than their DTS
// says, on the monotonic clock: a file plays like a live stream. The clock
// starts with the first frame. It starts anew with a frame that is more than a
// second late (the reader had stopped, or cannot keep up) and with one that has
// FlagDiscont. Frames are not changed, so Unwrap returns r.
//
// The Reader is a [Pauser] and a [Speeder], and a [Seeker] if r is one. Those may
// be used from any goroutine, also while ReadFrame waits; r itself is used by one
// at a time. After Seek the next frame is the one that it went to.
func Pace(r Reader) Reader {
	p := &pacer{r: r, speed: 1}
	p.life, p.kill = context.WithCancel(context.Background())
	if s, ok := As[Seeker](r); ok {
		return &seekingPacer{p, s}
	}
	return p
}

// A pacer is what Pace returns for a Reader that cannot seek.
type pacer struct {
	life    context.Context // ends with Close
	kill    context.CancelFunc
	reading sync.Mutex // for r
	r       Reader

	mu      sync.Mutex     // guards what follows
	tracks  []*codec.Track // when they were looked at last
	next    *codec.Frame
	began   bool          // there was a frame
	at      time.Time     // when it was origin in the stream's time
	origin  time.Duration // does not move while paused
	speed   float64
	paused  bool
	changed chan struct{} // closed when what a waiting ReadFrame goes by has changed; made by it
}

// A seekingPacer is what Pace returns for a Reader that can.
type seekingPacer struct {
	*pacer
	seeker Seeker
}

// Tracks implements Reader. While a frame is read they are those from before.
func (p *pacer) Tracks() []*codec.Track {
	if p.reading.TryLock() {
		defer p.reading.Unlock()
		tracks := p.r.Tracks()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tracks = tracks
		return tracks
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tracks
}

// Unwrap returns the Reader that is paced.
func (p *pacer) Unwrap() Reader { return p.r }

func (p *pacer) Close() error {
	p.kill()
	return p.r.Close()
}

func (p *pacer) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		f, err := p.coming(ctx)
		if err != nil {
			return nil, err
		}
		wait, changed := p.take(f)
		if changed == nil {
			return f, nil
		}
		var due <-chan time.Time
		switch {
		case wait < 0: // paused
		case timer == nil:
			timer = time.NewTimer(wait)
			due = timer.C
		default:
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-due:
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-p.life.Done():
			return nil, ErrClosed
		}
	}
}

// coming returns the frame that comes next, read but not taken.
func (p *pacer) coming(ctx context.Context) (*codec.Frame, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	p.mu.Lock()
	f := p.next
	p.mu.Unlock()
	if f != nil {
		return f, nil
	}
	f, err := p.r.ReadFrame(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = f
	now := time.Now()
	if !p.began || f.Has(codec.FlagDiscont) || !p.paused && now.Sub(p.due(f)) > paceSlack {
		p.began, p.at, p.origin = true, now, f.DTS
	}
	return f, nil
}

// take takes f if it is still the next frame and due. Else it returns how long
// to wait for that, negative without end, and what ends waiting before.
func (p *pacer) take(f *codec.Frame) (wait time.Duration, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = -1
	if !p.paused {
		wait = max(0, time.Until(p.due(f)))
	}
	if wait == 0 && p.next == f {
		p.next = nil
		return 0, nil
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return wait, p.changed
}

// due returns when f is due. The lock is held.
func (p *pacer) due(f *codec.Frame) time.Time {
	return p.at.Add(time.Duration(float64(f.DTS-p.origin) / p.speed))
}

// change stops the clock, makes a change and lets the clock go on. A ReadFrame
// that waits looks again.
func (p *pacer) change(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.began && !p.paused {
		p.origin += time.Duration(float64(now.Sub(p.at)) * p.speed)
	}
	p.at = now
	fn()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// Pause implements Pauser.
func (p *pacer) Pause(paused bool) error {
	p.change(func() { p.paused = paused })
	return nil
}

// SetSpeed implements Speeder.
func (p *pacer) SetSpeed(speed float64) error {
	if !(speed >= minSpeed && speed <= maxSpeed) {
		return fmt.Errorf("%w: speed %v, not %v to %v", ErrUnsupported, speed, minSpeed, maxSpeed)
	}
	p.change(func() { p.speed = speed })
	return nil
}

// Seek implements Seeker.
func (p *seekingPacer) Seek(ctx context.Context, t time.Duration) (time.Duration, error) {
	p.reading.Lock()
	defer p.reading.Unlock()
	t, err := p.seeker.Seek(ctx, t)
	if err == nil {
		p.change(func() { p.next, p.began = nil, false })
	}
	return t, err
}

// Duration implements Seeker.
func (p *seekingPacer) Duration() time.Duration { return p.seeker.Duration() }
