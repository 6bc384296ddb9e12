package ps

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// FuzzMuxer writes frames of all kinds of tracks, whose lengths, times and flags are
// the fuzzer's: what comes out is always a program stream. Four bytes are a frame.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte("\x00\x01\x01\x10" + "\x03\x00\x01\x10" + "\x00\x00\x28\x30"))
	f.Add([]byte("\x01\x03\xff\xff" + "\x82\x00\x80\x01" + "\x47\x01\x00\xff"))
	f.Add(bytes.Repeat([]byte("\x05\x01\x20\x08"), 60))
	tracks := []*codec.Track{
		testmedia.Track(0, codec.H264), testmedia.Track(1, codec.H265), {ID: 2, Codec: codec.MPEG2Video},
		testmedia.Track(3, codec.AAC), testmedia.Track(4, codec.Opus), testmedia.Track(5, codec.PCMA),
		{ID: 6, Wire: "pes", Name: "0x06", Params: "bd"}, {ID: 2, Codec: codec.VP8},
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewMuxer(nil)
		var out []byte
		var at time.Duration
		written := 0
		for ; len(b) >= 4 && len(out) < 1<<20; b = b[4:] {
			track := *tracks[b[0]&7]
			if b[0]&0x80 != 0 { // another with the same ID
				track.Codec, track.Config = codec.PCMU, nil
				track.SampleRate, track.Channels = 8000, 1
			}
			at += time.Duration(int8(b[2])) * 10 * time.Millisecond
			f := &codec.Frame{
				Track: &track, DTS: at, PTS: at + time.Duration(b[0]&0x40)*time.Millisecond,
				Flags: codec.Flags(b[1]), Data: make([]byte, int(b[3])*int(b[3])+int(b[1])),
			}
			before := len(out)
			var err error
			if out, err = m.Append(out, f); err != nil {
				require.ErrorIs(t, err, ErrInvalid)
			}
			if len(out) > before {
				written++
			}
		}
		require.Len(t, inspectPS(t, out, true).units, written)
	})
}
