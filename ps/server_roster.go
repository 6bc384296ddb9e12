package ps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// Times of a roster.
const (
	tickEvery = 100 * time.Millisecond

	// Whoever sent the last packet of an SSRC keeps it for so long, and before
	// anything of it was plausible for so long.
	holdsFor        = 5 * time.Second
	holdsUnprovenOf = 500 * time.Millisecond

	askAgain = time.Second // after a session ended that its sender did not end
)

// maxEnded is how many SSRCs wait for askAgain.
const maxEnded = 4096

// rtpHeader is the size of an RTP header without CSRCs and extension.
const rtpHeader = 12

// counters are of a Server or a Receiver.
type counters struct {
	refused, overflows, invalid, foreign, panics atomic.Uint64
}

// A roster holds the sessions of a port by SSRC, and knows to whom each belongs.
// None of its methods waits, and no lock is held while sessions are spoken to that
// may speak to others.
type roster struct {
	handler     source.Handler
	receive     *ReceiveOptions
	key         func(ssrc uint32) source.Key
	link        func(origin) link                 // of a new session
	ended       func(s *Session, st SessionStats) // is told of each session that had begun; nil: nobody
	made        func(*Session)                    // is told of each new one, with mu held; nil: nobody
	single      bool                              // there is one session for all SSRCs
	maxPending  int                               // sessions that have not begun
	maxSessions int                               // in all; not above 0: no limit
	print       printer
	counters    *counters
	unanswered  *unanswered // of all rosters of who has made this one

	filter atomic.Uint32 // the only SSRC that is taken in; 0: all

	mu      sync.Mutex // guards what follows
	members map[uint32]*member
	leaving []*member // whose place is free already
	pending int       // of members, as far as known
	resting int       // of members, that have ended
	crowded bool      // somebody was not taken in since the last tick
	over    bool      // nobody is taken in any more
}

// A member is a session and to whom it belongs.
type member struct {
	session *Session
	link    link
	origin  origin
	since   time.Time // when the first packet came
	heard   time.Time // when the last one did
	begun   bool      // as far as known
	rests   time.Time // it has ended; until then the SSRC is not taken in; zero: it lasts
	told    bool      // of its end
}

// An admission is what becomes of a packet.
type admission uint8

const (
	admitted admission = iota
	ignored            // it was refused just now, or everything ends
	crowded            // there are too many
	filtered           // it has another SSRC than is wanted
	foreign            // the SSRC is somebody else's
)

// find returns the session of an RTP packet, which it makes if there is none.
func (r *roster) find(o origin, b []byte, now time.Time) (*Session, admission) {
	ssrc := binary.BigEndian.Uint32(b[8:])
	if want := r.filter.Load(); want != 0 && want != ssrc {
		r.counters.foreign.Add(1)
		return nil, filtered
	}
	x := r.place(o, ssrc, b, now)
	if x.gone != nil {
		x.gone.end(x.err)
	}
	if x.moved != nil {
		x.moved.move(o.addr)
	}
	switch x.admission {
	case admitted:
		return x.session, admitted
	case foreign:
		r.counters.foreign.Add(1)
		x.session.foreign()
	case crowded:
		r.counters.overflows.Add(1)
	}
	return nil, x.admission
}

// A placing is what is found out about a packet with a roster's lock held, and what
// is to be done without it.
type placing struct {
	admission
	session *Session // the packet's, or whose it would be
	moved   *udpLink // of the session, whose sender has another address
	gone    *Session // whose place was taken, for the reason err
	err     error
}

// place finds out whose a packet is.
func (r *roster) place(o origin, ssrc uint32, b []byte, now time.Time) placing {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[r.index(ssrc)]
	if m == nil {
		return r.admit(o, ssrc, b, now)
	}
	if m.origin == o {
		m.heard = now
		return placing{admission: admitted, session: m.session}
	}
	hold := holdsFor
	if !m.begun {
		hold = holdsUnprovenOf
	}
	switch l, moves := m.link.(*udpLink); {
	case !m.rests.IsZero():
		return placing{admission: ignored}
	case now.Sub(m.heard) < hold:
		return placing{admission: foreign, session: m.session}
	case moves && o.conn == nil && o.port == m.origin.port:
		m.origin, m.heard = o, now
		return placing{admission: admitted, session: m.session, moved: l}
	}
	r.leave(r.index(ssrc), m)
	x := r.admit(o, ssrc, b, now)
	x.gone, x.err = m.session, io.ErrUnexpectedEOF
	return x
}

