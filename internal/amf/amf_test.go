package amf

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

// nested returns n levels of strict arrays, or of objects.
func nested(n int, array bool) []byte {
	if array {
		return append(bytes.Repeat([]byte{markStrictArray, 0, 0, 0, 1}, n), markNull)
	}
	b := append(bytes.Repeat([]byte{markObject, 0, 1, 'a'}, n), markNull)
	return append(b, bytes.Repeat([]byte{0, 0, markObjectEnd}, n)...)
}

// properties returns an object with n of them.
func properties(n int) []byte {
	b := []byte{markObject}
	for range n {
		b = append(b, 0, 1, 'a', markNull)
	}
	return append(b, 0, 0, markObjectEnd)
}

var cases0 = []struct {
	name string
	wire string
	want []any
	same bool // Append writes these very bytes
}{
	{"empty", "", nil, true},
	{"number", "00 3ff8000000000000", []any{1.5}, true},
	{"boolean", "01 01 01 00", []any{true, false}, true},
	{"string", "02 0003 616263", []any{"abc"}, true},
	{"null and undefined", "05 06 0d", []any{nil, Undefined{}, Undefined{}}, false},
	{"object", "03 0003 617070 02 0001 78 0000 09", []any{Object{{"app", "x"}}}, true},
	{"ECMA array", "08 00000001 0001 61 05 0000 09", []any{ECMAArray{{"a", nil}}}, true},
	{"ECMA array with a wrong count", "08 00000063 0001 61 05 0000 09", []any{ECMAArray{{"a", nil}}}, false},
	{"ECMA array without an end", "08 00000001 0001 61 05", []any{ECMAArray{{"a", nil}}}, false},
	{"strict array", "0a 00000002 05 01 01", []any{[]any{nil, true}}, true},
	{"date", "0b 4270000000000000 0000", []any{time.UnixMilli(1 << 40).UTC()}, true},
	{"long string", "0c 00000001 61", []any{"a"}, false},
	{"XML", "0f 00000001 61", []any{"a"}, false},
	{"typed object", "10 0001 54 0001 61 05 0000 09", []any{Object{{"a", nil}}}, false},
	{"reference", "03 0001 61 0a 00000000 0000 09 07 0001", []any{Object{{"a", []any{}}}, []any{}}, false},
	{"empty name", "03 0000 05 0000 09", []any{Object{{"", nil}}}, true},
	{"AMF3 in AMF0", "11 04 7f 05", []any{127.0, nil}, false},
	{"AMF3 object in AMF0", "03 0001 61 11 0a 0b 01 03 62 03 01 0000 09", []any{Object{{"a", Object{{"b", true}}}}}, false},
	{
		"connect", "02 0007 636f6e6e656374 00 3ff0000000000000 03 0003 617070 02 0004 6c697665 0000 09",
		[]any{"connect", 1.0, Object{{"app", "live"}}}, true,
	},
}

func TestUnmarshal(t *testing.T) {
	for _, c := range cases0 {
		t.Run(c.name, func(t *testing.T) {
			wire := unhex(t, c.wire)
			got, err := Unmarshal(wire)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			var again []byte
			for _, v := range got {
				again = Append(again, v)
			}
			if c.same {
				require.Equal(t, wire, append([]byte{}, again...))
			}
			back, err := Unmarshal(again)
			require.NoError(t, err)
			require.Equal(t, c.want, back)
		})
	}
}

