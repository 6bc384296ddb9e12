package rtp

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// How tracks are aligned.
const (
	maxMove  = 10 * time.Second       // reports that would move a track further are absurd
	minMove  = time.Millisecond       // at first, when it is worth moving
	minDrift = 20 * time.Millisecond  // later: less is the inaccuracy of reports
	minStep  = 100 * time.Millisecond // later: more is corrected at once, less bit by bit
	slew     = 128                    // bit by bit: so much of the time that passes
	soon     = 10 * time.Second       // tracks that begin that soon after the first are aligned to its beginning
)

// A timeline maps the timestamps of a track, extended to 64 bits, to the
// stream's time.
type timeline struct {
	rate   int // Hz
	clock  codec.Unwrapper
	newest int64         // ticks of the newest packet
	at     time.Time     // when it came
	base   int64         // these ticks are
	offset time.Duration // at this time
	goal   time.Duration // what offset is moved to, bit by bit

	report  mapping
	aligned bool // to the leader, by reports
	drifts  bool // the reports before the latest showed a drift, too
}

// A mapping is what a sender report says: ticks were at ntp.
type mapping struct {
	known bool // there is one
	fresh bool // it can be compared to the others: no sender's clock was set since
	ntp   uint64
	ticks int64
	wall  time.Time // the same as ntp; zero if that is absurd
}

// begin makes a the packet at the time t.
func (l *timeline) begin(a *arrived, t time.Duration) {
	*l = timeline{rate: l.rate, offset: t, goal: t, at: a.at}
	l.newest = l.clock.Unwrap(uint64(a.Timestamp))
	l.base = l.newest
}

// advance goes on to the next packet. It reports false if its timestamp cannot
// follow the one before.
func (l *timeline) advance(a *arrived) bool {
	if jumped(a.Timestamp-uint32(l.newest), a.at.Sub(l.at), l.rate) {
		return false
	}
	ticks := l.clock.Unwrap(uint64(a.Timestamp))
	if l.goal != l.offset && ticks > l.newest {
		most := codec.FromTicks(ticks-l.newest, l.rate) / slew
		l.offset += min(max(l.goal-l.offset, -most), most)
	}
	l.newest, l.at = ticks, a.at
	return true
}

// ticks extends a timestamp that is near the newest one.
func (l *timeline) ticks(timestamp uint32) int64 {
	return l.newest + int64(int32(timestamp-uint32(l.newest)))
}

// time returns the time of the stream that ticks are at.
func (l *timeline) time(ticks int64) time.Duration {
	return l.offset + codec.FromTicks(ticks-l.base, l.rate)
}

// wall returns when ticks were captured; zero if the sender does not tell.
func (l *timeline) wall(ticks int64) time.Time {
	if l.report.wall.IsZero() {
		return time.Time{}
	}
	return l.report.wall.Add(codec.FromTicks(ticks-l.report.ticks, l.rate))
}

// now returns the time of the stream at the instant at, as far as arrivals tell.
func (l *timeline) now(at time.Time) time.Duration {
	return l.time(l.newest) + at.Sub(l.at)
}

// hear takes in a sender report that came at at. It reports whether the sender's
// clock, or the track's, was set since the one before.
func (l *timeline) hear(s *senderReport) (set bool) {
	m := mapping{known: true, fresh: true, ntp: s.ntp, ticks: l.ticks(s.timestamp), wall: wallTime(s.ntp, s.at)}
	if l.report.known {
		d := sinceNTP(m.ntp, l.report.ntp) - codec.FromTicks(m.ticks-l.report.ticks, l.rate)
		set = d.Abs() > minStep
	}
	l.report = m
	return set
}

// align moves the track so that it is to the leader as the reports of both say. A
// drift has to show twice: where a sender's clock is set by a little, the reports
// of one track tell before those of the other.
func (l *timeline) align(leader *timeline) {
	if !l.report.fresh || !leader.report.fresh {
		return
	}
	move := sinceNTP(l.report.ntp, leader.report.ntp) - (l.time(l.report.ticks) - leader.time(leader.report.ticks))
	d := move.Abs()
	again := l.drifts
	l.drifts = d > minDrift
	switch {
	case d > maxMove:
		return
	case !l.aligned && d >= minMove, d > minStep:
		l.offset += move
		l.goal = l.offset
	case l.drifts && again:
		l.goal = l.offset + move
	}
	l.aligned = true
}

// An anchor is what RTP-Info says: the timestamp is at a time of the stream.
type anchor struct {
	known     bool
	timestamp uint32
	at        time.Duration
}

// begin starts t with its first packet: by its anchor if that makes sense, else
// by the time of arrival, and by reports if there are any.
func (r *Receiver) begin(t *receivedTrack, a *arrived) {
	start := time.Duration(0)
	switch {
	case r.leader == nil:
		r.began = a.at
	case a.at.Sub(r.began) < soon:
		start = r.start + a.at.Sub(r.began)
	default:
		start = r.leader.line.now(a.at)
	}
	if t.anchor.known {
		told := t.anchor.at + codec.FromTicks(int64(int32(a.Timestamp-t.anchor.timestamp)), t.line.rate)
		if (told - start).Abs() <= maxMove {
			start = told
		}
	}
	t.line.begin(a, start)
	if r.leader == nil {
		r.leader, r.start = t, start
	}
	r.useReport(t)
}

// rebase begins a new timeline of t with a: it goes on as much later as a came
// later.
func (r *Receiver) rebase(t *receivedTrack, a *arrived) {
	start := t.line.now(a.at)
	if t.times.begun {
		start = max(start, t.times.last)
	}
	t.line.begin(a, start)
	t.times.lose()
	t.discont = true
	t.stats.Resets++
	if r.leader == t {
		for _, o := range r.tracks {
			if o != t && o.origin.begun {
				r.leader = o // it goes on, perhaps
				break
			}
		}
	}
	r.useReport(t)
}

// useReport aligns tracks by the report that t has, if it has one.
func (r *Receiver) useReport(t *receivedTrack) {
	if t.report.ntp == 0 { // the sender may have no clock (RFC 3550, 6.4.1)
		return
	}
	if t.line.hear(&t.report) {
		for _, o := range r.tracks {
			o.line.report.fresh = o == t
		}
	}
	for _, o := range r.tracks {
		if o != r.leader && o.origin.begun && (o == t || t == r.leader) {
			o.line.align(&r.leader.line)
		}
	}
}
