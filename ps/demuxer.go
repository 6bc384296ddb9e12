package ps

import (
	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/pes"
)

// Limits of what is looked at.
const (
	noPackMost   = pes.MaxUnit + 1<<20 // bytes without anything of a program stream: they may be in the middle of a picture
	patience     = 2 * pes.ClockRate   // ticks, until it is believed that there are no more streams
	patiencePack = 100                 // or so many PES packets
)

// A Demuxer finds the frames in a program stream of MPEG-2 or MPEG-1 that comes in
// pieces of any size. What is said there of order, times, wraps and jumps, damage
// and bounds of memory is as with a ts.Demuxer: frames come in the order of decoding,
// what does not go on from what was before has FlagDiscont, a picture that is cut
// FlagCorrupt.
//
// The program stream map tells what the streams are, as far as it is right: where
// there is none, and where the payload shows something else, that counts. A stream of
// which neither is known after 2 seconds or 100 packets is taken for H.264 or H.265,
// as its NAL units look, or for G.711 A-law. Lengths may be 0 or wrong: what follows
// is found again at the next header. A packet without a time belongs to the frame
// before; if no packet of a stream has one, the clock of the packs counts.
//
// Tracks keep their IDs, 1 and up, when the map changes. SVAC, G.722, G.723 and
// G.729, and what is not understood, are tracks of Wire "pes". Private streams are
// read if the map tells what they are, or if they have AC-3 as on DVDs.
//
// The zero value is ready. It must not be copied after the first call.
type Demuxer struct {
	packets packetReader
	streams []*demuxStream
	cur     *demuxStream // the one whose packet was begun last; nil: what nobody wants
	units   pes.Assembler

	table   []byte // the program stream map in force
	doubted []byte // one with a wrong checksum
	mapped  bool   // there is a map
	listed  []byte // stream_ids of the system header

	taken   int    // PES packets with flags, up to patiencePack
	first   uint64 // time of the first packet that has one; valid if timed
	timed   bool
	settled bool   // no more streams are waited for
	clock   uint64 // of the last pack header; valid if packs > 0
	packs   int

	seen int64 // bytes, up to noPackMost
	err  error
}

// Append appends the frames that b completes. b is the caller's again afterwards.
// Damage costs frames, and is no error; an error is final. It wraps [ErrInvalid]:
// there was nothing of a program stream in 9 MiB.
func (d *Demuxer) Append(dst []*codec.Frame, b []byte) ([]*codec.Frame, error) {
	if d.err != nil {
		return dst, d.err
	}
	d.units.Frames = append(dst, d.units.Frames...) // Lose may have ended some
	d.packets.add(b, d)
	dst, d.units.Frames = d.units.Frames, nil
	if d.packs == 0 && len(d.streams) == 0 && d.seen <= noPackMost {
		if d.seen += int64(len(b)); d.seen > noPackMost {
			d.err = invalid("no packs in %d bytes", d.seen)
		}
	}
	return dst, d.err
}

// Boundary tells that the access unit ends here, as an RTP marker does, and appends
// what that completes. It need not be true: the marks of a sender that makes them
// elsewhere, or not always, are not believed.
func (d *Demuxer) Boundary(dst []*codec.Frame) []*codec.Frame {
	d.units.Frames = append(dst, d.units.Frames...) // Lose may have ended some
	d.packets.settle(d)
	for _, s := range d.streams {
		switch {
		case s.units == nil:
		case d.packets.inside():
			s.units.Doubt()
		default:
			s.units.Mark()
		}
	}
	dst, d.units.Frames = d.units.Frames, nil
	return dst
}

// Lose tells that bytes are missing before what is appended next, as whoever
// receives packets knows: what was begun of frames is cut there, and comes with the
// next call.
func (d *Demuxer) Lose() {
	d.finishProbe()
	d.packets.lose()
	d.cur = nil
	for _, s := range d.streams {
		s.lose()
	}
}

// Flush appends the frames that were waiting for their end: at the end of the
// stream, or where a discontinuity follows. What is appended after it may have other
// times.
func (d *Demuxer) Flush(dst []*codec.Frame) []*codec.Frame {
	d.units.Frames = append(dst, d.units.Frames...) // Lose may have ended some
	d.packets.settle(d)
	d.finishProbe()
	d.packets.lose()
	d.cur = nil
	d.units.Flush()
	dst, d.units.Frames = d.units.Frames, nil
	return dst
}

// Tracks returns the tracks known so far, those without parameters left out.
func (d *Demuxer) Tracks() []*codec.Track { return d.units.Tracks() }

// Complete reports whether all tracks of the program are known and ready, apart from
// those that are passed through, which are known with their first frame. Where
// nothing tells what there is, that takes 2 seconds of media or 100 packets.
func (d *Demuxer) Complete() bool {
	if len(d.units.Streams()) == 0 || !d.units.Complete() {
		return false
	}
	if d.settled {
		return true
	}
	for _, s := range d.streams {
		if s.units == nil && !s.ignorable() {
			return false
		}
	}
	if d.mapped {
		return true
	}
	for _, id := range d.listed {
		if s := d.streamOf(uint16(id)<<8, false); s == nil && (pes.IsVideo(id) || pes.IsAudio(id)) {
			return false
		}
	}
	return len(d.listed) > 0
}

// takePack takes in a pack header.
func (d *Demuxer) takePack(clock uint64) {
	d.clock = clock
	d.packs++
}

// takeSystem takes in the body of a system header: from the seventh byte on are
// stream_ids, each with two bytes behind it.
func (d *Demuxer) takeSystem(b []byte) {
	d.listed = d.listed[:0]
	for at := 6; at+3 <= len(b) && b[at] >= 0x80; at += 3 {
		d.listed = append(d.listed, b[at])
	}
}

// settle ends the waiting for more streams when it was long enough.
func (d *Demuxer) settle(h *pes.Header) {
	if d.settled {
		return
	}
	d.taken++
	if h.HasPTS && !d.timed {
		d.first, d.timed = h.DTS, true
	}
	since := (h.DTS - d.first) & pes.MaxTicks
	d.settled = d.taken > patiencePack || h.HasPTS && since >= patience && since < pes.MaxTicks/2
}