var bad0 = []struct {
	name string
	wire []byte
}{
	{"unknown marker", []byte{0x12}},
	{"movie clip", []byte{0x04}},
	{"record set", []byte{0x0e}},
	{"object end alone", []byte{0x09}},
	{"number cut", []byte{0, 1, 2}},
	{"string cut", []byte{2, 0, 9, 'a'}},
	{"long string of 4 GiB", []byte{0x0c, 0xff, 0xff, 0xff, 0xff, 'a'}},
	{"object without end", []byte{3, 0, 1, 'a', 5}},
	{"ECMA array without end, of another count", []byte{8, 0, 0, 0, 2, 0, 1, 'a', 5}},
	{"strict array of 4 G elements", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 5}},
	{"date that is not a number", append([]byte{0x0b, 0x7f, 0xf8}, make([]byte, 8)...)},
	{"reference to nothing", []byte{7, 0, 0}},
	{"reference to itself", []byte{0x0a, 0, 0, 0, 1, 7, 0, 0}},
	{"nested arrays", nested(maxDepth+1, true)},
	{"nested objects", nested(maxDepth+1, false)},
	{"nested arrays, very deep", nested(12000, true)},
	{"too many properties", properties(maxValues)},
	{"too many values", bytes.Repeat([]byte{5}, maxValues+1)},
	{"too long", append([]byte{0x0c, 0, 1, 0, 0}, make([]byte, 1<<16)...)},
	{"references that multiply", multiply()},
	{"AMF3 cut", []byte{0x11, 0x0a}},
}

// multiply returns arrays each of which refers to the one before ten times.
func multiply() []byte {
	b := []byte{markStrictArray, 0, 0, 0, 0}
	for i := byte(0); i < 20; i++ {
		b = append(b, markStrictArray, 0, 0, 0, 10)
		b = append(b, bytes.Repeat([]byte{markReference, 0, i}, 10)...)
	}
	return b
}

