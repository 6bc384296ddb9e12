package rtp

import (
	"bytes"
	"encoding/binary"
	"iter"

	"github.com/mediakit-go/mediakit/codec"
)

const (
	maxNALUs = 4096 // of an access unit; those of the largest pictures have some hundred slices

	// For how many units markers are not believed: after one on a unit that
	// is no picture, and after one in the middle of a picture.
	holdShort = 2
	holdLong  = 250
)

// A naluUnpacker puts access units of H.264 and H.265 together.
//
// The marker ends a unit at once, if it has a picture; parameter sets and SEI
// by themselves belong to the picture after them, whatever their timestamp.
// Some cameras set the marker on every NAL unit. The first of those before a
// picture, or a slice after the marker that is not the first of its picture,
// gives them away: then units end where the timestamp changes, one picture
// later, until markers have been right for some time.
type naluUnpacker struct {
	assembly
	f   *naluFormat
	don bool // payloads have decoding order numbers, which are not looked at (H.265)

	open    int    // where the NAL unit begins, with its length, that fragments are added to; -1: none
	nalus   int    // in the access unit
	picture bool   // the access unit has slices
	sets    bool   // it has parameter sets
	refs    bool   // other pictures may refer to it
	closed  bool   // the packet before had the marker, which did not end the unit
	hold    int    // for how many units markers are not believed
	bare    bool   // the key frame before had no parameter sets
	ended   bool   // a unit was ended by a marker
	last    uint32 // its timestamp
	leads   bool   // the unit has a picture that belongs before the last key frame
	leading bool   // such pictures refer to what was lost

	dst []Unit
	err error
}

func newNALUUnpacker(f *naluFormat, t *codec.Track) *naluUnpacker {
	return &naluUnpacker{assembly: assembly{track: t}, f: f, open: -1}
}

func (u *naluUnpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	u.dst, u.err = dst, nil
	if lost {
		u.lose(p)
		u.open, u.ended = -1, false
		if !u.begun {
			u.reset()
		}
	}
	if len(p.Payload) == 0 { // keeps a way through a firewall open, or pads
		return dst, nil
	}
	if u.begun && p.Timestamp != u.timestamp {
		u.turn()
	}
	u.begun, u.timestamp = true, p.Timestamp
	if !u.skip {
		u.note(u.payload(p.Payload))
	}
	if p.Marker {
		u.mark()
	}
	dst, u.dst = u.dst, nil
	return dst, u.err
}

func (u *naluUnpacker) note(err error) {
	if u.err == nil {
		u.err = err
	}
}

// turn ends the access unit because the timestamp changed. What there is before
// a picture goes to the next one.
func (u *naluUnpacker) turn() {
	switch {
	case u.skip || u.open >= 0:
		u.giveUp()
	case u.picture:
		u.hold = max(u.hold-1, 0)
		u.send()
	}
	u.closed = false
}

// mark ends the access unit because of a marker.
func (u *naluUnpacker) mark() {
	switch {
	case u.skip || u.open >= 0:
		u.giveUp()
	case !u.picture || u.hold > 0:
		u.closed = true
		return
	default:
		u.send()
	}
	u.ended, u.last = true, u.timestamp
}

// send sends the access unit out.
func (u *naluUnpacker) send() {
	var flags codec.Flags
	if !u.refs {
		flags |= codec.FlagDisposable
	}
	if u.leads && u.leading {
		flags |= codec.FlagCorrupt
	}
	// After a loss the picture itself is known to be whole, for it began with
	// its first slice; but parameter sets may have been lost before it, if there
	// ever are any.
	certain := !u.uncertain || u.bare
	n, damaged := len(u.dst), u.damaged
	var err error
	u.dst, err = u.emit(u.dst, flags, certain)
	u.note(err)
	if len(u.dst) > n && u.dst[n].Flags&codec.FlagKey != 0 {
		u.leading = damaged
		if !u.damaged {
			u.bare = !u.sets
		}
	}
	u.reset()
}

// giveUp ends the access unit without sending it out.
func (u *naluUnpacker) giveUp() {
	lost := u.uncertain && !u.picture // parameter sets of the next one may be among it
	u.drop()
	u.end()
	u.reset()
	u.uncertain = lost
}

func (u *naluUnpacker) reset() {
	u.open, u.nalus = -1, 0
	u.picture, u.sets, u.refs, u.leads, u.closed = false, false, false, false, false
}

// payload takes in the payload of a packet.
func (u *naluUnpacker) payload(b []byte) error {
	if hasStartCode(b) { // there are encoders that send Annex B
		return u.units(codec.SplitAnnexB(b))
	}
	if len(b) < u.f.header {
		u.drop()
		return invalid("payload of %d bytes", len(b))
	}
	if b[0]&0x80 != 0 { // forbidden_zero_bit
		u.drop()
		return invalid("NAL unit known to be damaged")
	}
	return u.f.unpack(u, b)
}

