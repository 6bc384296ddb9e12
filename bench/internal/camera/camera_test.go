package camera

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestUnits: two seconds of packets are one stream of the right rate, whoever it is
// sent as.
func TestUnits(t *testing.T) {
	const pictures, keep = 2 * media.FrameRate, 5
	s, err := newUnits(keep)
	require.NoError(t, err)
	var stream []byte
	sequence, bytes, frames := uint16(0), 0, 0
	for n := range pictures {
		u, err := s.get(n)
		require.NoError(t, err)
		again, err := s.get(n)
		require.NoError(t, err)
		require.Same(t, u, again)
		if n >= keep-1 {
			before, err := s.get(n - keep + 1)
			require.NoError(t, err)
			require.NotSame(t, u, before)
		}
		u.address(0x1234 + uint32(n))
		for _, p := range u.packets {
			require.EqualValues(t, 0x80, p[0])
			require.EqualValues(t, 96, p[1]&0x7f)
			require.Equal(t, sequence, binary.BigEndian.Uint16(p[2:]))
			require.EqualValues(t, 0x1234+n, binary.BigEndian.Uint32(p[8:]))
			sequence++
			stream = append(stream, p[12:]...)
		}
		bytes += u.burst.Bytes()
		frames += u.frames
	}
	require.InDelta(t, 2*media.ByteRate, bytes, 0.05*2*media.ByteRate)
	packs, err := rtptest.CutPS(stream)
	require.NoError(t, err)
	require.Len(t, packs, frames)
	require.Equal(t, []byte{0, 0, 1, 0xba}, stream[:4])
}

// TestCameras: each camera's stream goes to its receiver.
func TestCameras(t *testing.T) {
	for _, single := range []bool{false, true} {
		ports := &udp.Ports{Min: 45000, Max: 45999}
		a := Args{N: 3, Singles: single}
		var receivers []*udp.Conn
		for range a.N {
			rtp, rtcp, err := ports.Pair(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
			require.NoError(t, err)
			defer rtp.Close()
			defer rtcp.Close()
			rtp.SetReadBuffer(4 << 20)
			receivers = append(receivers, rtp)
			a.Addrs = append(a.Addrs, rtp.LocalAddr())
		}
		c, err := Start(a, ports)
		require.NoError(t, err)
		var b udp.Batch
		read := uint64(0)
		for i, r := range receivers {
			for n := 0; n < 20; n += b.Len() {
				require.NoError(t, r.ReadBatch(&b))
				read += uint64(b.Len())
				for k := range b.Len() {
					p, _ := b.Datagram(k)
					require.Equal(t, uint32(FirstSSRC+i), binary.BigEndian.Uint32(p[8:]))
				}
			}
		}
		c.Stop()
		sent, err := c.Sent()
		require.NoError(t, err)
		require.GreaterOrEqual(t, sent.Packets, read)
		require.Positive(t, sent.Frames)
		require.Positive(t, sent.Bytes)
		require.Zero(t, sent.Dropped)
		require.Equal(t, a.N, ports.Open(), "ports of cameras are left")
	}
}
