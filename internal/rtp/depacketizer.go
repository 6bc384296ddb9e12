package rtp

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/mediakit-go/mediakit/codec"
)

// maxUnit is the longest access unit that is put together, in bytes.
const maxUnit = 8 << 20

// A Unit is an access unit as it came out of RTP packets.
type Unit struct {
	Track     *codec.Track // a new one with the same ID when the parameters changed in band
	Timestamp uint32       // of its packets
	Data      []byte       // as codec.Frame.Data; a new slice, not a part of a packet, unless one packet is one unit
	Flags     codec.Flags  // FlagKey, FlagDisposable, FlagCorrupt, FlagMarker (opaque)
	Skip      int          // audio: how many ticks after Timestamp it begins, when packets hold several units
}

// A Depacketizer puts the access units of one track together from its packets.
type Depacketizer interface {
	// Append takes in the next packet in order and appends the units it
	// completes to dst. lost tells that packets before it are missing: what was
	// begun is given up, and units known to be damaged are left out or have
	// FlagCorrupt; none that is broken goes out without it. An error is about
	// this packet only, which is dropped. p.Payload is the Depacketizer's to keep.
	Append(dst []Unit, p *Packet, lost bool) ([]Unit, error)
}

// NewDepacketizer returns the Depacketizer of a track made by p.Track.
func NewDepacketizer(p *Payload, t *codec.Track) (Depacketizer, error) {
	c := opaqueCarriage()
	if t.Wire == "" {
		c = carriageNamed(p.Encoding)
	}
	return c.unpacker(p, t)
}

// maxScratch is how much memory an assembly keeps between units.
const maxScratch = 64 << 10

// An assembly is a video access unit that grows packet by packet, and what has
// to be known of those before it.
//
// A unit ends with the packet that has the marker, so that nothing waits for
// the next one, or where the timestamp changes: there are cameras that never
// set the marker.
type assembly struct {
	track     *codec.Track
	buf       []byte // of the unit so far; used again for the next
	timestamp uint32 // of the unit
	begun     bool   // packets of the unit have come
	skip      bool   // the rest of the unit is not wanted
	uncertain bool   // the unit may have begun in packets that are lost
	damaged   bool   // something was lost that pictures up to the next key frame may refer to
}

// A framing is how the packets of a codec make a unit.
type framing interface {
	// payload takes in a payload, which has at least one byte. first tells
	// that the unit has no other yet. It drops the unit if that has become
	// useless; an error is about this payload.
	payload(b []byte, first bool) error
	// finish ends the unit, which has payloads and was not dropped.
	finish(dst []Unit) ([]Unit, error)
}

// take is Append for the framing f.
func (a *assembly) take(f framing, dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	if lost {
		a.lose(p)
	}
	if len(p.Payload) == 0 { // keeps a way through a firewall open, or pads
		return dst, nil
	}
	var errs [3]error
	if a.begun && p.Timestamp != a.timestamp {
		dst, errs[0] = a.close(f, dst)
	}
	first := !a.begun
	a.begun, a.timestamp = true, p.Timestamp
	if !a.skip {
		errs[1] = f.payload(p.Payload, first)
	}
	if p.Marker {
		dst, errs[2] = a.close(f, dst)
	}
	return dst, cmp.Or(errs[:]...)
}

func (a *assembly) close(f framing, dst []Unit) ([]Unit, error) {
	if a.skip {
		a.end()
		return dst, nil
	}
	return f.finish(dst)
}

// lose is told of packets missing before p: what has come of the unit is given
// up. If p is of another one, it may be in the midst of it.
func (a *assembly) lose(p *Packet) {
	if a.begun && p.Timestamp != a.timestamp {
		a.end()
	}
	a.empty()
	a.skip, a.uncertain, a.damaged = a.begun, true, true
}

// drop gives up the unit: the rest of it is skipped.
func (a *assembly) drop() {
	a.empty()
	a.skip, a.damaged = true, true
}

// end makes ready for the next unit.
func (a *assembly) end() {
	a.empty()
	a.begun, a.skip, a.uncertain = false, false, false
}

func (a *assembly) empty() {
	if a.buf = a.buf[:0]; cap(a.buf) > maxScratch {
		a.buf = nil
	}
}

// add appends b to the unit. One that gets too long is given up.
func (a *assembly) add(b []byte) error {
	if len(b) > maxUnit-len(a.buf) {
		a.drop()
		return invalid("access unit of more than %d bytes", maxUnit)
	}
	a.buf = append(a.buf, b...)
	return nil
}

// emit appends the unit, whose data is what buf holds, to dst and ends it. A key
// frame heals what was damaged if certain tells that nothing of it is missing.
func (a *assembly) emit(dst []Unit, flags codec.Flags, certain bool) ([]Unit, error) {
	if a.skip {
		a.end()
		return dst, nil
	}
	t, data, key, err := codec.ParseFrame(a.track, a.buf)
	if err != nil {
		a.damaged = true
		a.end()
		return dst, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(data) > 0 && &data[0] == &a.buf[0] {
		data = bytes.Clone(data)
	}
	a.track = t
	if key {
		flags |= codec.FlagKey
		a.damaged = a.damaged && !certain
	}
	if a.damaged {
		flags |= codec.FlagCorrupt
	}
	u := Unit{Track: t, Timestamp: a.timestamp, Data: data, Flags: flags}
	a.end()
	if len(data) == 0 {
		return dst, nil
	}
	return append(dst, u), nil
}
