package rtp

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/mediakit-go/mediakit/codec"
)

// av1Carriage is AV1 by the RTP Payload Format For AV1 (v1.0.0).
func av1Carriage() carriage {
	return carriage{
		codec:    codec.AV1,
		names:    []string{"AV1"},
		describe: describeAV1,
		track: func(_ *Payload, t *codec.Track) (*codec.Track, error) {
			return t, nil // sequence headers come in the stream
		},
		packer: func(t *codec.Track) packer { return &av1Packer{track: t} },
		unpacker: func(_ *Payload, t *codec.Track) (Depacketizer, error) {
			return &av1Unpacker{assembly: assembly{track: t}, open: -1}, nil
		},
	}
}

// describeAV1 tells what the av1C does (7.2.1): profile 3 bits, level 5, tier 1.
func describeAV1(t *codec.Track, p *Payload) bool {
	p.ClockRate = videoClock
	if c := t.Config; len(c) >= 4 {
		p.Params = []Parameter{
			{"profile", strconv.Itoa(int(c[1] >> 5))},
			{"level-idx", strconv.Itoa(int(c[1] & 0x1f))},
			{"tier", strconv.Itoa(int(c[2] >> 7))},
		}
	}
	return true
}

// obuSized is set in the first byte of an OBU that has a size field.
const obuSized = 2

// Bits of an aggregation header (4.4), which each payload begins with.
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	|Z|Y| W |N|-|-|-|
//	+-+-+-+-+-+-+-+-+
const (
	av1Continues  = 0x80 // Z: the first element goes on with an OBU of the packet before
	av1Continued  = 0x40 // Y: the last one goes on in the next packet
	av1CountShift = 4    // W: number of elements, the last has no length; 0: any, all have lengths
	av1New        = 0x08 // N: a coded video sequence begins
)

// An av1Packer writes the packets of AV1: OBUs without size fields, one after
// the other, so that all packets of a frame but the last are full.
type av1Packer struct {
	track *codec.Track // of the frame before
	at    int          // where the payload begins that is being written
	n     int          // its elements
}

func (p *av1Packer) pack(w *packetWriter, f *codec.Frame) error {
	last, sequence, err := checkAV1(f.Data)
	if err != nil {
		return err
	}
	changed := f.Track != p.track && !f.Track.SameConfig(p.track)
	p.track = f.Track
	var flags byte
	if f.Key() {
		flags = av1New
	}
	p.begin(w, flags)
	if (f.Key() || changed) && !sequence && len(f.Track.Config) > 4 {
		for b := f.Track.Config[4:]; len(b) > 0; {
			o, err := codec.CutOBU(b)
			if err != nil {
				break
			}
			p.add(w, o, false)
			b = b[o.Size:]
		}
	}
	for at := 0; at <= last; {
		o, _ := codec.CutOBU(f.Data[at:])
		if o.Kept() {
			p.add(w, o, at == last)
		}
		at += o.Size
	}
	w.end(true)
	return nil
}

// checkAV1 returns where the last OBU begins that is to be sent of a temporal
// unit, and whether that has a sequence header.
func checkAV1(data []byte) (last int, sequence bool, err error) {
	last = -1
	for at := 0; at < len(data); {
		o, err := codec.CutOBU(data[at:])
		if err != nil {
			return 0, false, invalid("AV1 frame: %v", err)
		}
		if o.Kept() {
			last = at
		}
		sequence = sequence || o.Type == codec.OBUSequenceHeader
		at += o.Size
	}
	if last < 0 {
		return 0, false, invalid("AV1 frame without OBU")
	}
	return last, sequence, nil
}

func (p *av1Packer) begin(w *packetWriter, flags byte) {
	w.begin()
	p.at, p.n = len(w.b), 0
	w.b = append(w.b, flags)
}

// next ends the packet and begins another one.
func (p *av1Packer) next(w *packetWriter, flags byte) {
	w.end(false)
	p.begin(w, flags)
}

