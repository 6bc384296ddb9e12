package hls

import (
	"context"
	"time"

	"github.com/mediakit-go/mediakit/source"
)

const (
	paceSlack  = 200 * time.Millisecond // how late a frame may be before the clock starts anew
	paceFar    = 30 * time.Second       // how early
	catchUp    = 1.1                    // speed when the stream has fallen behind
	paceMargin = 2 * time.Second
)

// A pacer holds the frames of a live stream back until they are due: segments
// come at once, viewers want them as they were recorded. Where frames come late
// the clock waits for them, so that there is more in store the next time; where
// there is too much in store, it runs a little faster.
type pacer struct {
	life  context.Context // its end ends the waiting
	begun bool
	at    time.Time     // when the frame at dts was due
	dts   time.Duration //
	speed float64       // 1 to begin with
}

// wait returns when a frame with that DTS is due. behind is how much more media
// there is after it than is wanted in store.
func (p *pacer) wait(ctx context.Context, dts, behind time.Duration) error {
	now := time.Now()
	due := p.at.Add(time.Duration(float64(dts-p.dts) / p.speed))
	late := now.Sub(due)
	if !p.begun || late > paceSlack || late < -paceFar {
		due = now
	}
	speed := p.speed
	switch {
	case behind > paceMargin:
		speed = catchUp
	case behind <= 0:
		speed = 1
	}
	p.begun, p.at, p.dts, p.speed = true, due, dts, speed
	d := time.Until(due)
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.life.Done():
		return source.ErrClosed
	}
}
