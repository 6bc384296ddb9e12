package rtp

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
)

// maxWaiting is how many packets wait for reports at most.
const maxWaiting = 1024

// adoption is after how many packets of another payload type than announced a
// track is taken to have that type.
const adoption = 32

// A Receiver turns the packets of a peer's tracks into frames on one clock: it
// puts packets in order, marks what is lost, aligns the tracks by the times of
// arrival until sender reports tell better, makes decoding times, and keeps the
// counters of receiver reports. Frames of H264 and H265 before the first key
// frame are left out. The zero value is ready; one goroutine at a time may use it.
type Receiver struct {
	Reorder bool // packets may come in any order: over UDP
	// Depth and Wait bound how long a missing packet is waited for.
	Depth int           // packets; 0 means 256
	Wait  time.Duration // 0 means 500 ms

	// Settle is how long the first packets wait until every track has a sender
	// report, so that tracks are aligned from the first frame on: over UDP reports
	// come to ports of their own, and may be taken in later. 0: they do not wait.
	Settle time.Duration
	tracks []*receivedTrack
	leader *receivedTrack // the others are aligned to it; nil before the first packet
	began  time.Time      // when the first packet of all came
	start  time.Duration  // its time

	settled bool      // nothing waits for reports any more
	waiting []waiting // for reports

	// Of the call that is going on.
	out []*codec.Frame
	err error // the first
}

// A receivedTrack is a track of a Receiver. A packet goes through the intake and
// the depacketizer; what comes out of that gets its time from line and times.
type receivedTrack struct {
	intake
	owner        *Receiver // of the call that is going on: a Receiver may be copied
	payload      Payload
	adopting     adopting
	track        *codec.Track // as its frames have it
	depacketizer Depacketizer
	units        []Unit // of one packet; kept for its memory
	line         timeline
	times        decodingTimes
	discont      bool // a new timeline of which no frame has gone out
	anchor       anchor
}

// Add adds a track, made by p.Track, and returns its number, from 0.
func (r *Receiver) Add(p *Payload, t *codec.Track) (int, error) {
	if p.ClockRate <= 0 {
		return 0, invalid("clock rate %d", p.ClockRate)
	}
	d, err := NewDepacketizer(p, t)
	if err != nil {
		return 0, err
	}
	r.tracks = append(r.tracks, &receivedTrack{
		intake:  intake{rate: p.ClockRate},
		payload: *p, track: t, depacketizer: d, line: timeline{rate: p.ClockRate},
	})
	return len(r.tracks) - 1, nil
}

// Tracks returns the tracks as the stream has described them so far, in the order of Add.
func (r *Receiver) Tracks() []*codec.Track {
	tracks := make([]*codec.Track, len(r.tracks))
	for i, t := range r.tracks {
		tracks[i] = t.track
	}
	return tracks
}

// Anchor tells that the packet of track i with the given RTP timestamp belongs
// to the time at since the stream's start: what RTP-Info says. It is of use before
// the first packet only.
func (r *Receiver) Anchor(i int, timestamp uint32, at time.Duration) {
	r.tracks[i].anchor = anchor{true, timestamp, at}
}

// RTP takes in an RTP packet of track i that came at now and appends the frames
// that are complete to dst. It takes b over. An error is about this packet, or
// one that had waited for it, which was dropped and counted.
func (r *Receiver) RTP(dst []*codec.Frame, i int, b []byte, now time.Time) ([]*codec.Frame, error) {
	t, a := r.tracks[i], arrived{size: len(b), at: now}
	if err := a.Unmarshal(b); err != nil {
		t.stats.Invalid++
		return dst, err
	}
	if a.PayloadType != t.payload.Type && !r.adopt(t, a.PayloadType) {
		t.stats.Invalid++
		return dst, invalid("payload type %d instead of %d", a.PayloadType, t.payload.Type)
	}
	r.out = dst
	if r.settle(now); r.settled {
		r.receive(t, a)
		r.drain(t, now)
	} else {
		r.waiting = append(r.waiting, waiting{t, a})
	}
	return r.done()
}

// receive takes in a packet of t.
func (r *Receiver) receive(t *receivedTrack, a arrived) {
	o := r.ordering()
	t.owner = r
	t.take(t, a, &o)
}

// ordering returns how packets may come.
func (r *Receiver) ordering() ordering {
	o := newOrdering(r.Depth, r.Wait)
	o.gives = !r.Reorder
	return o
}

// A waiting is one of the first packets, which wait for reports.
type waiting struct {
	track *receivedTrack
	arrived
}

// settle ends the waiting for reports if there are enough, or it was long enough
// at now.
func (r *Receiver) settle(now time.Time) {
	if r.settled || r.lacksReports() && now.Before(r.settleBy(now)) && len(r.waiting) < maxWaiting {
		return
	}
	r.settled = true
	for i := range r.waiting {
		r.receive(r.waiting[i].track, r.waiting[i].arrived)
		r.drain(r.waiting[i].track, now) // or another packet of the number that is due would be taken for it
	}
	r.waiting = nil
}

// settleBy returns until when the first packets wait at most.
func (r *Receiver) settleBy(now time.Time) time.Time {
	if len(r.waiting) > 0 {
		now = r.waiting[0].at
	}
	return now.Add(r.Settle)
}

