package amf

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// The limits of what a peer may send (see the package comment).
const (
	maxDepth  = 32
	maxValues = 1024
	maxBytes  = 64 << 10
)

// A decoder is the position in a message and what is left of its budget. The
// first error sticks; from then on every read yields zeros, and loops end.
type decoder struct {
	b      []byte
	pos    int
	values int // seen so far, those in resolved references included
	text   int // bytes of strings that references repeated
	err    error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: at byte %d: %s", ErrInvalid, d.pos, fmt.Sprintf(format, args...))
	}
}

// more reports whether there is anything left to read.
func (d *decoder) more() bool { return d.err == nil && d.pos < len(d.b) }

// take returns the next n bytes, or nil after an error.
func (d *decoder) take(n uint64) []byte {
	if d.err != nil {
		return nil
	}
	if left := len(d.b) - d.pos; n > uint64(left) {
		d.fail("need %d bytes, %d are left", n, left)
		return nil
	}
	if uint64(d.pos)+uint64(d.text)+n > maxBytes {
		d.fail("longer than %d bytes", maxBytes)
		return nil
	}
	s := d.b[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return s
}

// enter accounts for n more values at the given depth.
func (d *decoder) enter(n, depth int) {
	d.values += n
	switch {
	case d.values > maxValues:
		d.fail("more than %d values", maxValues)
	case depth > maxDepth:
		d.fail("nested deeper than %d", maxDepth)
	}
}

func (d *decoder) u8() byte {
	if s := d.take(1); s != nil {
		return s[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if s := d.take(2); s != nil {
		return binary.BigEndian.Uint16(s)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if s := d.take(4); s != nil {
		return binary.BigEndian.Uint32(s)
	}
	return 0
}

func (d *decoder) double() float64 {
	if s := d.take(8); s != nil {
		return math.Float64frombits(binary.BigEndian.Uint64(s))
	}
	return 0
}

// date returns the time of the next double, milliseconds since 1970.
func (d *decoder) date() time.Time {
	ms := d.double()
	if !(math.Abs(ms) <= 8.64e15) { // the range of ECMAScript's dates; NaN is outside
		d.fail("date %v", ms)
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// A shared is a value that references may repeat, and what it costs.
type shared struct {
	value  any
	values int // its members, at all levels
	text   int // the bytes it took
	depth  int // levels below it
	open   bool
}

// resolve returns the value that a reference at depth repeats, at its full
// cost: otherwise a few hundred bytes could stand for gigabytes.
func (d *decoder) resolve(table []shared, i uint64, depth int) any {
	if d.err != nil {
		return nil
	}
	if i >= uint64(len(table)) || table[i].open {
		d.fail("reference to %d of %d objects", i, len(table))
		return nil
	}
	s := table[i]
	d.repeat(s.text)
	if d.enter(s.values, depth+s.depth); d.err != nil {
		return nil
	}
	return s.value
}

// repeat accounts for n bytes that a reference repeats.
func (d *decoder) repeat(n int) {
	if d.text += n; d.pos+d.text > maxBytes {
		d.fail("longer than %d bytes", maxBytes)
	}
}
