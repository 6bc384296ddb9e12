package rtp

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/mediakit-go/mediakit/codec"
)

// A naluFormat is what distinguishes the payload formats of H.264 (RFC 6184)
// and H.265 (RFC 7798): both send NAL units one by one, several in a packet,
// or one in several packets.
type naluFormat struct {
	header    int                               // size of NAL unit headers, which payload headers share, in bytes
	shift     int                               // of the type in the first byte
	mask      byte                              // of the type, shifted
	aggregate byte                              // type of packets with several units
	fragment  byte                              // type of packets with a part of one
	pictures  [2]byte                           // first and last type of units that are parts of a picture
	leading   [2]byte                           // first and last type of pictures that belong before the key frame they follow
	sets      [3]byte                           // types of parameter sets
	opening   [2]byte                           // types that access units begin with: delimiter, first parameter set
	unpack    func(*naluUnpacker, []byte) error // takes in a payload
}

func (f *naluFormat) typeOf(first byte) byte { return first >> f.shift & f.mask }

// withType returns the first byte of a header with another type.
func (f *naluFormat) withType(first, kind byte) byte {
	return first&^(f.mask<<f.shift) | kind<<f.shift
}

func (f *naluFormat) isPicture(kind byte) bool { return kind >= f.pictures[0] && kind <= f.pictures[1] }
func (f *naluFormat) isLeading(kind byte) bool { return kind >= f.leading[0] && kind <= f.leading[1] }
func (f *naluFormat) isSet(kind byte) bool     { return bytes.IndexByte(f.sets[:], kind) >= 0 }
func (f *naluFormat) opens(kind byte) bool     { return bytes.IndexByte(f.opening[:], kind) >= 0 }

// isReference reports whether pictures may refer to the one this slice is of.
func (f *naluFormat) isReference(t *codec.Track, slice []byte) bool {
	if f.header == 1 {
		return isH264Reference(slice)
	}
	return isH265Reference(t, slice)
}

// merge makes h the header of an aggregate that has nalu as well.
func (f *naluFormat) merge(h *[2]byte, nalu []byte) {
	if f.header == 1 {
		mergeH264(h, nalu)
	} else {
		mergeH265(h, nalu)
	}
}

// A naluPacker writes the packets of H.264 and H.265: small units together,
// large ones in fragments of equal size, the last excepted.
type naluPacker struct {
	f     *naluFormat
	track *codec.Track // of the frame before
	sets  [][]byte     // its parameter sets
	group [][]byte     // units to be sent together
	size  int          // of a packet of group
}

func newNALUPacker(f *naluFormat, t *codec.Track) *naluPacker {
	return &naluPacker{f: f, track: t, sets: t.ParameterSets()}
}

func (p *naluPacker) pack(w *packetWriter, f *codec.Frame) error {
	last, err := p.check(f.Data)
	if err != nil {
		return err
	}
	changed := false
	if f.Track != p.track {
		changed = !f.Track.SameConfig(p.track)
		p.track, p.sets = f.Track, f.Track.ParameterSets()
	}
	if changed || f.Key() {
		for _, nalu := range p.sets {
			p.add(w, nalu)
		}
	}
	for at := 0; at <= last; {
		n := int(binary.BigEndian.Uint32(f.Data[at:]))
		if n > 0 {
			p.add(w, f.Data[at+4:][:n])
		}
		at += 4 + n
	}
	p.flush(w, true)
	return nil
}

// check returns where the last NAL unit in data begins with its length.
func (p *naluPacker) check(data []byte) (last int, err error) {
	last = -1
	for at := 0; at < len(data); {
		if len(data)-at < 4 {
			return 0, invalid("NAL unit length cut")
		}
		n := binary.BigEndian.Uint32(data[at:])
		if uint64(n) > uint64(len(data)-at-4) {
			return 0, invalid("NAL unit of %d bytes in %d", n, len(data)-at-4)
		}
		if n > 0 && int(n) < p.f.header {
			return 0, invalid("NAL unit of %d bytes", n)
		}
		if n > 0 {
			last = at
		}
		at += 4 + int(n)
	}
	if last < 0 {
		return 0, invalid("frame without NAL units")
	}
	return last, nil
}

// add sends nalu, together with others if it can be. What is held back for that
// goes with flush.
func (p *naluPacker) add(w *packetWriter, nalu []byte) {
	if len(p.group) > 0 && p.size+2+len(nalu) > w.room() {
		p.flush(w, false)
	}
	if len(p.group) == 0 {
		p.size = p.f.header
	}
	p.group = append(p.group, nalu)
	p.size += 2 + len(nalu)
}

// flush sends the units that were held back.
func (p *naluPacker) flush(w *packetWriter, marker bool) {
	switch {
	case len(p.group) > 1:
		p.aggregate(w, marker)
	case len(p.group[0]) > w.room():
		p.fragment(w, p.group[0], marker)
	default:
		w.packet(len(p.group[0]), marker)
		w.b = append(w.b, p.group[0]...)
	}
	clear(p.group) // let go of the frame
	p.group = p.group[:0]
}

func (p *naluPacker) aggregate(w *packetWriter, marker bool) {
	var h [2]byte
	copy(h[:p.f.header], p.group[0])
	for _, nalu := range p.group[1:] {
		p.f.merge(&h, nalu)
	}
	h[0] = p.f.withType(h[0], p.f.aggregate)
	w.packet(p.size, marker)
	w.b = append(w.b, h[:p.f.header]...)
	for _, nalu := range p.group {
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(nalu)))
		w.b = append(w.b, nalu...)
	}
}

// fragment sends nalu in fragmentation units: a payload header, then S, E and
// the type of the unit, whose own header is left out.
func (p *naluPacker) fragment(w *packetWriter, nalu []byte, marker bool) {
	const start, end = 0x80, 0x40
	head, rest := nalu[:p.f.header], nalu[p.f.header:]
	fu := p.f.typeOf(head[0]) | start
	for room := w.room() - p.f.header - 1; len(rest) > 0; fu &^= start {
		n := min(len(rest), room)
		if n == len(rest) {
			fu |= end
		}
		w.packet(p.f.header+1+n, marker && fu&end != 0)
		w.b = append(w.b, p.f.withType(head[0], p.f.fragment))
		w.b = append(w.b, head[1:]...)
		w.b = append(w.b, fu)
		w.b = append(w.b, rest[:n]...)
		rest = rest[n:]
	}
}

// spropSets returns the NAL units in a parameter of an fmtp attribute that
// holds parameter sets in base64, separated by commas. Some cameras leave out
// the padding, put start codes before units or zeros after them; what cannot be
// decoded is skipped, for the sets also come in the stream.
func spropSets(value string) (sets [][]byte) {
	for s := range strings.SplitSeq(value, ",") {
		b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(s), "="))
		if err != nil {
			continue
		}
		if hasStartCode(b) {
			sets = slices.AppendSeq(sets, codec.SplitAnnexB(b))
		} else if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
			sets = append(sets, b)
		}
	}
	return sets
}

// hasStartCode reports whether b begins as a byte stream does (H.264, annex B).
func hasStartCode(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0, 0, 1}) || bytes.HasPrefix(b, []byte{0, 0, 0, 1})
}

// withSets returns t with the parameter sets, those left out that cannot be
// decoded.
func withSets(t *codec.Track, sets [][]byte) *codec.Track {
	for _, nalu := range sets {
		if t2, _, _, err := codec.ParseNALUs(t, slices.Values([][]byte{nalu})); err == nil {
			t = t2
		}
	}
	return t
}
