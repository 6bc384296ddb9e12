package rtsp

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"time"

	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// A session is what a connection plays or publishes (RFC 2326, 3.4). It belongs
// to its connection; nobody else can use it. It plays if it has a cursor, else it
// publishes.
type session struct {
	id     string // 12 characters
	base   string // URL that was described or announced, as the peer wrote it
	req    *source.Request
	medias []media // that were described or announced

	cursor *source.Cursor // plays
	length time.Duration  // of a film; 0: a live stream
	mux    *muxer         // its
	sent   []sent         // its tracks when they were described, as many as medias
	caster *caster        // of a session over multicast

	pub source.Publication // publishes

	carrier carrier // of all tracks, from the first SETUP on
	setups  []*setup
}

// A setup is a track that the peer has set up.
type setup struct {
	media     int       // of the session
	url       string    // as the peer wrote it
	transport transport // as the peer was answered

	// Over UDP:
	rtp, rtcp *udp.Conn
	peer      [2]netip.AddrPort // where the peer has RTP and RTCP
}

// newSessionID returns 12 random characters.
func newSessionID() string { return rand.Text()[:12] }

// setupOf returns the track of that number if it was set up, else nil.
func (s *session) setupOf(media int) *setup {
	for _, x := range s.setups {
		if x.media == media {
			return x
		}
	}
	return nil
}

// add takes in a track that was set up, in the place of the one before if it is
// not the first time.
func (s *session) add(x *setup) {
	for i, old := range s.setups {
		if old.media == x.media {
			if old.rtp != x.rtp {
				old.close()
			}
			s.setups[i] = x
			return
		}
	}
	s.setups = append(s.setups, x)
}

// close gives back the ports.
func (x *setup) close() {
	if x.rtp != nil {
		_ = x.rtp.Close()
		_ = x.rtcp.Close()
	}
}

// closePorts gives back the ports of all tracks.
func (s *session) closePorts() {
	for _, x := range s.setups {
		x.close()
	}
	s.setups = nil
}

// close gives everything up. reason is for the stream of a publisher that has
// not begun to record.
func (s *session) close(reason error) {
	if errors.Is(reason, errLeft) {
		reason = nil
	}
	s.closePorts()
	if s.caster != nil {
		s.caster.leave()
		s.caster = nil
	}
	if s.cursor != nil {
		_ = s.cursor.Close()
		s.cursor = nil
	}
	if s.pub != nil {
		_ = s.pub.CloseWithError(reason)
		s.pub = nil
	}
}
