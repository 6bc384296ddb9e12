package rtp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var datagramCases = []struct {
	name, wire string
	want       []string // channel and datagram
}{
	{"nothing", "", nil},
	{"one", "$\x02\x00\x03abc", []string{"\x02abc"}},
	{"two channels", "$\x02\x00\x03abc$\x03\x00\x01d", []string{"\x02abc", "\x03d"}},
	{"empty one", "$\x00\x00\x00$\x01\x00\x01d", []string{"\x00", "\x01d"}},
	{"header cut", "$\x02\x00\x01a$\x02\x00", []string{"\x02a"}},
	{"cut", "$\x02\x00\x01a$\x02\x00\x02b", []string{"\x02a"}},
}

func TestDatagrams(t *testing.T) {
	for _, c := range datagramCases {
		var got []string
		for channel, b := range Datagrams([]byte(c.wire)) {
			got = append(got, string(channel)+string(b))
			require.Equal(t, len(b), cap(b), "what follows can be overwritten")
		}
		require.Equal(t, c.want, got, c.name)
	}
	for range Datagrams([]byte("$\x02\x00\x01a$\x02\x00\x01a")) {
		break // an end is no panic
	}
}

func TestDatagramsAllocations(t *testing.T) {
	wire := []byte("$\x02\x00\x03abc$\x03\x00\x01d")
	n := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		for _, b := range Datagrams(wire) {
			n += len(b)
		}
	}))
	require.NotZero(t, n)
}

func FuzzDatagrams(f *testing.F) {
	for _, c := range datagramCases {
		f.Add([]byte(c.wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		n := 0
		for _, b := range Datagrams(wire) {
			n += frameSize + len(b)
		}
		require.LessOrEqual(t, n, len(wire))
	})
}
