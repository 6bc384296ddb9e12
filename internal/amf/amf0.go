package amf

// Unmarshal decodes all AMF0 values to the end of b; the marker 0x11 switches
// to AMF3 for one value. With an error it also returns what came before it, the
// beginning of a cut object included.
func Unmarshal(b []byte) ([]any, error) {
	d := decoder0{decoder: decoder{b: b}}
	var vs []any
	for d.more() {
		d.enter(1, 0)
		vs = append(vs, d.value(1))
	}
	return vs, d.err
}

// A decoder0 decodes AMF0. refs are its complex values in the order of the wire.
type decoder0 struct {
	decoder
	refs []shared
}

// value decodes one value, which is at the given depth if it is a container.
func (d *decoder0) value(depth int) any {
	switch mark := d.u8(); mark {
	case markNumber:
		return d.double()
	case markBoolean:
		return d.u8() != 0
	case markString:
		return d.name()
	case markLongString, markXML:
		return string(d.take(uint64(d.u32())))
	case markNull:
		return nil
	case markUndefined, markUnsupported:
		return Undefined{}
	case markDate:
		t := d.date()
		d.take(2) // the time zone, reserved
		return t
	case markReference:
		return d.resolve(d.refs, uint64(d.u16()), depth)
	case markObject, markTyped, markECMAArray, markStrictArray:
		return d.container(mark, depth)
	case markAMF3:
		return d.amf3(depth)
	default:
		d.fail("marker 0x%02x", mark)
		return nil
	}
}

func (d *decoder0) name() string { return string(d.take(uint64(d.u16()))) }

// container decodes what follows the marker of an object or array and makes it
// known to references.
func (d *decoder0) container(mark byte, depth int) (v any) {
	i, from := len(d.refs), shared{values: d.values, text: d.pos}
	d.refs = append(d.refs, shared{open: true})
	d.enter(0, depth)
	switch mark {
	case markTyped:
		d.name() // of the class
		v = Object(d.properties(depth, -1))
	case markObject:
		v = Object(d.properties(depth, -1))
	case markECMAArray:
		v = ECMAArray(d.properties(depth, int64(d.u32())))
	case markStrictArray:
		v = d.elements(depth, d.u32())
	}
	d.refs[i] = shared{value: v, values: d.values - from.values, text: d.pos - from.text, depth: height(v)}
	return v
}

// properties decodes names and values up to the end marker. count is what an
// ECMA array announced, -1 elsewhere; it is a hint only (AMF 0, section 2.10),
// but some encoders leave out the end marker where the message ends after so
// many.
func (d *decoder0) properties(depth int, count int64) []Property {
	var ps []Property
	for d.err == nil {
		if int64(len(ps)) == count && d.pos == len(d.b) {
			break
		}
		name := d.name()
		if name == "" && d.pos < len(d.b) && d.b[d.pos] == markObjectEnd {
			d.u8()
			break
		}
		if d.enter(1, depth); d.err != nil {
			break
		}
		v := d.value(depth + 1)
		ps = append(ps, Property{name, v})
	}
	return ps
}

// elements decodes n values. n is not trusted: the data or the budget ends the loop.
func (d *decoder0) elements(depth int, n uint32) []any {
	vs := []any{}
	for ; n > 0 && d.err == nil; n-- {
		if d.enter(1, depth); d.err != nil {
			break
		}
		vs = append(vs, d.value(depth+1))
	}
	return vs
}

// amf3 decodes one AMF3 value. Its references are its own (AMF 0, section 3.1).
func (d *decoder0) amf3(depth int) any {
	d3 := decoder3{decoder: d.decoder}
	v := d3.value(depth)
	d.decoder = d3.decoder
	return v
}

// height returns how many levels of containers v has.
func height(v any) int {
	n := 0
	if o, ok := ObjectOf(v); ok {
		for _, p := range o {
			n = max(n, height(p.Value))
		}
		return n + 1
	}
	if a, ok := v.([]any); ok {
		for _, e := range a {
			n = max(n, height(e))
		}
		return n + 1
	}
	return 0
}
