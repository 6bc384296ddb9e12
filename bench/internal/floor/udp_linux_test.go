package floor

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

func TestPacketizer(t *testing.T) {
	var got []wire.Message
	track := wire.NewRTPTrack(media.TagVideo, func(m wire.Message) { got = append(got, m) })
	p := packetizer{sequence: 65535}
	body := make([]byte, 3000)
	b := p.video(nil, 1, true, body)
	b = p.video(b, 2, false, body[:1])
	var sizes []int
	for len(b) > 0 {
		n := min(packetSize, len(b))
		if len(sizes) == 2 {
			n = len(b) - 15
		}
		sizes = append(sizes, n)
		require.NoError(t, track.Packet(b[:n], n))
		b = b[n:]
	}
	require.Equal(t, []int{1400, 1400, 3000 - 2*1386 + 14, 15}, sizes)
	require.Len(t, got, 2)
	require.True(t, got[0].Key)
	require.Equal(t, 3000+2*3, got[0].Size)
	require.False(t, got[1].Key)
}

// TestUDP reads the stream as two viewers until each has some frames.
func TestUDP(t *testing.T) {
	for _, offload := range []bool{true, false} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		f := StartUDP(ln, offload)
		for range 2 {
			readUDP(t, ln.Addr().String())
		}
		bad, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		bad.Close() // without having told its ports
		readUDP(t, ln.Addr().String())
		f.Close()
	}
}

// readUDP reads some frames of video, then some of audio, as a viewer.
func readUDP(t *testing.T, addr string) {
	t.Helper()
	var ports []int
	var socks []*net.UDPConn
	for range 2 {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		socks, ports = append(socks, conn), append(ports, conn.LocalAddr().(*net.UDPAddr).Port)
	}
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, wire.AskPlain(conn, ports[0], ports[1]))
	for i, typ := range []byte{media.TagVideo, media.TagAudio} {
		var frames int
		var first, last uint32
		track := wire.NewRTPTrack(typ, func(m wire.Message) {
			require.Equal(t, typ, m.Type)
			if typ == media.TagVideo {
				var ok bool
				last, _, ok = media.ReadStamp(m.Head)
				require.True(t, ok)
				if frames == 0 {
					first = last
				}
			}
			frames++
		})
		for b := make([]byte, 2000); frames < 10; {
			n, err := socks[i].Read(b)
			require.NoError(t, err)
			require.LessOrEqual(t, n, packetSize)
			require.NoError(t, track.Packet(b[:n], n))
		}
		if typ == media.TagVideo {
			require.Equal(t, uint32(frames-1), last-first, "frames without a gap")
		}
	}
}
