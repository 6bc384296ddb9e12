package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/rtmp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// Memory for what a publisher sends, in bytes.
const (
	publisherBuffer = 64 << 10  // socket reads
	allocateAhead   = 512 << 10 // a message that long is allocated at once, so that it is copied but once
	maxOther        = 1 << 20   // the longest command or data message
)

// mediaLimits bound what one who may send media can make us keep; longest is the
// longest message, 0 means 10 MiB.
func mediaLimits(longest int) wire.Limits {
	if longest <= 0 {
		longest = defaultMaxMessage
	}
	return wire.Limits{Streams: 64, Media: longest, Other: maxOther, Pending: 2 * max(longest, maxOther), Ahead: allocateAhead}
}

// publish asks the Handler whether the peer may publish under name (RTMP 1.0,
// section 7.2.2.6).
func (c *conn) publish(name string) error {
	if ok, err := c.mayAsk(true); !ok {
		return err
	}
	req, err := c.request(name)
	if err == nil && c.srv.Handler == nil {
		err = source.ErrForbidden
	}
	if err != nil {
		return c.refuse(req, err, true)
	}
	c.ask(req, true, func() (a answer, err error) {
		a.pub, err = c.srv.Handler.Publish(c.ctx, req)
		return a, err
	})
	return nil
}

// startPublishing makes the peer a publisher.
func (c *conn) startPublishing(pub source.Publication, req *source.Request) error {
	v := c.srv
	if c.buf != nil {
		c.in.Use(c, make([]byte, publisherBuffer), mediaLimits(v.MaxMessage))
		v.buffers.Put(c.buf)
		c.buf = nil
	}
	switch {
	case v.ReadTimeout == 0:
		c.patience.Silence = defaultReadTimeout
	case v.ReadTimeout > 0:
		c.patience.Silence = v.ReadTimeout
	}
	c.pub = &publisher{srv: v, ctx: c.ctx, pub: pub, req: req, began: time.Now()}
	c.pub.demux.dropped = c.pub.drop
	c.out = appendStatus(c.out, c.size, levelStatus, codePublishStart, "Started publishing stream.")
	for _, m := range c.early.take() {
		if err := c.pub.message(&m); err != nil {
			return err
		}
	}
	return nil
}

// unpublish ends publishing: the peer said goodbye. It may publish or play again
// on this connection, soon.
func (c *conn) unpublish() {
	c.pub.end(errLeft)
	c.pub = nil
	c.patience = listen.Patience{}
	c.limitTime()
}

// A publisher turns the messages of a peer into frames of a Publication.
type publisher struct {
	srv   *serving
	ctx   context.Context
	pub   source.Publication
	req   *source.Request
	began time.Time

	demux    demuxer
	frames   []*codec.Frame // of one message; kept for its memory
	tracks   []*codec.Track // announced
	complete bool
}

// message takes in a message of audio, video or data, or an aggregate of them.
func (p *publisher) message(m *wire.Message) error {
	if m.Type == wire.TypeAggregate {
		for sub := range wire.Split(*m) {
			if err := p.single(&sub); err != nil {
				return err
			}
		}
		return nil
	}
	return p.single(m)
}

func (p *publisher) single(m *wire.Message) error {
	var err error
	if p.frames, err = p.demux.append(p.frames[:0], m); err != nil {
		return err
	}
	if err := p.announce(); err != nil {
		return err
	}
	for _, f := range p.frames {
		if err := p.pub.WriteFrame(p.ctx, f); err != nil {
			return err
		}
	}
	clear(p.frames)
	return nil
}

// drop counts a message that cannot be parsed.
func (p *publisher) drop(err error) {
	p.srv.stats.framesDropped.Add(1)
	p.srv.Print(slog.LevelWarn, "frame dropped", "stream", p.req.Key.Path(), "error", err)
}

// announce tells the Publication of tracks it does not know, if the last message
// may have brought some: one with a frame of a track that is known does not.
func (p *publisher) announce() error {
	known := len(p.frames) > 0
	for _, f := range p.frames {
		known = known && slices.Contains(p.tracks, f.Track)
	}
	if known {
		return nil
	}
	tracks, complete := p.demux.body.Tracks()
	if complete == p.complete && slices.Equal(tracks, p.tracks) {
		return nil
	}
	p.tracks, p.complete = tracks, complete
	return p.pub.SetTracks(tracks, complete)
}

// end ends the Publication: for errLeft with a goodbye, else the publisher may
// come back.
func (p *publisher) end(err error) {
	switch {
	case errors.Is(err, errLeft):
		_ = p.pub.CloseWithError(nil)
		err = nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: nothing from the publisher", source.ErrTimeout)
		_ = p.pub.CloseWithError(err)
	default:
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		_ = p.pub.CloseWithError(err)
	}
	p.srv.Print(slog.LevelInfo, "publishing ended", "stream", p.req.Key.Path(), "id", p.req.ID,
		"remote", p.req.Remote, "lasted", time.Since(p.began).Round(time.Millisecond), "error", err)
}

// An early holds what a publisher sent before it was accepted and its viewers
// cannot do without: the newest metadata and sequence headers. What is longer
// than 10 KiB is none.
type early struct {
	messages [3]wire.Message
}

// keep takes m if it is of that kind.
func (e *early) keep(m *wire.Message) {
	const most = 10 << 10
	if !isConfig(m) || len(m.Body) > most {
		return
	}
	switch m.Type {
	case wire.TypeVideo:
		e.messages[1] = *m
	case wire.TypeAudio:
		e.messages[2] = *m
	default:
		e.messages[0] = *m
	}
}

// take returns what was kept, metadata first, and forgets it.
func (e *early) take() []wire.Message {
	var kept []wire.Message
	for _, m := range e.messages {
		if m.Body != nil {
			kept = append(kept, m)
		}
	}
	*e = early{}
	return kept
}

// isConfig reports whether m holds metadata or a sequence header, in one of the
// forms that package flv knows, and not a frame.
func isConfig(m *wire.Message) bool {
	const (
		enhanced      = 0x80
		idAVC         = 7
		idAAC         = 10
		idExAudio     = 9
		sequenceStart = 0
	)
	b := m.Body
	switch {
	case m.Type == wire.TypeData || m.Type == wire.TypeDataAMF3:
		return true
	case m.Type == wire.TypeAggregate || len(b) < 2:
		return false
	case m.Type == wire.TypeVideo && b[0]&enhanced != 0:
		return b[0]&15 == sequenceStart
	case m.Type == wire.TypeVideo:
		return b[0]&15 >= idAVC && b[1] == sequenceStart
	case b[0]>>4 == idExAudio:
		return b[0]&15 == sequenceStart
	}
	return b[0]>>4 == idAAC && b[1] == sequenceStart
}
