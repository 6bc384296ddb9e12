package ps

import (
	"time"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/ts"
)

// A decoder turns the packets of a sender into frames. What appends frames appends
// them to dst.
type decoder interface {
	// take takes in a packet, b, which is p when parsed, as it came at now. An error
	// is final.
	take(dst []*codec.Frame, p *rtp.Packet, b []byte, now time.Time) ([]*codec.Frame, error)
	expire(dst []*codec.Frame, now time.Time) ([]*codec.Frame, error) // gives up waiting for packets that are overdue
	flush(dst []*codec.Frame, cut bool) []*codec.Frame                // at the end; cut: not a proper one
	lose()                                                            // what is missing before the next packet will not come

	tracks() []*codec.Track // known so far
	complete() bool         // they are all

	// fits reports whether p may be of the sender, of which f was found.
	fits(p *rtp.Packet, f finding) bool
	// expects reports whether p has the header of the sender's packets.
	expects(p *rtp.Packet) bool
	// renewed reports whether in the last call of take, expire or flush another
	// sender began, or the same anew, and how many of the frames are from before.
	renewed() (before int, ok bool)

	control(b []byte, now time.Time) error // takes in an RTCP packet
	goodbye() bool                         // there was a BYE
	ssrc() uint32                          // who sends
	appendReport(dst []byte, now time.Time) []byte
	stats() rtp.ReceiverStats
}

// newDecoder returns the decoder of what was found. after is what its tracks go on
// from; nil: nothing.
func newDecoder(f *finding, o *ReceiveOptions, after *succession) decoder {
	if f.payload == PayloadES {
		return newElementaryDecoder(f, o, after)
	}
	return newContainerDecoder(f.payload, o, after)
}

// cname is the canonical name in our reports.
const cname = "mediakit"

// A demuxer finds frames in a container that comes in pieces.
type demuxer interface {
	Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error)
	Flush(dst []*codec.Frame) []*codec.Frame
	Lose()
	Tracks() []*codec.Track
	Complete() bool
}

// A containerDecoder is the decoder of program and transport streams. Packets that
// come in order go from the buffer they are in to the demuxer without a copy.
type containerDecoder struct {
	payload     Payload
	sequencer   rtp.Sequencer
	demuxer     demuxer
	boundary    func(dst []*codec.Frame) []*codec.Frame // nil: markers mean nothing
	payloadType uint8                                   // of the sender
	begun       bool                                    // there is one
	marked      bool                                    // the newest packet has the marker
	succession  *succession
	invalid     uint64

	// Of the call that is going on.
	out    []*codec.Frame
	err    error
	before int // frames of the sender before; -1: there was none
}

func newContainerDecoder(payload Payload, o *ReceiveOptions, after *succession) *containerDecoder {
	d := &containerDecoder{payload: payload, succession: after, before: -1}
	d.sequencer = rtp.Sequencer{Depth: o.Depth, Wait: o.Wait, Deliver: d.deliver}
	d.renew()
	return d
}

// renew begins with a demuxer that knows nothing.
func (d *containerDecoder) renew() {
	if d.payload == PayloadTS {
		d.demuxer = &ts.Demuxer{}
		return
	}
	m := &Demuxer{}
	d.demuxer, d.boundary = m, m.Boundary
}

func (d *containerDecoder) take(dst []*codec.Frame, p *rtp.Packet, b []byte, now time.Time) ([]*codec.Frame, error) {
	d.begin(dst)
	switch {
	case !d.begun:
		d.begun, d.payloadType = true, p.PayloadType
	case p.PayloadType != d.payloadType && p.SSRC == d.sequencer.SSRC():
		d.invalid++ // something else that the sender sends
		return dst, nil
	}
	d.sequencer.Take(*p, len(b), now)
	return d.done()
}

// begin begins a call.
func (d *containerDecoder) begin(dst []*codec.Frame) { d.out, d.before = dst, -1 }

// done returns what the call that is going on has brought.
func (d *containerDecoder) done() ([]*codec.Frame, error) {
	frames := d.out
	d.out = nil
	return frames, d.err
}

// deliver hands the next piece to the demuxer.
func (d *containerDecoder) deliver(p *rtp.Packet, gap rtp.Gap) {
	switch {
	case d.err != nil:
		return
	case gap == rtp.Restart:
		d.restart(p)
	case gap == rtp.Lost:
		d.demuxer.Lose()
	}
	start := len(d.out)
	d.marked = p.Marker
	d.out, d.err = d.demuxer.Append(d.out, p.Payload)
	if p.Marker && d.boundary != nil {
		d.out = d.boundary(d.out)
	}
	d.succession.apply(d.out[start:])
}

// restart begins with the first packet of another sender: what has begun is cut.
func (d *containerDecoder) restart(p *rtp.Packet) {
	d.end(true)
	d.before, d.payloadType = len(d.out), p.PayloadType
	d.succession = succeeding(d.tracks())
	d.renew()
}

// end ends what the demuxer has begun. cut tells that it was no proper end.
func (d *containerDecoder) end(cut bool) {
	if cut {
		d.demuxer.Lose()
	}
	start := len(d.out)
	d.out = d.demuxer.Flush(d.out)
	d.succession.apply(d.out[start:])
}

func (d *containerDecoder) expire(dst []*codec.Frame, now time.Time) ([]*codec.Frame, error) {
	d.begin(dst)
	d.sequencer.Expire(now)
	return d.done()
}

func (d *containerDecoder) flush(dst []*codec.Frame, cut bool) []*codec.Frame {
	d.begin(dst)
	d.sequencer.Flush()
	d.end(cut && !d.marked)
	frames, _ := d.done()
	return frames
}

func (d *containerDecoder) lose() { d.sequencer.Lose() }

func (d *containerDecoder) tracks() []*codec.Track { return d.succession.tracks(d.demuxer.Tracks()) }

func (d *containerDecoder) complete() bool { return d.demuxer.Complete() }

func (d *containerDecoder) fits(p *rtp.Packet, f finding) bool {
	return f.payload == d.payload && (p.PayloadType == d.payloadType || p.SSRC != d.sequencer.SSRC())
}

func (d *containerDecoder) expects(p *rtp.Packet) bool {
	return p.PayloadType == d.payloadType && p.SSRC == d.sequencer.SSRC()
}

func (d *containerDecoder) renewed() (before int, ok bool) { return d.before, d.before >= 0 }

func (d *containerDecoder) control(b []byte, now time.Time) error { return d.sequencer.RTCP(b, now) }

func (d *containerDecoder) goodbye() bool { return d.sequencer.Goodbye() }

func (d *containerDecoder) ssrc() uint32 { return d.sequencer.SSRC() }

func (d *containerDecoder) appendReport(dst []byte, now time.Time) []byte {
	return d.sequencer.AppendReport(dst, cname, now)
}

func (d *containerDecoder) stats() rtp.ReceiverStats {
	s := d.sequencer.Stats()
	s.Invalid += d.invalid
	return s
}

// addStats adds the counters o to s; the larger jitter counts.
func addStats(s, o *rtp.ReceiverStats) {
	s.Packets += o.Packets
	s.Bytes += o.Bytes
	s.Lost += o.Lost
	s.Reordered += o.Reordered
	s.Duplicates += o.Duplicates
	s.Invalid += o.Invalid
	s.Resets += o.Resets
	s.Jitter = max(s.Jitter, o.Jitter)
}
