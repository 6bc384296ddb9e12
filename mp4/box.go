package mp4

import "encoding/binary"

// Lengths of what boxes begin with (ISO/IEC 14496-12, 4.2).
const (
	boxHeader  = 8  // size in 32 bits, type
	bigHeader  = 16 // with a size in 64 bits behind the type
	fullHeader = 4  // of a FullBox, behind that: version in 8 bits, flags in 24
)

// maxPosition bounds sizes, positions and times of a stream, so that sums of a few
// cannot overflow.
const maxPosition = 1 << 60

// appendBox appends a box whose content body appends.
func appendBox(b []byte, name string, body func(b []byte) []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, name...)
	b = body(b)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// appendFullBox appends a FullBox whose content body appends, if it has any.
func appendFullBox(b []byte, name string, version byte, flags uint32, body func(b []byte) []byte) []byte {
	return appendBox(b, name, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, uint32(version)<<24|flags)
		if body == nil {
			return b
		}
		return body(b)
	})
}

// appendZeros appends n bytes that are reserved, or have no meaning here.
func appendZeros(b []byte, n int) []byte { return append(b, make([]byte, n)...) }

// appendUint16s appends numbers of 16 bits.
func appendUint16s(b []byte, vs ...uint16) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

// appendUint32s appends numbers of 32 bits.
func appendUint32s(b []byte, vs ...uint32) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// A boxType is the four characters of a type, as a number.
type boxType uint32

// String returns the characters, or what stands for those that are none.
func (t boxType) String() string {
	b := binary.BigEndian.AppendUint32(nil, uint32(t))
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// typeOf returns the type with these four characters.
func typeOf(name string) boxType { return boxType(binary.BigEndian.Uint32([]byte(name))) }

// parseHeader reads the header that b begins with: how long it is itself and
// how long the box, header included; 0 if the box lasts to the end of the file.
// It returns n = 0 if b is too short to tell.
//
//	4 bytes: size; 4 bytes: type; 8 bytes if the size is 1: the size
func parseHeader(b []byte) (t boxType, n int, size int64, err error) {
	if len(b) < boxHeader {
		return 0, 0, 0, nil
	}
	t = boxType(binary.BigEndian.Uint32(b[4:]))
	n, size = boxHeader, int64(binary.BigEndian.Uint32(b))
	if size == 1 {
		if len(b) < bigHeader {
			return t, 0, 0, nil
		}
		big := binary.BigEndian.Uint64(b[boxHeader:])
		if big > maxPosition {
			return t, 0, 0, invalid("%v box of %d bytes", t, big)
		}
		n, size = bigHeader, int64(big)
	}
	if size < int64(n) && (size != 0 || n == bigHeader) {
		return t, 0, 0, invalid("%v box of %d bytes", t, size)
	}
	return t, n, size, nil
}

// A box is one that lies within another, with its content.
type box struct {
	kind boxType
	body []byte
}

// cutBox reads the box that b, the rest of another's content, begins with. One
// that exceeds it is an error.
func cutBox(b []byte) (x box, rest []byte, err error) {
	t, n, size, err := parseHeader(b)
	switch {
	case err != nil:
		return x, nil, err
	case n == 0:
		return x, nil, short("box header")
	case size == 0:
		return x, nil, invalid("%v box without a size in another", t)
	case size > int64(len(b)):
		return x, nil, short(t.String() + " box")
	}
	return box{t, b[n:size]}, b[size:], nil
}

// eachBox calls f for each box in b, the content of another. Zeros at the end
// that are too few for a box, as QuickTime writes them, are skipped.
func eachBox(b []byte, f func(x box) error) error {
	for len(b) >= boxHeader {
		x, rest, err := cutBox(b)
		if err != nil {
			return err
		}
		if err := f(x); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// A fields reads the content of a box in its order. Reading past the end yields
// zeros and sets over; parsers ask once, at the end.
type fields struct {
	b    []byte
	over bool
}

// take returns the next n bytes.
func (r *fields) take(n int) []byte {
	if n > len(r.b) {
		r.over, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *fields) skip(n int) { r.take(n) }

func (r *fields) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *fields) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *fields) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *fields) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// full reads the version and the flags of a FullBox.
func (r *fields) full() (version uint8, flags uint32) {
	v := r.u32()
	return uint8(v >> 24), v & 0xffffff
}

// number reads a value that has 64 bits in versions above 0, else 32.
func (r *fields) number(version uint8) uint64 {
	if version == 0 {
		return uint64(r.u32())
	}
	return r.u64()
}
