package ps

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// A Writer writes what a Muxer makes, and the end of the program.
func TestWriter(t *testing.T) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA, Bitrate: 300_000}
	frames := s.Take(time.Second)
	var want bytes.Buffer
	for _, buffer := range []int{0, 1 << 20} {
		var b bytes.Buffer
		w := NewWriter(&b, s.Tracks())
		w.Buffer = buffer
		for i, f := range frames {
			require.NoError(t, w.WriteFrame(t.Context(), f))
			require.Equal(t, buffer == 0, b.Len() > 0, "frame %d", i)
		}
		require.NoError(t, w.Flush())
		want.Reset()
		want.Write(mux(t, s.Tracks(), frames))
		require.Equal(t, want.Bytes(), b.Bytes())
		for range 2 {
			require.NoError(t, w.Close())
		}
		require.Len(t, inspectPS(t, b.Bytes(), false).units, len(frames))
		require.Equal(t, []byte{0, 0, 1, 0xb9}, b.Bytes()[want.Len():])
		require.ErrorIs(t, w.WriteFrame(t.Context(), frames[0]), io.ErrClosedPipe)
	}
	var b bytes.Buffer
	require.NoError(t, NewWriter(&b, s.Tracks()).Close())
	require.Zero(t, b.Len(), "nothing has no end")
}
