package rtmp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var clockCases = []struct {
	name   string
	stamps []uint32
	want   []int64 // ms
}{
	{"steady", []uint32{0, 40, 80}, []int64{0, 40, 80}},
	{"starts late", []uint32{5000, 5040}, []int64{5000, 5040}},
	{"backwards a little", []uint32{5000, 4980, 5020}, []int64{5000, 4980, 5020}},
	{"2^24 with extended timestamps", []uint32{0xfffff0, 0x1000010}, []int64{0xfffff0, 0x1000010}},
	{"2^32", []uint32{0xfffffff0, 0x10, 0x20}, []int64{0xfffffff0, 0x100000010, 0x100000020}},
	{"2^32, late audio", []uint32{0xfffffff0, 0x10, 0xfffffff8, 0x20}, []int64{0xfffffff0, 0x100000010, 0xfffffff8, 0x100000020}},
	{"2^24 without extended timestamps", []uint32{0xfffff0, 0x10, 0x20}, []int64{0xfffff0, 0x1000010, 0x1000020}},
	{"2^24 without, late audio", []uint32{0xfffff0, 0x10, 0xfffff8, 0x20}, []int64{0xfffff0, 0x1000010, 0xfffff8, 0x1000020}},
	{"2^24 without, twice", []uint32{0xfffff0, 0x10, 0x600000, 0xb00000, 0xfffff0, 0x10}, []int64{0xfffff0, 0x1000010, 0x1600000, 0x1b00000, 0x1fffff0, 0x2000010}},
	{"a new start near 2^24, then extended timestamps", []uint32{0xfffff0, 0x10, 0x1000020}, []int64{0xfffff0, 0x1000010, 0x2000020}},
	{"a new start", []uint32{7_200_000, 0, 40}, []int64{7_200_000, 0, 40}},
	{"an hour ahead", []uint32{0, 3_600_000}, []int64{0, 3_600_000}},
}

func TestClock(t *testing.T) {
	for _, c := range clockCases {
		t.Run(c.name, func(t *testing.T) {
			var k clock
			var got []int64
			for _, s := range c.stamps {
				got = append(got, k.unwrap(s).Milliseconds())
			}
			require.Equal(t, c.want, got)
		})
	}
}
