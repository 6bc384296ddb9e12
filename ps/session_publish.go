package ps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

// write writes a frame to the Publication, or lets it wait if that would wait, or
// does not exist yet. mu is held.
func (s *Session) write(f *codec.Frame) {
	if s.holding {
		s.held.add(f)
		return
	}
	if s.publishing {
		s.backlog.add(f)
		return
	}
	if s.pub == nil { // it was refused
		s.backlog.dropped++
		return
	}
	s.now.begin()
	err := s.pub.WriteFrame(&s.now, f)
	switch {
	case err == nil:
	case errors.Is(err, errWouldWait):
		s.backlog.add(f)
		s.publishInBackground(false)
	default:
		s.stop(fmt.Errorf("ps: %w", err))
	}
}

// tell tells the Publication of the tracks. mu is held.
func (s *Session) tell() {
	if s.pub == nil { // it was refused
		return
	}
	s.untold = false
	if err := s.pub.SetTracks(s.tracks, s.complete); err != nil {
		s.stop(fmt.Errorf("ps: %w", err))
	}
}

// unpublish ends the Publication for the reason err. mu is held.
func (s *Session) unpublish(err error) {
	if err == io.EOF {
		err = nil
	}
	_ = s.pub.CloseWithError(err)
}

// publishInBackground lets a goroutine write the frames, of which those that come
// meanwhile wait in the backlog. With ask it has to ask the Handler first. mu is held.
func (s *Session) publishInBackground(ask bool) {
	s.publishing = true
	go s.publish(ask)
}

// publish is that goroutine. It ends when nothing waits any more.
func (s *Session) publish(ask bool) {
	defer func() {
		v := recover()
		if v == nil {
			s.settle()
			return
		}
		s.mu.Lock()
		s.panicked(v)
		s.publishing = false
		s.mu.Unlock()
		s.settle()
	}()
	if ask {
		s.ask()
	}
	for s.publishMore() {
	}
}

// ask asks the Handler. If it refuses, the session ends.
func (s *Session) ask() {
	req := &source.Request{
		ID: s.id, Schema: "rtp", Protocol: protocolName(s.link.protocol()), Key: s.name,
		Remote: s.link.remote(), Local: s.link.local(), Options: s.options.Options,
	}
	var pub source.Publication
	err := source.ErrForbidden
	if s.handler != nil {
		pub, err = s.handler.Publish(s.ctx, req)
	}
	if err != nil {
		s.stop(fmt.Errorf("ps: publishing %s: %w", req.Key.Path(), err))
		return
	}
	s.mu.Lock()
	s.pub = pub
	s.mu.Unlock()
	s.state.Lock()
	s.key = req.Key // it may have been changed
	s.state.Unlock()
	s.isLive.Store(true)
}

// publishMore writes what waits. It reports false when there is nothing, and from
// then on frames do not wait for this goroutine.
func (s *Session) publishMore() bool {
	s.mu.Lock()
	if s.anew && s.ctx.Err() == nil {
		pub := s.pub
		s.anew, s.pub = false, nil
		s.mu.Unlock()
		_ = pub.CloseWithError(io.ErrUnexpectedEOF)
		s.ask()
		return true
	}
	pub, frames := s.pub, s.backlog.take()
	if pub == nil || s.ctx.Err() != nil || len(frames) == 0 && !s.untold {
		s.publishing = false
		s.backlog.dropped += uint64(len(frames))
		s.mu.Unlock()
		return false
	}
	tracks, complete, untold := s.tracks, s.complete, s.untold
	s.untold = false
	s.mu.Unlock()

	var err error
	if untold {
		err = pub.SetTracks(tracks, complete)
	}
	written := 0
	for err == nil && written < len(frames) {
		if err = pub.WriteFrame(s.ctx, frames[written]); err == nil {
			written++
		}
	}
	if err != nil {
		s.stop(fmt.Errorf("ps: %w", err))
		s.mu.Lock()
		s.backlog.dropped += uint64(len(frames) - written)
		s.mu.Unlock()
	}
	return true
}

// errWouldWait is why an impatient has ended.
var errWouldWait = errors.New("ps: would wait")

// An impatient is a context that ends when somebody begins to wait for its end: who
// writes with it does so at once or not at all.
type impatient struct {
	context.Context
	ended  chan struct{} // closed
	waited atomic.Bool
}

func (c *impatient) init(of context.Context) {
	c.Context, c.ended = of, make(chan struct{})
	close(c.ended)
}

// begin makes the context one that has not ended.
func (c *impatient) begin() { c.waited.Store(false) }

// Done implements context.Context.
func (c *impatient) Done() <-chan struct{} {
	c.waited.Store(true)
	return c.ended
}

// Err implements context.Context.
func (c *impatient) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.waited.Load() {
		return errWouldWait
	}
	return nil
}
