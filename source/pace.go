package source

import (
	"context"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// paceSlack is how late a frame may be before the clock of [Pace] starts anew.
const paceSlack = time.Second

// Pace returns a Reader that delivers the frames of r no earlier than their DTS
// says, on the monotonic clock: a file plays like a live stream. The clock
// starts with the first frame. It starts anew with a frame that is more than a
// second late (the reader had stopped, or cannot keep up) and with one that has
// FlagDiscont. Frames are not changed, so Unwrap returns r.
func Pace(r Reader) Reader {
	p := &pacer{r: r}
	p.life, p.kill = context.WithCancel(context.Background())
	return p
}

type pacer struct {
	r     Reader
	life  context.Context // ends with Close
	kill  context.CancelFunc
	next  *codec.Frame // read, but not due when the context ended
	zero  time.Time    // when DTS 0 is due; the zero Time before the first frame
	timer *time.Timer
}

func (p *pacer) Tracks() []*codec.Track { return p.r.Tracks() }

// Unwrap returns the Reader that is paced.
func (p *pacer) Unwrap() Reader { return p.r }

func (p *pacer) Close() error {
	p.kill()
	return p.r.Close()
}

func (p *pacer) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	f := p.next
	if f == nil {
		var err error
		if f, err = p.r.ReadFrame(ctx); err != nil {
			return nil, err
		}
		now := time.Now()
		if p.zero.IsZero() || f.Has(codec.FlagDiscont) || now.Sub(p.zero)-f.DTS > paceSlack {
			p.zero = now.Add(-f.DTS)
		}
	}
	p.next = f
	if err := p.sleep(ctx, time.Until(p.zero.Add(f.DTS))); err != nil {
		return nil, err
	}
	p.next = nil
	return f, nil
}

// sleep returns after d, or with an error when ctx or the stream ends before.
func (p *pacer) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		p.timer.Stop()
		return ctx.Err()
	case <-p.life.Done():
		p.timer.Stop()
		return ErrClosed
	}
}
