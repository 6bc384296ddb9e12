package codec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReady(t *testing.T) {
	for _, c := range []struct {
		t    Track
		want bool
	}{
		{Track{Codec: H264}, false},
		{Track{Codec: H265}, false},
		{Track{Codec: AAC}, false},
		{Track{Codec: AAC, Config: []byte{0x11, 0x90}}, true},
		{Track{Codec: AV1}, false},
		{Track{Codec: AV1, Config: []byte{0x81, 0, 0, 0}}, true},
		{Track{Codec: AC3}, false},
		{Track{Codec: MP3}, false},
		{Track{Codec: MP2, SampleRate: 48000}, true},
		{Track{Codec: VP8}, true},
		{Track{Codec: VP9}, true},
		{Track{Codec: MJPEG}, true},
		{Track{Codec: PCMA}, true},
		{Track{Codec: G729}, true},
		{Track{Codec: AAC, Wire: "rtp"}, true},
		{Track{Codec: Opaque, Wire: "ts"}, true},
	} {
		require.Equal(t, c.want, c.t.Ready(), "%v of wire %q", c.t.Codec, c.t.Wire)
	}
}
