package codec

import (
	"encoding/binary"
	"slices"
)

// OBU types (AV1, 6.2.2).
const (
	obuSequenceHeader = 1
	obuTemporalDelim  = 2
	obuFrameHeader    = 3
	obuFrame          = 6
	obuTileList       = 8
	obuPadding        = 15
)

// An obu is an open bitstream unit (AV1, 5.3.1).
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	|F| type  |X|S|-|  X: extension byte follows, S: leb128 size follows
//	+-+-+-+-+-+-+-+-+
type obu struct {
	kind    byte
	sized   bool   // has a size field
	header  []byte // one byte or, with extension, two
	payload []byte
	size    int // of all of it
}

// cutOBU reads the unit that b begins with. One without a size field reaches
// to the end of b.
func cutOBU(b []byte) (o obu, err error) {
	if len(b) < 1 {
		return o, short("OBU")
	}
	if b[0]&0x80 != 0 {
		return o, invalid("OBU: forbidden bit is set")
	}
	o.kind, o.sized = b[0]>>3&15, b[0]&2 != 0
	n := 1
	if b[0]&4 != 0 {
		n = 2
	}
	if len(b) < n {
		return o, short("OBU header")
	}
	o.header, o.payload = b[:n], b[n:]
	if o.sized {
		size, used, err := leb128(o.payload)
		if err != nil {
			return o, err
		}
		if n += used; size > uint64(len(b)-n) {
			return o, short("OBU")
		}
		o.payload = b[n:][:size]
	}
	o.size = n + len(o.payload)
	return o, nil
}

// append appends o with a size field.
func (o obu) append(dst []byte) []byte {
	dst = append(dst, o.header[0]|2)
	dst = append(dst, o.header[1:]...)
	dst = binary.AppendUvarint(dst, uint64(len(o.payload))) // LEB128
	return append(dst, o.payload...)
}

// leb128 reads a number of at most 32 bits in at most 8 bytes (AV1, 4.10.5).
func leb128(b []byte) (v uint64, used int, err error) {
	for i := range min(len(b), 8) {
		if v |= uint64(b[i]&0x7f) << (7 * i); b[i] < 0x80 {
			if v > 1<<32-1 {
				return 0, 0, invalid("LEB128 above 32 bits")
			}
			return v, i + 1, nil
		}
	}
	if len(b) >= 8 {
		return 0, 0, invalid("LEB128 of more than 8 bytes")
	}
	return 0, 0, short("LEB128")
}

// CanonicalAV1 returns tu, a temporal unit in the low-overhead format (AV1,
// 5.2), as frame data: without temporal delimiters, padding and tile lists,
// every OBU with a size field (AV1 Codec ISO Media File Format Binding, 2.4).
// That is tu itself if it has this form, else a copy in dst[:0]. Errors wrap
// [ErrInvalid].
func CanonicalAV1(dst, tu []byte) ([]byte, error) {
	canonical := true
	for b := tu; len(b) > 0; {
		o, err := cutOBU(b)
		if err != nil {
			return nil, err
		}
		canonical = canonical && o.sized && o.kept()
		b = b[o.size:]
	}
	if canonical {
		return tu, nil
	}
	dst = slices.Grow(dst[:0], len(tu)+8)
	for b := tu; len(b) > 0; {
		o, _ := cutOBU(b)
		if o.kept() {
			dst = o.append(dst)
		}
		b = b[o.size:]
	}
	return dst, nil
}

func (o obu) kept() bool {
	return o.kind != obuTemporalDelim && o.kind != obuPadding && o.kind != obuTileList
}

// NewAV1Track returns the track of an AV1 stream with this sequence header
// OBU, with or without a size field; OBUs around it are ignored. Size and frame
// rate come from it. It is copied. Errors wrap [ErrInvalid].
func NewAV1Track(id int, seqHeader []byte) (*Track, error) {
	return (&Track{ID: id, Codec: AV1}).withSequence(seqHeader)
}

// withSequence returns a copy of t configured by the sequence header in b.
func (t *Track) withSequence(b []byte) (*Track, error) {
	o, err := findSequence(b)
	if err != nil {
		return nil, err
	}
	if len(o.payload) > maxConfig {
		return nil, invalid("AV1 sequence header of %d bytes", len(o.payload))
	}
	s, err := parseSequence(o.payload)
	if err != nil {
		return nil, err
	}
	t2 := *t
	t2.Config, t2.ClockRate = o.append(s.appendAV1C(nil)), videoClock
	s.fill(&t2)
	return &t2, nil
}

// findSequence returns the first sequence header OBU in b.
func findSequence(b []byte) (obu, error) {
	for len(b) > 0 {
		o, err := cutOBU(b)
		if err != nil {
			return o, err
		}
		if o.kind == obuSequenceHeader {
			return o, nil
		}
		b = b[o.size:]
	}
	return obu{}, invalid("AV1: no sequence header")
}

// trackFromAV1 reads an AV1CodecConfigurationRecord (AV1 Codec ISO Media File
// Format Binding, 2.3.3): four bytes, then OBUs.
func trackFromAV1(id int, config []byte) (*Track, error) {
	if len(config) < 4 {
		return nil, short("av1C")
	}
	if config[0] != 0x81 {
		return nil, invalid("av1C: version %#x", config[0])
	}
	t := &Track{ID: id, Codec: AV1, ClockRate: videoClock, Config: slices.Clone(config)}
	if len(config) == 4 {
		return t, nil // the sequence header is in the frames
	}
	o, err := findSequence(config[4:])
	if err != nil {
		return nil, err
	}
	s, err := parseSequence(o.payload)
	if err != nil {
		return nil, err
	}
	s.fill(t)
	return t, nil
}
