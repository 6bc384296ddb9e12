package floor

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/udp"
)

// TestIngest: what is missing is noticed, packets that travel together are counted
// one by one.
func TestIngest(t *testing.T) {
	for _, sockets := range []int{1, 3} {
		in, err := StartIngest(sockets)
		require.NoError(t, err)
		require.Len(t, in.Addrs(), sockets)
		pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(t, err)
		conn := udp.NewConn(pc)
		var want Ingested
		for i, to := range in.Addrs() {
			for ssrc := range uint32(2) {
				s := rtptest.Sender{SSRC: 10*uint32(i) + ssrc, Sequence: 65530}
				send(t, conn, to, s.Packets(rtptest.Unit{Data: make([]byte, 20_000)}))
				s.Sequence += 3
				send(t, conn, to, s.Packets(rtptest.Unit{Data: make([]byte, 1000)}))
				want.Streams++
				want.Packets += 16
				want.Lost += 3
			}
			send(t, conn, to, [][]byte{{}, {1, 2, 3}})
		}
		require.Eventually(t, func() bool { return in.Stats().Packets == want.Packets }, 10*time.Second, time.Millisecond)
		got := in.Stats()
		require.Positive(t, got.Buffer)
		got.Buffer = 0
		require.Equal(t, want, got)
		require.NoError(t, conn.Close())
		in.Close()
	}
}

func send(t *testing.T, conn *udp.Conn, to netip.AddrPort, packets [][]byte) {
	var b udp.Burst
	for _, p := range packets {
		b.Add(p)
	}
	_, err := conn.Send(&b, to)
	require.NoError(t, err)
}
