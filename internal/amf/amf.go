// Package amf reads and writes the Action Message Format, in which RTMP
// commands and FLV script data are written: AMF0 (Adobe, 2007) both ways, AMF3
// (Adobe, 2013) in.
//
// Values are Go values:
//
//	number, AMF3 integer             float64
//	boolean                          bool
//	string, XML, AMF3 byte array     string
//	null                             nil
//	undefined                        [Undefined]
//	object, typed object             [Object]
//	ECMA array, AMF3 mixed array     [ECMAArray]
//	strict array, AMF3 dense array   []any
//	date                             time.Time
//
// What comes from a peer is bounded: 32 levels, 1024 values (each argument,
// property and element is one), 64 KiB. No count in the data sizes an
// allocation. Reading: amf0.go, amf3.go, both over decoder.go; writing: append.go.
package amf

import "errors"

// ErrInvalid is wrapped by the error of data that is not AMF, that is cut, or
// that exceeds a limit.
var ErrInvalid = errors.New("amf: invalid data")

// Undefined is the value of AMF's undefined and unsupported types.
type Undefined struct{}

// A Property is one name and value of an object.
type Property struct {
	Name  string
	Value any
}

// An Object is a list of properties in the order of the wire. The class name of
// a typed object is not kept.
type Object []Property

// An ECMAArray is an associative array: an Object with another mark on the wire.
type ECMAArray []Property

// Get returns the value of the property called name, the last one if there are
// several, or nil.
func (o Object) Get(name string) any {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].Name == name {
			return o[i].Value
		}
	}
	return nil
}

// Get returns the value of the property called name of v, which may be an
// Object, an ECMAArray or anything else; nil if there is none.
func Get(v any, name string) any {
	o, _ := ObjectOf(v)
	return o.Get(name)
}

// ObjectOf returns v, an Object or an ECMAArray, as an Object.
func ObjectOf(v any) (Object, bool) {
	switch v := v.(type) {
	case Object:
		return v, true
	case ECMAArray:
		return Object(v), true
	}
	return nil, false
}

// Number returns v if it is a number, or 1 or 0 if it is a boolean.
func Number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// String returns v if it is a string.
func String(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok
}