// admit makes a session if there may be another. r.mu is held.
func (r *roster) admit(o origin, ssrc uint32, b []byte, now time.Time) placing {
	if r.over {
		return placing{admission: ignored}
	}
	x := placing{admission: admitted}
	if live := len(r.members) - r.resting; r.resting >= maxEnded || r.maxSessions > 0 && live >= r.maxSessions {
		r.crowded = true
		return placing{admission: crowded}
	}
	if r.pending >= r.maxPending {
		if x.gone, x.err = r.makeRoom(b), errNothing; r.pending >= r.maxPending {
			r.crowded = true
			return placing{admission: crowded}
		}
	}
	l := r.link(o)
	m := &member{session: newSession(l, r.key(ssrc), ssrc, r.handler, r.receive, r.print), link: l, origin: o, since: now, heard: now}
	m.session.unanswered = r.unanswered
	if r.made != nil {
		r.made(m.session)
	}
	if r.members == nil {
		r.members = map[uint32]*member{}
	}
	r.members[r.index(ssrc)] = m
	r.pending++
	x.session = m.session
	return x
}

// sample is how many of those who have not begun are compared when one has to go: the
// cost of a flood must not depend on how many there are.
const sample = 32

// makeRoom is called when too many have not begun. If somebody has, since that was
// last counted, there is room; else one has to go, which is returned, if the packet b
// is the beginning of something. So those who send nothing sensible cannot keep the
// others out. r.mu is held.
func (r *roster) makeRoom(b []byte) *Session {
	var p rtp.Packet
	if p.Unmarshal(b) != nil || !inspect(&p, r.receive).certain {
		return nil
	}
	var least *member
	var of uint32
	seen := 0
	for index, m := range r.members { // in any order
		if m.begun || !m.rests.IsZero() {
			continue
		}
		if m.begun = m.session.begun(); m.begun {
			r.pending--
			continue
		}
		if least == nil || m.lessThan(least) {
			least, of = m, index
		}
		if seen++; seen == sample {
			break
		}
	}
	if r.pending < r.maxPending || least == nil {
		return nil
	}
	r.leave(of, least)
	return least.session
}

// lessThan reports whether m has less of a claim to its place than o, of those that
// have not begun: nothing it sent was like a stream, or it was silent for longer.
func (m *member) lessThan(o *member) bool {
	if a, b := m.session.likely(), o.session.likely(); a != b {
		return b
	}
	return m.heard.Before(o.heard)
}

// index returns under what the session of an SSRC is kept.
func (r *roster) index(ssrc uint32) uint32 {
	if r.single {
		return 0
	}
	return ssrc
}

// leave frees the place of m, whose session ends or has ended. r.mu is held.
func (r *roster) leave(index uint32, m *member) {
	delete(r.members, index)
	if !m.rests.IsZero() {
		r.resting--
	} else if !m.begun {
		r.pending--
	}
	if !m.told {
		r.leaving = append(r.leaving, m)
	}
}

// of returns the session of a report from o, which has to come from the session's
// sender; nil if there is none.
func (r *roster) of(o origin, ssrc uint32) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.members[r.index(ssrc)]
	if m == nil || m.origin.conn != o.conn {
		return nil
	}
	if l, ok := m.link.(*udpLink); ok && !l.reports(o.addr) {
		return nil
	}
	return m.session
}

// datagram takes in what came to a port for packets.
func (r *roster) datagram(port *udp.Conn, b []byte, from netip.AddrPort, now time.Time) {
	defer r.rescue()
	if framing.IsRTCP(b) {
		r.report(b, from, now)
		return
	}
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		r.counters.invalid.Add(1)
		return
	}
	if s, _ := r.find(origin{port: port, addr: from}, b, now); s != nil {
		s.take(b, now)
	}
}

// report takes in what came to a port for reports.
func (r *roster) report(b []byte, from netip.AddrPort, now time.Time) {
	defer r.rescue()
	if !framing.IsRTCP(b) {
		return
	}
	if s := r.of(origin{addr: from}, binary.BigEndian.Uint32(b[4:])); s != nil {
		s.control(b, now)
	}
}

