package codec

import (
	"encoding/binary"
	"slices"
)

// The OBU types that are told apart (AV1, 6.2.2).
const (
	OBUSequenceHeader    = 1
	OBUTemporalDelimiter = 2
	OBUFrameHeader       = 3
	OBUFrame             = 6
	OBUTileList          = 8
	OBUPadding           = 15
)

// An OBU is an open bitstream unit (AV1, 5.3.1).
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	|F| type  |X|S|-|  X: extension byte follows, S: leb128 size follows
//	+-+-+-+-+-+-+-+-+
type OBU struct {
	Type    byte   // such as OBUSequenceHeader
	Sized   bool   // has a size field
	Header  []byte // one byte or, with extension, two
	Payload []byte
	Size    int // of all of it
}

// CutOBU reads the unit that b begins with, which it aliases. One without a size
// field reaches to the end of b. Errors wrap [ErrInvalid].
func CutOBU(b []byte) (o OBU, err error) {
	if len(b) < 1 {
		return o, short("OBU")
	}
	if b[0]&0x80 != 0 {
		return o, invalid("OBU: forbidden bit is set")
	}
	o.Type, o.Sized = b[0]>>3&15, b[0]&2 != 0
	n := 1
	if b[0]&4 != 0 {
		n = 2
	}
	if len(b) < n {
		return o, short("OBU header")
	}
	o.Header, o.Payload = b[:n], b[n:]
	if o.Sized {
		size, used, err := leb128(o.Payload)
		if err != nil {
			return o, err
		}
		if n += used; size > uint64(len(b)-n) {
			return o, short("OBU")
		}
		o.Payload = b[n:][:size]
	}
	o.Size = n + len(o.Payload)
	return o, nil
}

// append appends o with a size field.
func (o OBU) append(dst []byte) []byte {
	dst = append(dst, o.Header[0]|2)
	dst = append(dst, o.Header[1:]...)
	dst = binary.AppendUvarint(dst, uint64(len(o.Payload))) // LEB128
	return append(dst, o.Payload...)
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
		o, err := CutOBU(b)
		if err != nil {
			return nil, err
		}
		canonical = canonical && o.Sized && o.Kept()
		b = b[o.Size:]
	}
	if canonical {
		return tu, nil
	}
	dst = slices.Grow(dst[:0], len(tu)+8)
	for b := tu; len(b) > 0; {
		o, _ := CutOBU(b)
		if o.Kept() {
			dst = o.append(dst)
		}
		b = b[o.Size:]
	}
	return dst, nil
}

// Kept tells whether frame data holds units of this type.
func (o OBU) Kept() bool {
	return o.Type != OBUTemporalDelimiter && o.Type != OBUPadding && o.Type != OBUTileList
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
	if len(o.Payload) > maxConfig {
		return nil, invalid("AV1 sequence header of %d bytes", len(o.Payload))
	}
	s, err := parseSequence(o.Payload)
	if err != nil {
		return nil, err
	}
	t2 := *t
	t2.Config, t2.ClockRate = o.append(s.appendAV1C(nil)), videoClock
	s.fill(&t2)
	return &t2, nil
}

// findSequence returns the first sequence header OBU in b.
func findSequence(b []byte) (OBU, error) {
	for len(b) > 0 {
		o, err := CutOBU(b)
		if err != nil {
			return o, err
		}
		if o.Type == OBUSequenceHeader {
			return o, nil
		}
		b = b[o.Size:]
	}
	return OBU{}, invalid("AV1: no sequence header")
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
	s, err := parseSequence(o.Payload)
	if err != nil {
		return nil, err
	}
	s.fill(t)
	return t, nil
}