// add writes o as an element of this packet or, as far as there is no room, the
// next ones. last tells that nothing follows it.
func (p *av1Packer) add(w *packetWriter, o codec.OBU, last bool) {
	var buf [2]byte
	header, rest := buf[:copy(buf[:], o.Header)], o.Payload
	header[0] &^= obuSized
	for {
		n := len(header) + len(rest)
		room := w.room() - (len(w.b) - p.at)
		// The last of up to three elements needs no length.
		bare := p.n < 3
		switch {
		case n+lebSize(n) <= room && !(last && bare):
			p.element(w, n, header, rest)
			return
		case n <= room && bare:
			p.bare(w, header, rest)
			if !last {
				p.next(w, 0)
			}
			return
		}
		part := room
		if !bare {
			part -= lebSize(room)
		}
		if part <= len(header) { // not worth it
			p.next(w, 0)
			continue
		}
		w.b[p.at] |= av1Continued
		if body := part - len(header); bare {
			p.bare(w, header, rest[:body])
		} else {
			p.element(w, part, header, rest[:body])
		}
		rest, header = rest[part-len(header):], nil
		p.next(w, av1Continues)
	}
}

// element writes an element of n bytes with its length.
func (p *av1Packer) element(w *packetWriter, n int, header, rest []byte) {
	w.b = binary.AppendUvarint(w.b, uint64(n)) // LEB128
	w.b = append(append(w.b, header...), rest...)
	p.n++
}

// bare writes the last element of a packet without its length.
func (p *av1Packer) bare(w *packetWriter, header, rest []byte) {
	w.b = append(append(w.b, header...), rest...)
	p.n++
	w.b[p.at] |= byte(p.n) << av1CountShift
}

// An av1Unpacker puts temporal units together.
type av1Unpacker struct {
	assembly
	open int // where the OBU begins that goes on in the next packet; -1: none
	obus int // in the unit
}

func (u *av1Unpacker) Append(dst []Unit, p *Packet, lost bool) ([]Unit, error) {
	return u.take(u, dst, p, lost)
}

func (u *av1Unpacker) payload(b []byte, first bool) error {
	h := b[0]
	if first {
		u.open, u.obus = -1, 0
		if h&av1New != 0 {
			u.uncertain = false
		}
	}
	if h&av1Continues != 0 != (u.open >= 0) { // something is missing
		u.drop()
		return nil
	}
	count := int(h >> av1CountShift & 3)
	b = b[1:]
	n := 0
	for ; len(b) > 0; n++ {
		element := b
		if count == 0 || n < count-1 {
			size, used := binary.Uvarint(b)
			if used <= 0 || size > uint64(len(b)-used) {
				u.drop()
				return invalid("AV1 payload: OBU cut")
			}
			element, b = b[used:][:size], b[used:]
		}
		b = b[len(element):]
		if u.open < 0 {
			u.open = len(u.buf)
		}
		if err := u.add(element); err != nil {
			return err
		}
		if len(b) == 0 && h&av1Continued != 0 {
			continue
		}
		if err := u.complete(); err != nil {
			return err
		}
	}
	if n == 0 || n < count {
		u.drop()
		return invalid("AV1 payload: %d of %d OBUs", n, count)
	}
	return nil
}

// complete ends an OBU, which gets a size field.
func (u *av1Unpacker) complete() error {
	o, err := codec.CutOBU(u.buf[u.open:])
	if err != nil {
		u.drop()
		return invalid("AV1 payload: %v", err)
	}
	if u.obus == 0 && (o.Type == codec.OBUSequenceHeader || o.Type == codec.OBUTemporalDelimiter) {
		u.uncertain = false // temporal units begin with these
	}
	u.obus++
	switch {
	case !o.Kept():
		u.buf = u.buf[:u.open]
	case !o.Sized:
		u.buf[u.open] |= obuSized
		var size [binary.MaxVarintLen64]byte
		n := binary.PutUvarint(size[:], uint64(len(o.Payload)))
		u.buf = slices.Insert(u.buf, u.open+len(o.Header), size[:n]...)
	}
	u.open = -1
	return nil
}

func (u *av1Unpacker) finish(dst []Unit) ([]Unit, error) {
	if u.open >= 0 {
		u.drop()
	}
	return u.emit(dst, 0, !u.uncertain)
}

// lebSize returns how many bytes n has as LEB128.
func lebSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