// cut reports whether fragments of a NAL unit break off here; the access unit
// is then given up.
func (u *naluUnpacker) cut() bool {
	if u.open < 0 {
		return false
	}
	u.drop()
	return true
}

// aggregate takes in NAL units with 2-byte lengths, before each but the first of
// which are gap bytes.
func (u *naluUnpacker) aggregate(b []byte, gap int) error {
	for len(b) > 0 && !u.skip {
		if len(b) < 2 {
			u.drop()
			return invalid("aggregation packet cut")
		}
		n := int(binary.BigEndian.Uint16(b))
		if n == 0 { // padding
			return nil
		}
		if n > len(b)-2 {
			u.drop()
			return invalid("NAL unit of %d bytes in %d", n, len(b)-2)
		}
		if err := u.unit(b[2:][:n]); err != nil {
			return err
		}
		b = b[min(2+n+gap, len(b)):]
	}
	return nil
}

func (u *naluUnpacker) units(nalus iter.Seq[[]byte]) error {
	for nalu := range nalus {
		if err := u.unit(nalu); err != nil || u.skip {
			return err
		}
	}
	return nil
}

// unit takes in a whole NAL unit.
func (u *naluUnpacker) unit(nalu []byte) error {
	if u.cut() || !u.enter(nalu) {
		return nil
	}
	if err := u.begin(nalu); err != nil {
		return err
	}
	return u.complete()
}

// fragment takes in a fragment of a NAL unit with this header, which is sent
// with S in the highest bit of fu and E in the next. Cheap encoders set both.
func (u *naluUnpacker) fragment(header []byte, fu byte, b []byte) error {
	const start, end = 0x80, 0x40
	if fu&start != 0 {
		var first [3]byte // enough for enter
		n := copy(first[:], header)
		n += copy(first[n:], b)
		if u.cut() || !u.enter(first[:n]) {
			return nil
		}
		if err := u.begin(header); err != nil {
			return err
		}
	} else if u.open < 0 || !bytes.Equal(u.buf[u.open+4:][:len(header)], header) {
		u.drop()
		return nil
	}
	if err := u.add(b); err != nil {
		return err
	}
	if fu&end != 0 {
		return u.complete()
	}
	return nil
}

// enter is told of a NAL unit before it is added, of which it needs the first
// bytes only. It reports false if the access unit was given up.
func (u *naluUnpacker) enter(nalu []byte) bool {
	if len(nalu) < u.f.header {
		return true // left out by package codec
	}
	kind := u.f.typeOf(nalu[0])
	if !u.f.isPicture(kind) {
		if len(u.buf) == 0 && u.f.opens(kind) {
			u.uncertain = false
		}
		if u.closed && !u.picture {
			u.hold = max(u.hold, holdShort)
		}
		u.sets = u.sets || u.f.isSet(kind)
		u.closed = u.closed && u.picture
		return true
	}
	// The first bit of a slice tells whether it is the first one of its picture:
	// first_mb_in_slice is 0 (H.264, 7.3.3), first_slice_segment_in_pic_flag is
	// set (H.265, 7.3.6.1).
	first := len(nalu) > u.f.header && nalu[u.f.header]&0x80 != 0
	switch {
	case !u.picture && !first: // those before it are missing
		if u.ended && u.last == u.timestamp {
			u.hold = holdLong // they were taken for the whole picture
		}
		u.drop()
		return false
	case u.picture && u.closed && first: // another picture, or the other field, of this time
		t := u.timestamp
		u.send()
		u.begun, u.timestamp = true, t
	case u.picture && u.closed:
		u.hold = holdLong
	}
	u.picture, u.closed = true, false
	u.refs = u.refs || u.f.isReference(u.track, nalu)
	u.leads = u.leads || u.f.isLeading(kind)
	return true
}

// begin adds b as the beginning of a NAL unit.
func (u *naluUnpacker) begin(b []byte) error {
	if u.nalus++; u.nalus > maxNALUs {
		u.drop()
		return invalid("access unit of more than %d NAL units", maxNALUs)
	}
	u.open = len(u.buf)
	u.buf = append(u.buf, 0, 0, 0, 0)
	return u.add(b)
}

// complete ends a NAL unit. One that holds a start code is several: there are
// encoders that cut their stream at some of its units only.
func (u *naluUnpacker) complete() error {
	open := u.open
	u.open = -1
	nalu := u.buf[open+4:]
	var more []byte
	if i := bytes.Index(nalu, []byte{0, 0, 1}); i >= 0 {
		more = bytes.Clone(nalu[i:])
		nalu = bytes.TrimRight(nalu[:i], "\x00")
	} else if len(nalu) > 0 && u.f.isSet(u.f.typeOf(nalu[0])) {
		nalu = bytes.TrimRight(nalu, "\x00")
	}
	u.buf = u.buf[:open+4+len(nalu)]
	binary.BigEndian.PutUint32(u.buf[open:], uint32(len(nalu)))
	return u.units(codec.SplitAnnexB(more))
}
