package pes

import (
	"iter"

	"github.com/mediakit-go/mediakit/codec"
)

// A Framer gives the frames of a track the form that they have in PES packets:
// those of H.264 and H.265 begin with an access unit delimiter, key frames and
// those with new parameters with the parameter sets behind it, and NAL units have
// start codes instead of lengths; AAC frames have ADTS headers.
type Framer struct {
	access  []byte // delimiter and parameter sets, in Annex B
	delim   int    // the part of it that is the delimiter
	adts    []byte // header, of the last frame
	changed bool   // the parameter sets are due
	control bool   // Opus packets have control headers
	before  []byte // scratch, for those
}

// NewFramer returns a Framer for t, whose frames it must be given in their order.
// control says that Opus packets have control headers.
func NewFramer(t *codec.Track, control bool) Framer {
	x := Framer{changed: true}
	switch {
	case t.Wire != "":
		return x
	case t.Codec == codec.H264:
		x.access = append(longStartCode[:4:4], 9, 0xf0)
	case t.Codec == codec.H265:
		x.access = append(longStartCode[:4:4], 35<<1, 1, 0x50)
	case t.Codec == codec.AAC:
		x.adts, _ = codec.AppendADTS(nil, t, nil)
	case t.Codec == codec.Opus:
		x.control = control
	}
	x.delim = len(x.access)
	for _, set := range t.ParameterSets() {
		x.access = append(x.access, longStartCode[:]...)
		x.access = append(x.access, set...)
	}
	return x
}

// longStartCode stands before NAL units, in place of their lengths.
var longStartCode = [4]byte{0, 0, 0, 1}

// A Payload is a frame as it is in PES packets. It is valid until the Framer is
// given the next one.
type Payload struct {
	Size   int    // bytes; 0 if there is nothing to write
	before []byte // the data
	data   []byte
	annexB bool
}

// Frame returns what f is in PES packets; false if it is longer than an ADTS header
// can tell.
func (x *Framer) Frame(f *codec.Frame) (p Payload, ok bool) {
	p = Payload{data: f.Data, Size: len(f.Data), annexB: x.access != nil}
	if p.annexB {
		p.Size = 0
		for nalu := range f.NALUs() {
			p.Size += len(longStartCode) + len(nalu)
		}
	}
	if p.Size == 0 {
		return p, true
	}
	switch {
	case p.annexB:
		p.before = x.access[:x.delim]
		if f.Key() || x.changed {
			p.before, x.changed = x.access, false
		}
	case x.adts != nil: // the frame length is from bit 30 on (ISO/IEC 14496-3, 1.A.2.2.2)
		h, size := x.adts, len(x.adts)+p.Size
		if size > 0x1fff {
			return p, false
		}
		h[3] = h[3]&^3 | byte(size>>11)
		h[4] = byte(size >> 3)
		h[5] = h[5]&0x1f | byte(size<<5)
		p.before = h
	case x.control:
		x.before = AppendOpusControl(x.before[:0], p.Size)
		p.before = x.before
	}
	p.Size += len(p.before)
	return p, true
}

// Pieces yields the bytes of p, which alias the frame.
func (p *Payload) Pieces() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { p.yieldPieces(yield) }
}

// yieldPieces is apart so that Pieces can be inlined; then a loop over it does not
// allocate.
func (p *Payload) yieldPieces(yield func([]byte) bool) {
	if len(p.before) > 0 && !yield(p.before) {
		return
	}
	if !p.annexB {
		yield(p.data)
		return
	}
	for nalu := range codec.NALUs(p.data) {
		if !yield(longStartCode[:]) || !yield(nalu) {
			return
		}
	}
}
