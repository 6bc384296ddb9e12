package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeyPayload(t *testing.T) {
	for _, c := range []struct {
		payload string
		want    bool
	}{
		{"\x65\x88", true},
		{"\x41\x88", false},
		{"\x7c\x85x", true},
		{"\x7c\x05x", true},
		{"\x7c\x81x", false},
		{"\x18\x00\x02\x67x\x00\x01\x68\x00\x02\x65x", true},
		{"\x18\x00\x02\x67x\x00\x01\x68", false},
		{"\x18\xff\xff\x67\x65\x65\x65", false}, // longer than the packet
		{"\x18\x00", false},
		{"\x65", false},
		{"", false},
	} {
		require.Equal(t, c.want, keyPayload([]byte(c.payload)), "% x", c.payload)
	}
}

// TestRTPTrackAudio has packets that are no key frames whatever they look like.
func TestRTPTrackAudio(t *testing.T) {
	var got []Message
	track := NewRTPTrack(typeAudio, func(m Message) { got = append(got, m) })
	p := appendRTP(nil, 0, true, 1, 2, []byte{0x65, 0x88})[4:]
	require.NoError(t, track.Packet(p, len(p)))
	require.Len(t, got, 1)
	require.False(t, got[0].Key)
	require.Equal(t, byte(typeAudio), got[0].Type)
	require.Error(t, track.Packet(p[:11], 11))
}
