package rtsp

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// describe answers DESCRIBE (RFC 2326, 10.2), which may take until somebody
// publishes the stream.
func (c *conn) describe(r *wire.Request) error {
	switch s := c.session; {
	case s == nil:
	case s.cursor == nil || len(s.setups) > 0:
		return c.notNow(r)
	case s.base == r.URL:
		c.reply(r, describeReply(s))
		return nil
	}
	return c.open(r, r.URL, func() error {
		c.reply(r, describeReply(c.session))
		return nil
	})
}

// open asks the Handler for the stream of a URL, which the peer wants to play.
// then is called when it has become the session.
func (c *conn) open(r *wire.Request, rawURL string, then func() error) error {
	if c.session != nil { // of another stream
		c.session.close(nil)
		c.session = nil
	}
	return c.ask(r, rawURL, false, c.watch, func(a answer) error {
		s := newPlaySession(rawURL, a)
		if len(s.medias) == 0 {
			a.discard(nil)
			return c.refuse(r, a.req.Key.Path(), source.ErrUnsupported, false)
		}
		for _, t := range a.tracks {
			if !t.Synthetic && !slices.ContainsFunc(s.sent, func(x sent) bool { return x.id == t.ID }) {
				c.srv.listen.Print(slog.LevelInfo, "track left out", "stream", a.req.Key.Path(), "track", t.String())
			}
		}
		c.session = s
		return then()
	})
}

// watch asks the Handler for a stream to play.
func (c *conn) watch(req *source.Request) (answer, error) {
	reader, err := c.srv.Handler.Play(c.ctx, req)
	if err != nil {
		return answer{}, err
	}
	a := answer{tracks: reader.Tracks()}
	if s, ok := source.As[source.Seeker](reader); ok {
		a.length = max(0, s.Duration())
	}
	a.cursor, err = source.FeedOf(c.ctx, reader, FeedFormat())
	if err != nil {
		_ = reader.Close()
		return answer{}, err
	}
	return a, nil
}

// newPlaySession returns the session of a stream that may be played.
func newPlaySession(base string, a answer) *session {
	s := &session{id: newSessionID(), base: base, req: a.req, cursor: a.cursor, length: a.length, mux: a.cursor.Muxer().(*muxer)}
	s.sent = s.mux.sent()
	for i := range s.sent {
		s.medias = append(s.medias, s.sent[i].media)
	}
	return s
}

// describeReply describes a stream that may be played.
func describeReply(s *session) *reply {
	p := presentation{medias: s.medias, duration: s.length}
	return &reply{
		status: 200,
		header: fields(
			"Content-Base", strings.TrimRight(s.base, "/")+"/",
			"x-Accept-Retransmit", "our-retransmit",
			"x-Accept-Dynamic-Rate", "1",
		),
		kind: "application/sdp",
		body: p.appendSDP(nil),
	}
}
