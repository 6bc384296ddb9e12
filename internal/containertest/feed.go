package containertest

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// RequireFramed fails if p has not the same bytes for WebSocket, in the same
// memory, which is as large as it must be.
func RequireFramed(t *testing.T, p *source.Packet) {
	t.Helper()
	b := p.Framed
	require.Equal(t, byte(0x82), b[0], "final, binary")
	n, head := uint64(b[1]), 2
	switch n {
	case 126:
		n, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		n, head = binary.BigEndian.Uint64(b[2:]), 10
	}
	require.Equal(t, uint64(len(b)-head), n)
	require.Equal(t, p.Wire, b[head:])
	require.Same(t, &p.Wire[0], &b[head], "one memory")
	require.Equal(t, cap(b), len(b), "one allocation")
}

// BenchmarkFeed muxes a stream of H.264 and AAC.
func BenchmarkFeed(b *testing.B, format source.Format) {
	s := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
	frames := s.Take(2 * time.Second)
	mux, err := format.New(s.Tracks())
	require.NoError(b, err)
	var packets []source.Packet
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		packets, _ = mux.Append(packets[:0], frames[i%len(frames)])
	}
}
