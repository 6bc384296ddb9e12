package pes

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

var opusCases = []struct {
	name string
	wire []byte
	opus []byte // nil: invalid
	rest []byte
}{
	{"plain", []byte{0x7f, 0xe0, 2, 'a', 'b', 'c'}, []byte("ab"), []byte("c")},
	{"255 bytes", append([]byte{0x7f, 0xe0, 255, 0}, bytes.Repeat([]byte{1}, 255)...), bytes.Repeat([]byte{1}, 255), []byte{}},
	{"trimmed at both ends", []byte{0x7f, 0xf8, 1, 0, 1, 0, 2, 'a'}, []byte("a"), []byte{}},
	{"extension", []byte{0x7f, 0xe4, 1, 2, 9, 9, 'a'}, []byte("a"), []byte{}},
	{"all flags", []byte{0x7f, 0xfc, 1, 0, 1, 0, 2, 1, 9, 'a'}, []byte("a"), []byte{}},
	{"empty packet", []byte{0x7f, 0xe0, 0, 'a'}, []byte{}, []byte("a")},
	{"no prefix", []byte{0x7f, 0xc0, 1, 'a'}, nil, nil},
	{"too short", []byte{0x7f, 0xe0}, nil, nil},
	{"size cut", []byte{0x7f, 0xe0, 255}, nil, nil},
	{"packet cut", []byte{0x7f, 0xe0, 2, 'a'}, nil, nil},
	{"extension cut", []byte{0x7f, 0xe4, 1}, nil, nil},
	{"extension beyond the end", []byte{0x7f, 0xe4, 1, 200, 'a'}, nil, nil},
	{"trim cut", []byte{0x7f, 0xf8, 0, 0, 1, 0}, nil, nil},
}

func TestCutOpus(t *testing.T) {
	for _, c := range opusCases {
		opus, rest, ok := cutOpus(c.wire)
		require.Equal(t, c.opus != nil, ok, c.name)
		if ok {
			require.Equal(t, c.opus, opus, c.name)
			require.Equal(t, c.rest, rest, c.name)
		}
	}
	for _, n := range []int{0, 1, 254, 255, 256, 509, 510, 511, 1275, 5000} {
		b := append(AppendOpusControl(nil, n), make([]byte, n)...)
		require.Len(t, b, OpusControlLen(n)+n)
		opus, rest, ok := cutOpus(b)
		require.True(t, ok)
		require.Len(t, opus, n)
		require.Empty(t, rest)
	}
}

func FuzzCutOpus(f *testing.F) {
	for _, c := range opusCases {
		f.Add(c.wire)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if opus, rest, ok := cutOpus(b); ok {
			require.LessOrEqual(t, 3+len(opus)+len(rest), len(b))
		}
	})
}

func TestOpusChannels(t *testing.T) {
	for _, c := range []struct {
		code []byte
		want int
	}{{[]byte{0}, 2}, {[]byte{1}, 1}, {[]byte{8}, 8}, {[]byte{9}, 0}, {[]byte{0x80}, 2}, {[]byte{0x81, 3}, 3}, {[]byte{0x81}, 0}, {[]byte{0x82}, 1}, {[]byte{0x88}, 7}, {[]byte{0xff}, 0}} {
		require.Equal(t, c.want, opusChannels(c.code), "% x", c.code)
	}
}