func TestUnmarshalRefuses(t *testing.T) {
	for _, c := range bad0 {
		t.Run(c.name, func(t *testing.T) {
			_, err := Unmarshal(c.wire)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

func TestLimitsAreReached(t *testing.T) {
	for name, wire := range map[string][]byte{
		"depth of arrays":  nested(maxDepth, true),
		"depth of objects": nested(maxDepth, false),
		"1000 properties":  properties(1000),
	} {
		_, err := Unmarshal(wire)
		require.NoError(t, err, name)
	}
}

// A lie about a length must not cost memory.
func TestCountsDoNotAllocate(t *testing.T) {
	for _, c := range bad0 {
		if len(c.wire) > 64 {
			continue
		}
		got := testing.AllocsPerRun(10, func() { _, _ = Unmarshal(c.wire) })
		require.Less(t, got, 20.0, c.name)
	}
}

func TestCutAtEveryLength(t *testing.T) {
	whole := Append(Append(Append(nil, "onMetaData"), ECMAArray{{"a", 1}, {"b", []any{"x", true}}}), Object{{"c", nil}})
	for n := range whole {
		vs, err := Unmarshal(whole[:n])
		if err == nil { // between two values
			require.LessOrEqual(t, len(vs), 2)
			continue
		}
		require.ErrorIs(t, err, ErrInvalid)
	}
	vs, err := Unmarshal(whole[:len(whole)-5])
	require.Error(t, err)
	require.Len(t, vs, 3, "the beginning of what was cut is returned")
}

var cases3 = []struct {
	name string
	wire string
	want []any
}{
	{"simple", "00 01 02 03", []any{Undefined{}, nil, false, true}},
	{"integers", "04 00 04 7f 04 8100 04 ffff7f 04 80c08000 04 ffffffff 04 c0808000", []any{0.0, 127.0, 128.0, 2097151.0, 2097152.0, -1.0, -268435456.0}},
	{"double", "05 3ff8000000000000", []any{1.5}},
	{"strings", "06 07 616263 06 00 06 01", []any{"abc", "abc", ""}},
	{"XML and bytes", "07 03 61 0b 03 62 0c 03 63", []any{"a", "b", "c"}},
	{"date", "08 01 4270000000000000 08 00", []any{time.UnixMilli(1 << 40).UTC(), time.UnixMilli(1 << 40).UTC()}},
	{"dense array", "09 05 01 04 01 03", []any{[]any{1.0, true}}},
	{"mixed array", "09 03 03 61 03 01 02", []any{ECMAArray{{"a", true}, {"0", false}}}},
	{"object with traits", "0a 13 01 03 61 04 01", []any{Object{{"a", 1.0}}}},
	{"dynamic object", "0a 0b 01 03 61 04 01 01", []any{Object{{"a", 1.0}}}},
	{"traits again", "0a 13 01 03 61 03 0a 01 02", []any{Object{{"a", true}}, Object{{"a", false}}}},
	{"object again", "0a 13 01 03 61 03 0a 00", []any{Object{{"a", true}}, Object{{"a", true}}}},
}

func TestUnmarshal3(t *testing.T) {
	for _, c := range cases3 {
		t.Run(c.name, func(t *testing.T) {
			got, err := Unmarshal3(unhex(t, c.wire))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

var bad3 = []struct {
	name string
	wire []byte
}{
	{"vector", []byte{0x0d, 1, 0}},
	{"dictionary", []byte{0x11, 1, 0}},
	{"externalizable", []byte{0x0a, 0x07, 3, 'F'}},
	{"string of 256 MiB", []byte{6, 0xff, 0xff, 0xff, 0xff}},
	{"reference to no string", []byte{6, 0}},
	{"reference to no object", []byte{0x0a, 0}},
	{"reference to no traits", []byte{0x0a, 1}},
	{"reference to itself", []byte{9, 3, 1, 9, 0}},
	{"array of 256 M elements", []byte{9, 0xff, 0xff, 0xff, 0xff, 1, 0}},
	{"traits with 16 M names", []byte{0x0a, 0xff, 0xff, 0xff, 0xf3, 1, 3, 'a'}},
	{"integer cut", []byte{4, 0x80}},
	{"nested", bytes.Repeat([]byte{9, 3, 1}, maxDepth+1)},
	{"strings that multiply", append(append([]byte{6, 0x80 | 2000>>6, 2000<<1&0x7f | 1}, make([]byte, 2000)...), bytes.Repeat([]byte{6, 0}, 900)...)},
}

func TestUnmarshal3Refuses(t *testing.T) {
	for _, c := range bad3 {
		t.Run(c.name, func(t *testing.T) {
			_, err := Unmarshal3(c.wire)
			require.ErrorIs(t, err, ErrInvalid)
		})
	}
}

func TestAppendGoNumbers(t *testing.T) {
	for _, v := range []any{int(7), int8(7), int16(7), int32(7), int64(7), uint(7), uint8(7), uint16(7), uint32(7), uint64(7), float32(7), 7.0} {
		require.Equal(t, Append(nil, 7.0), Append(nil, v), "%T", v)
	}
	require.Equal(t, []byte{markUndefined}, Append(nil, struct{}{}))
}

func TestAppendLongString(t *testing.T) {
	s := strings.Repeat("x", math.MaxUint16+1)
	b := Append(nil, s)
	require.Equal(t, byte(markLongString), b[0])
	require.Len(t, b, 5+len(s))
}

func TestGet(t *testing.T) {
	o := Object{{"a", 1.0}, {"b", "x"}, {"a", true}}
	n, ok := Number(o.Get("a"))
	require.True(t, ok)
	require.Equal(t, 1.0, n)
	s, ok := String(Get(ECMAArray(o), "b"))
	require.True(t, ok)
	require.Equal(t, "x", s)
	require.Nil(t, Get("no object", "a"))
	_, ok = Number("1")
	require.False(t, ok)
}

// check decodes, and if that goes well, encodes and decodes again.
func check(t *testing.T, b []byte, unmarshal func([]byte) ([]any, error)) {
	vs, err := unmarshal(b)
	if err != nil {
		require.ErrorIs(t, err, ErrInvalid)
		return
	}
	var wire []byte
	for _, v := range vs {
		wire = Append(wire, v)
	}
	if len(wire) > maxBytes {
		return // AMF3 is shorter
	}
	again, err := Unmarshal(wire)
	require.NoError(t, err)
	var wire2 []byte
	for _, v := range again {
		wire2 = Append(wire2, v)
	}
	require.Equal(t, wire, wire2)
}

func FuzzAMF0(f *testing.F) {
	for _, c := range cases0 {
		f.Add(unhex(f, c.wire))
	}
	for _, c := range bad0 {
		f.Add(c.wire)
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b, Unmarshal) })
}

func FuzzAMF3(f *testing.F) {
	for _, c := range cases3 {
		f.Add(unhex(f, c.wire))
	}
	for _, c := range bad3 {
		f.Add(c.wire)
	}
	f.Fuzz(func(t *testing.T, b []byte) { check(t, b, Unmarshal3) })
}