// lacksReports reports whether there are tracks to be aligned that have no report.
func (r *Receiver) lacksReports() bool {
	if r.Settle <= 0 || len(r.tracks) == 1 {
		return false
	}
	for _, t := range r.tracks {
		if t.early.at.IsZero() {
			return true
		}
	}
	return false
}

// done returns what the call that is going on has brought.
func (r *Receiver) done() (frames []*codec.Frame, err error) {
	frames, err = r.out, r.err
	r.out, r.err = nil, nil
	return frames, err
}

func (r *Receiver) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// An adopting counts the packets before the first one that has the announced type.
type adopting struct {
	payloadType uint8
	packets     int // in a row
}

// adopt reports whether t shall have another payload type than announced, for
// that is all it gets: some cameras announce a wrong one.
func (r *Receiver) adopt(t *receivedTrack, payloadType uint8) bool {
	if t.origin.begun {
		return false
	}
	if t.adopting.payloadType != payloadType {
		t.adopting = adopting{payloadType: payloadType}
	}
	if t.adopting.packets++; t.adopting.packets < adoption {
		return false
	}
	for _, o := range r.tracks {
		if o.payload.Type == payloadType {
			return false
		}
	}
	t.payload.Type = payloadType
	return true
}

// begin implements sink.
func (t *receivedTrack) begin(a *arrived, again bool) {
	if !again {
		t.owner.begin(t, a)
		return
	}
	if d, err := NewDepacketizer(&t.payload, t.track); err == nil {
		t.depacketizer = d
	} else { // it has made one before
		t.lost = true
	}
	t.times.keyed = false
	t.owner.rebase(t, a)
}

// drain delivers what is due of t, and gives up what is overdue at now.
func (r *Receiver) drain(t *receivedTrack, now time.Time) {
	o := r.ordering()
	t.owner = r
	t.drain(t, now, &o)
}

// deliver implements sink: it makes frames of the next packet.
func (t *receivedTrack) deliver(a *arrived, lost bool) {
	r, jumped := t.owner, !t.line.advance(a)
	var err error
	if t.units, err = t.depacketizer.Append(t.units[:0], &a.Packet, lost); err != nil {
		t.stats.Invalid++
		r.fail(err)
	}
	for i := range t.units {
		// There may be a unit that this packet has shown to be complete, from
		// before it.
		u := &t.units[i]
		if jumped && u.Timestamp == a.Timestamp {
			r.jump(t, a)
			jumped = false
		}
		if lost && u.Timestamp == a.Timestamp {
			t.times.lose()
			lost = false
		}
		r.emit(t, u)
	}
	clear(t.units)
	if jumped {
		r.jump(t, a)
	}
	if lost {
		t.times.lose()
	}
}

// jump begins a new timeline with a packet whose timestamp does not follow the
// one before.
func (r *Receiver) jump(t *receivedTrack, a *arrived) {
	t.report = senderReport{}
	r.rebase(t, a)
}

// emit makes a frame of a unit.
func (r *Receiver) emit(t *receivedTrack, u *Unit) {
	t.stats.Units++
	if u.Flags&codec.FlagCorrupt != 0 {
		t.stats.Corrupt++
	}
	if u.Track != nil {
		t.track = u.Track
	}
	ticks := t.line.ticks(u.Timestamp) + int64(u.Skip)
	f := &codec.Frame{
		Track: t.track, PTS: t.line.time(ticks), Wall: t.line.wall(ticks), Flags: u.Flags, Data: u.Data,
	}
	if t.discont {
		f.Flags |= codec.FlagDiscont
	}
	if t.times.stamp(f) {
		t.discont = false
		r.out = append(r.out, f)
	}
}

// Expire gives up waiting for packets that are overdue at now and appends the
// frames which that completes to dst. next is when to call it again unless a
// packet comes before; zero if nothing is waited for.
func (r *Receiver) Expire(dst []*codec.Frame, now time.Time) (frames []*codec.Frame, next time.Time) {
	r.out = dst
	if r.settle(now); !r.settled && len(r.waiting) > 0 {
		next = r.settleBy(now)
	}
	o := r.ordering()
	for _, t := range r.tracks {
		r.drain(t, now)
		if due := t.due(&o); !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	frames, _ = r.done()
	return frames, next
}

// Lose tells that what is missing before the next packets will not come, as after
// the loss of synchronisation on a connection.
func (r *Receiver) Lose() {
	for _, t := range r.tracks {
		t.lose()
	}
}

// Goodbye reports whether the peer has said RTCP BYE for every track it sent.
func (r *Receiver) Goodbye() bool {
	for _, t := range r.tracks {
		if t.origin.begun && !t.origin.bye {
			return false
		}
	}
	return r.leader != nil
}

// ReceiverStats are the counters of a received track.
type ReceiverStats struct {
	Packets    uint64        // accepted
	Bytes      uint64        // of these, headers included
	Lost       uint64        // that did not come, or too late
	Reordered  uint64        // that came after a later one, in time
	Duplicates uint64        // that came twice, or too late
	Invalid    uint64        // that could not be parsed, have another payload type, or are somebody else's
	Units      uint64        // access units
	Corrupt    uint64        // of these, damaged
	Resets     uint64        // changes of the SSRC, jumps of sequence numbers or timestamps
	Jitter     time.Duration // RFC 3550, 6.4.1
}

// Stats returns the counters of track i.
func (r *Receiver) Stats(i int) ReceiverStats {
	t := r.tracks[i]
	s := t.stats
	s.Jitter = t.reception.jitterTime(t.line.rate)
	return s
}
