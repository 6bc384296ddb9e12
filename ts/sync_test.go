package ts

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// packetOf returns a packet that is marked with n and has no other sync byte.
func packetOf(n byte) []byte { return append([]byte{syncByte}, bytes.Repeat([]byte{n}, 187)...) }

var syncCases = []struct {
	name string
	in   []byte
	want string // the marks of the packets, in whole
}{
	{"nothing", nil, ""},
	{"no packet", bytes.Repeat([]byte{1}, 5000), ""},
	{"one", packetOf('a'), "a"},
	{"two", slices.Concat(packetOf('a'), packetOf('b')), "ab"},
	{"the last one cut", slices.Concat(packetOf('a'), packetOf('b'), packetOf('c'), packetOf('d')[:100]), "abc"},
	{"the first one cut", slices.Concat(packetOf('a')[100:], packetOf('b'), packetOf('c'), packetOf('d')), "bcd"},
	{"a sync byte before", slices.Concat([]byte{syncByte, 0}, packetOf('a'), packetOf('b'), packetOf('c')), "abc"},
	{"sync bytes alone", bytes.Repeat([]byte{syncByte}, 188*3), "GGG"},
	{"a sync byte damaged", slices.Concat(packetOf('a'), packetOf('b'), packetOf('c'), make([]byte, 188), packetOf('d'), packetOf('e')), "abcde"},
	{"bytes between", slices.Concat(packetOf('a'), packetOf('b'), packetOf('c'), []byte{1, 2, 3}, packetOf('d'), packetOf('e'), packetOf('f')), "abdef"},
}

func TestSync(t *testing.T) {
	for _, c := range syncCases {
		var s synchronizer
		var got []byte
		take := func(p []byte) {
			require.Len(t, p, PacketSize)
			got = append(got, p[1])
		}
		s.add(c.in, take)
		s.flush(take)
		require.Equal(t, c.want, string(got), c.name)
	}
}

// Without damage the pieces do not matter.
func TestSyncPieces(t *testing.T) {
	var in []byte
	for i := range 20 {
		in = append(in, packetOf(byte('a'+i))...)
	}
	for n := 1; n < 800; n++ {
		var s synchronizer
		var got []byte
		take := func(p []byte) { got = append(got, p[1]) }
		for piece := range slices.Chunk(in, n) {
			s.add(piece, take)
		}
		require.Equal(t, "abcdefghijklmnopqrst", string(got), n)
		require.Empty(t, s.rest)
	}
}
