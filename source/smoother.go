package source

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	smoothMost   = time.Second // more than this in the buffer is let go at once
	smoothFrames = 125         // and more frames than this
)

// A smoother is the buffer of StreamOptions.PacedDelay. Its clock, the time up
// to which frames have been let go, runs at the publisher's pace while the buffer
// holds about as much as it is to hold. The stream's lock guards it; a nil one
// holds nothing.
type smoother struct {
	stream *Stream
	depth  time.Duration // what the buffer is to hold
	frames []heldFrame
	clock  time.Duration // of the frames' times, at at
	at     time.Time
	speed  float64 // of the clock; 0 before there was a frame
	timer  *time.Timer
}

// enter lets a live stream have a frame, by its smoother if it has one. The lock
// is held.
func (s *Stream) enter(p *publication, f *codec.Frame, now time.Time) {
	if s.options.PacedDelay <= 0 {
		s.emit(p, f, now, now)
		return
	}
	if s.smoother == nil {
		s.smoother = &smoother{stream: s, depth: s.options.PacedDelay}
	}
	s.smoother.add(f, now)
}

// add takes in a frame.
func (m *smoother) add(f *codec.Frame, now time.Time) {
	if n := len(m.frames); n > 0 && f.DTS < m.frames[n-1].DTS-maxBackstep || n >= smoothFrames {
		m.flush(now)
	}
	if len(m.frames) == 0 && (m.speed == 0 || f.DTS < m.now(now)-maxBackstep || f.DTS > m.now(now)+smoothMost) {
		m.clock, m.at, m.speed = f.DTS-m.depth, now, 1
	}
	m.frames = append(m.frames, heldFrame{f, now})
	if f.DTS-m.frames[0].DTS > smoothMost {
		m.flush(now)
		return
	}
	m.run(now)
}

// now returns the clock's time.
func (m *smoother) now(now time.Time) time.Duration {
	return m.clock + time.Duration(float64(now.Sub(m.at))*m.speed)
}

// run lets go what is due and sets the clock's speed by what is left.
func (m *smoother) run(now time.Time) {
	m.clock, m.at = m.now(now), now
	n := 0
	for ; n < len(m.frames) && m.frames[n].DTS <= m.clock; n++ {
		m.emit(m.frames[n], now)
	}
	m.drop(n)
	if len(m.frames) == 0 {
		return
	}
	held := m.frames[len(m.frames)-1].DTS - m.clock
	m.speed = smoothSpeed(held, m.depth)
	wait := time.Duration(float64(m.frames[0].DTS-m.clock)/m.speed) + 1
	if m.timer == nil {
		m.timer = time.AfterFunc(wait, m.tick)
	} else {
		m.timer.Reset(wait)
	}
}

// smoothSpeed returns the clock's speed when the buffer holds so much and is to
// hold depth: half for less than two thirds of it, one up to four thirds, and
// then more and more up to one and a half at ten thirds.
func smoothSpeed(held, depth time.Duration) float64 {
	switch x := 3 * float64(held) / float64(depth); {
	case x < 2:
		return 0.5
	case x <= 4:
		return 1
	case x < 10:
		return 1 + (x-4)/12
	}
	return 1.5
}

// tick is called by the timer.
func (m *smoother) tick() {
	m.stream.mu.Lock()
	defer m.stream.mu.Unlock()
	if len(m.frames) > 0 {
		m.run(time.Now())
	}
}

// flush lets everything go.
func (m *smoother) flush(now time.Time) {
	if m == nil {
		return
	}
	for _, f := range m.frames {
		m.emit(f, now)
	}
	m.drop(len(m.frames))
	m.speed = 0
	if m.timer != nil {
		m.timer.Stop()
	}
}

// drop forgets the first n frames.
func (m *smoother) drop(n int) {
	left := copy(m.frames, m.frames[n:])
	clear(m.frames[left:])
	m.frames = m.frames[:left]
}

func (m *smoother) emit(f heldFrame, now time.Time) {
	if p := m.stream.pub; p != nil {
		m.stream.emit(p, f.Frame, f.arrived, now)
	}
}
