package amf

import (
	"encoding/binary"
	"math"
	"time"
)

// AMF0 markers (AMF 0, section 2.1).
const (
	markNumber      = 0x00
	markBoolean     = 0x01
	markString      = 0x02
	markObject      = 0x03
	markNull        = 0x05
	markUndefined   = 0x06
	markReference   = 0x07
	markECMAArray   = 0x08
	markObjectEnd   = 0x09
	markStrictArray = 0x0a
	markDate        = 0x0b
	markLongString  = 0x0c
	markUnsupported = 0x0d
	markXML         = 0x0f
	markTyped       = 0x10
	markAMF3        = 0x11
)

// Append appends v in AMF0. Go integers and float32 are written as numbers; a
// value of a type that the package does not know is written as undefined.
func Append(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, markNull)
	case bool:
		if v {
			return append(dst, markBoolean, 1)
		}
		return append(dst, markBoolean, 0)
	case string:
		return appendString(dst, v)
	case Object:
		dst = appendProperties(append(dst, markObject), v)
		return append(dst, 0, 0, markObjectEnd)
	case ECMAArray:
		dst = binary.BigEndian.AppendUint32(append(dst, markECMAArray), uint32(len(v)))
		dst = appendProperties(dst, v)
		return append(dst, 0, 0, markObjectEnd)
	case []any:
		dst = binary.BigEndian.AppendUint32(append(dst, markStrictArray), uint32(len(v)))
		for _, e := range v {
			dst = Append(dst, e)
		}
		return dst
	case time.Time:
		dst = appendDouble(append(dst, markDate), float64(v.UnixMilli()))
		return append(dst, 0, 0) // the time zone, reserved (AMF 0, section 2.13)
	}
	if n, ok := number(v); ok {
		return appendDouble(append(dst, markNumber), n)
	}
	return append(dst, markUndefined)
}

// number returns v as a number if it is one of Go's.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	case int:
		return float64(v), true
	case int8:
		return float64(v), true
	case int16:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint:
		return float64(v), true
	case uint8:
		return float64(v), true
	case uint16:
		return float64(v), true
	case uint32:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}

func appendDouble(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendString(dst []byte, s string) []byte {
	if len(s) > math.MaxUint16 {
		dst = binary.BigEndian.AppendUint32(append(dst, markLongString), uint32(len(s)))
		return append(dst, s...)
	}
	return appendName(append(dst, markString), s)
}

// appendName appends s with a 16-bit length, cut to what that can tell.
func appendName(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendProperties(dst []byte, ps []Property) []byte {
	for _, p := range ps {
		dst = Append(appendName(dst, p.Name), p.Value)
	}
	return dst
}