// rescue is deferred where packets are taken in.
func (r *roster) rescue() {
	if p := recover(); p != nil {
		r.counters.panics.Add(1)
		stack := make([]byte, 16<<10)
		stack = stack[:runtime.Stack(stack, false)]
		r.print(slog.LevelError, "panic", "panic", p, "stack", string(stack))
	}
}

// remove ends the sessions of a connection, for the reason err. Their SSRCs are
// free at once.
func (r *roster) remove(c *tcpConn, err error) {
	var gone []*Session
	r.mu.Lock()
	for index, m := range r.members {
		if m.origin.conn == c {
			r.leave(index, m)
			gone = append(gone, m.session)
		}
	}
	r.mu.Unlock()
	for _, s := range gone {
		s.end(err)
	}
}

// tick does what is due by the clock.
func (r *roster) tick(now time.Time) {
	defer r.rescue()
	all := r.all()
	seen := make([]glance, len(all))
	for i, m := range all {
		m.session.tick(now)
		seen[i] = glance{m, m.session.begun(), isDone(m.session)}
	}
	over, full := r.review(seen, now)
	if full {
		r.print(slog.LevelWarn, "too many streams", "streams", len(all))
	}
	for _, m := range over {
		r.tell(m)
	}
}

// A glance is what was seen of a member.
type glance struct {
	*member
	hasBegun, isDone bool
}

// review takes to the books what was seen, and returns who has ended since the last
// time, and whether somebody was not taken in.
func (r *roster) review(seen []glance, now time.Time) (over []*member, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	full, r.crowded = r.crowded, false
	for _, g := range seen {
		g.begun = g.hasBegun
		if g.isDone && !g.told {
			g.told = true
			over = append(over, g.member)
			g.rests = now
			if !r.single && g.begun {
				g.rests = now.Add(askAgain)
			}
		}
	}
	r.leaving = slices.DeleteFunc(r.leaving, func(m *member) bool { return m.told })
	r.pending, r.resting = 0, 0
	for index, m := range r.members {
		switch {
		case m.told && now.Before(m.rests):
			r.resting++
		case m.told:
			delete(r.members, index)
		case !m.begun:
			r.pending++
		}
	}
	return over, full
}

// tell counts the end of a session, and tells of it if it had begun.
func (r *roster) tell(m *member) {
	m.link.close()
	st := m.session.Stats()
	if errors.Is(st.Err, listen.ErrPanic) {
		r.counters.panics.Add(1)
	}
	if !m.session.begun() {
		return
	}
	if !m.session.accepted() && st.Err != nil && !isGoodbye(st.Err) && !errors.Is(st.Err, ErrServerClosed) {
		r.counters.refused.Add(1)
	}
	if r.ended != nil {
		r.ended(m.session, st)
	}
}

// all returns those who are there and those who leave.
func (r *roster) all() []*member {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*member, 0, len(r.members)+len(r.leaving))
	for _, m := range r.members {
		all = append(all, m)
	}
	return append(all, r.leaving...)
}

// sessions returns the sessions that have begun and not ended.
func (r *roster) sessions() []*Session {
	r.mu.Lock()
	sessions := make([]*Session, 0, len(r.members))
	for _, m := range r.members {
		sessions = append(sessions, m.session)
	}
	r.mu.Unlock()
	n := 0
	for _, s := range sessions {
		if s.begun() && !isDone(s) {
			sessions[n] = s
			n++
		}
	}
	return sessions[:n]
}

// waiting returns how many sessions have not begun.
func (r *roster) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}

// empty reports whether there is no session.
func (r *roster) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.members)+len(r.leaving) == 0
}

// dismiss ends all sessions for the reason err and waits for them.
func (r *roster) dismiss(err error) {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	all := r.all()
	for _, m := range all {
		m.session.end(err)
	}
	for _, m := range all {
		<-m.session.Done()
	}
	r.tick(time.Now())
}

// isGoodbye reports whether a session ended because its sender did, with or
// without a word.
func isGoodbye(err error) bool {
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func isDone(s *Session) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// ssrcName returns the name of an SSRC's stream.
func ssrcName(ssrc uint32) string { return fmt.Sprintf("%08X", ssrc) }
