package amf

import "strconv"

// AMF3 markers (AMF 3, section 3.1). Vectors and dictionaries, which no RTMP or
// FLV software is known to send, are refused.
const (
	mark3Undefined = 0x00
	mark3Null      = 0x01
	mark3False     = 0x02
	mark3True      = 0x03
	mark3Integer   = 0x04
	mark3Double    = 0x05
	mark3String    = 0x06
	mark3XMLDoc    = 0x07
	mark3Date      = 0x08
	mark3Array     = 0x09
	mark3Object    = 0x0a
	mark3XML       = 0x0b
	mark3ByteArray = 0x0c
)

// Unmarshal3 decodes all AMF3 values to the end of b. With an error it also
// returns what came before it, the beginning of a cut object included.
func Unmarshal3(b []byte) ([]any, error) {
	d := decoder3{decoder: decoder{b: b}}
	var vs []any
	for d.more() {
		d.enter(1, 0)
		vs = append(vs, d.value(1))
	}
	return vs, d.err
}

// A decoder3 decodes AMF3. Its tables hold what references may repeat: strings,
// complex values, and the traits (the property names) of classes.
type decoder3 struct {
	decoder
	strings []string
	objects []shared
	traits  []traits
}

type traits struct {
	names   []string
	dynamic bool
}

// u29 decodes an integer of 1 to 4 bytes (AMF 3, section 1.3.1): 7 bits each,
// the high bit says that another follows, the fourth byte holds 8.
func (d *decoder3) u29() uint32 {
	var n uint32
	for range 3 {
		b := d.u8()
		n = n<<7 | uint32(b&0x7f)
		if b < 0x80 {
			return n
		}
	}
	return n<<8 | uint32(d.u8())
}

// value decodes one value, which is at the given depth if it is a container.
func (d *decoder3) value(depth int) any {
	switch mark := d.u8(); mark {
	case mark3Undefined:
		return Undefined{}
	case mark3Null:
		return nil
	case mark3False:
		return false
	case mark3True:
		return true
	case mark3Integer:
		return float64(int32(d.u29()<<3) >> 3)
	case mark3Double:
		return d.double()
	case mark3String:
		return d.string()
	case mark3XMLDoc, mark3XML, mark3ByteArray, mark3Date, mark3Array, mark3Object:
		return d.complex(mark, depth)
	default:
		d.fail("AMF3 marker 0x%02x", mark)
		return nil
	}
}

// string decodes a string or the reference to one. The empty string is not
// referred to.
func (d *decoder3) string() string {
	n := d.u29()
	if n&1 == 0 {
		if i := n >> 1; d.err == nil && uint64(i) < uint64(len(d.strings)) {
			d.repeat(len(d.strings[i]))
			return d.strings[i]
		}
		d.fail("reference to string %d of %d", n>>1, len(d.strings))
		return ""
	}
	s := string(d.take(uint64(n >> 1)))
	if s != "" {
		d.strings = append(d.strings, s)
	}
	return s
}

// complex decodes what follows the marker of a value that has a place in the
// table of objects, or that is a reference into it.
func (d *decoder3) complex(mark byte, depth int) (v any) {
	n := d.u29()
	if n&1 == 0 {
		return d.resolve(d.objects, uint64(n>>1), depth)
	}
	i, from := len(d.objects), shared{values: d.values, text: d.pos + d.text}
	d.objects = append(d.objects, shared{open: true})
	switch mark {
	case mark3Date:
		v = d.date()
	case mark3Array:
		d.enter(0, depth)
		v = d.array(depth, n>>1)
	case mark3Object:
		d.enter(0, depth)
		v = d.object(depth, n)
	default:
		v = string(d.take(uint64(n >> 1)))
	}
	d.objects[i] = shared{value: v, values: d.values - from.values, text: d.pos + d.text - from.text, depth: height(v)}
	return v
}

// array decodes an array of n elements. One that has named members too becomes
// an ECMAArray, in which the elements are named 0, 1, 2 ….
func (d *decoder3) array(depth int, n uint32) any {
	named := ECMAArray(d.pairs(nil, depth))
	vs := []any{}
	for ; n > 0 && d.err == nil; n-- {
		if d.enter(1, depth); d.err != nil {
			break
		}
		vs = append(vs, d.value(depth+1))
	}
	if named == nil {
		return vs
	}
	for i, v := range vs {
		named = append(named, Property{strconv.Itoa(i), v})
	}
	return named
}

// object decodes an object whose first integer was n: bit 1 clear means known
// traits, bit 2 an externalizable class (nobody but its author knows its form),
// bit 3 that named members follow, the rest is the number of names.
func (d *decoder3) object(depth int, n uint32) Object {
	var t traits
	switch {
	case n&2 == 0:
		i := uint64(n >> 2)
		if i >= uint64(len(d.traits)) {
			d.fail("reference to traits %d of %d", i, len(d.traits))
			return nil
		}
		t = d.traits[i]
	case n&4 != 0:
		d.fail("externalizable class %q", d.string())
		return nil
	default:
		t.dynamic = n&8 != 0
		d.string() // the class
		for k := n >> 4; k > 0 && d.err == nil; k-- {
			d.enter(1, depth)
			t.names = append(t.names, d.string())
		}
		d.traits = append(d.traits, t)
	}
	var ps []Property
	for _, name := range t.names {
		if d.enter(1, depth); d.err != nil {
			break
		}
		d.repeat(len(name))
		ps = append(ps, Property{name, d.value(depth + 1)})
	}
	if t.dynamic {
		ps = d.pairs(ps, depth)
	}
	return ps
}

// pairs appends names and values up to the empty name.
func (d *decoder3) pairs(ps []Property, depth int) []Property {
	for d.err == nil {
		name := d.string()
		if name == "" {
			break
		}
		if d.enter(1, depth); d.err != nil {
			break
		}
		ps = append(ps, Property{name, d.value(depth + 1)})
	}
	return ps
}
