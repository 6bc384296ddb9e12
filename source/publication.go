package source

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// A Publication is what a publisher writes into. Tracks may become known only
// after publishing was accepted (RTMP, GB28181): write frames as they come, the
// stream goes live when it knows enough.
type Publication interface {
	Writer
	// SetTracks announces the tracks known so far. complete says that no other
	// will come, so that the stream need not wait for one. A track that is not
	// announced is announced by its first frame. It may be called again.
	SetTracks(tracks []*codec.Track, complete bool) error
	// CloseWithError ends the publication. nil: the publisher said goodbye and
	// the stream ends now. Else the publisher was lost, and the stream lingers
	// for its return. Close is CloseWithError(nil).
	CloseWithError(err error) error
}

// A publication is one publisher's session on a stream.
type publication struct {
	stream *Stream
	req    *Request
	start  time.Time

	// Guarded by the stream's lock; fixed once ended.
	bytes, frames, dropped uint64
	repairs                uint64 // the clock's when it began
	resumed                bool   // no frame of it was a discontinuity yet
	needKey                bool   // wait for a key frame
	video                  bool   // it has sent video
	ended                  bool
	err                    error
	final                  SessionStats // when ended
}

func newPublication(s *Stream, req *Request) *publication {
	return &publication{stream: s, req: req, start: time.Now(), repairs: s.clock.repairs}
}

// SetTracks implements Publication.
func (p *publication) SetTracks(tracks []*codec.Track, complete bool) error {
	s := p.stream
	defer s.hub.events.drain(s.hub.OnEvent)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pub != p {
		return p.reason()
	}
	s.setTracks(p, tracks, complete, time.Now())
	return nil
}

// WriteFrame implements Writer.
func (p *publication) WriteFrame(ctx context.Context, f *codec.Frame) error {
	s := p.stream
	for room := s.ring.full(); room != nil; room = s.ring.full() {
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	s.mu.Lock()
	if s.pub != p {
		defer s.mu.Unlock()
		return p.reason()
	}
	p.bytes += uint64(len(f.Data))
	p.frames++
	was := s.state
	switch {
	case !s.wants(f.Track):
	case len(f.Data) == 0:
		p.dropped++
	default:
		s.write(p, f, time.Now())
	}
	changed := s.state != was
	s.mu.Unlock()
	if changed {
		s.hub.events.drain(s.hub.OnEvent)
	}
	return nil
}

// reason returns why the publication is over. The stream's lock is held.
func (p *publication) reason() error {
	if p.err == nil || errors.Is(p.err, io.EOF) {
		return ErrClosed
	}
	return p.err
}

// Close implements Writer.
func (p *publication) Close() error { return p.CloseWithError(nil) }

// CloseWithError implements Publication.
func (p *publication) CloseWithError(err error) error {
	p.stream.lose(p, err)
	p.req.end(p.stats())
	return nil
}

// finish records why the publication ended. The stream's lock is held.
func (p *publication) finish(err error) {
	if p.ended {
		return
	}
	p.err = err
	p.final = p.stats()
	p.ended = true
}

// stats returns the session's counters. The stream's lock is held, or the
// publication has ended.
func (p *publication) stats() SessionStats {
	if p.ended {
		return p.final
	}
	return SessionStats{
		ID: p.req.ID, Key: p.stream.key, Schema: p.req.Schema, Protocol: p.req.Protocol, Remote: p.req.Remote,
		Publish: true, Start: p.start, Bytes: p.bytes, Frames: p.frames, Dropped: p.dropped,
		Repairs: p.stream.clock.repairs - p.repairs, Err: p.err,
	}
}
