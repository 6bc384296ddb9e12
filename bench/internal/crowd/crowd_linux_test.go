package crowd

import (
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mediakit-go/mediakit/bench/internal/media"
	"github.com/mediakit-go/mediakit/bench/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probeMessage is a video frame with a stamp.
func probeMessage(s *media.Stream, seq uint32, sent int64) wire.Message {
	p := s.Next()
	for p.Type != media.TagVideo {
		p = s.Next()
	}
	media.Stamp(p.Body, seq, sent)
	return wire.Message{Type: media.TagVideo, Key: p.Key, Size: len(p.Body), Head: p.Body[:wire.HeadSize]}
}

func TestProbe(t *testing.T) {
	const ms = int64(time.Millisecond)
	var s media.Stream
	p := &probe{usual: 40 * time.Millisecond}
	p.video(wire.Message{Type: media.TagVideo, Head: []byte{0x17, 0}}, 1*ms) // configuration
	require.Zero(t, p.firstKey)
	p.video(probeMessage(&s, 7, 0), 50*ms) // old: the join replay does not count
	require.Equal(t, 50*ms, p.firstKey)
	p.begin()
	p.video(probeMessage(&s, 8, 88*ms), 90*ms)
	p.video(probeMessage(&s, 9, 128*ms), 131*ms)
	p.video(probeMessage(&s, 12, 240*ms), 400*ms)
	require.Equal(t, []time.Duration{2e6, 3e6, 160e6}, p.latencies)
	require.Equal(t, 2, p.missed)
	require.Equal(t, 1, p.stalls)
	p.end(600 * ms)
	require.Equal(t, 1, p.stalls)
	p.video(probeMessage(&s, 20, 0), 5000*ms)
	require.Equal(t, 2, p.missed)

	p.begin()
	require.Zero(t, p.missed)
	p.end(6000 * ms)
	require.Equal(t, 1, p.stalls, "nothing came for a second")
}

// TestCrowd attaches viewers to a server that writes what it is told to.
func TestCrowd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	const viewers = 20
	var accepted sync.WaitGroup
	conns := make([]net.Conn, viewers)
	accepted.Go(func() {
		for i := range conns {
			conns[i], _ = ln.Accept()
		}
	})

	c, err := New()
	require.NoError(t, err)
	defer c.Close()
	target := Target{Protocol: Plain, Addr: ln.Addr().String(), Usual: 40 * time.Millisecond}
	require.NoError(t, c.Attach(target, viewers, 3, 4))
	accepted.Wait()
	require.Len(t, c.probes.viewers, 3)
	require.Len(t, c.bulk.viewers, viewers-3)

	require.NoError(t, c.Begin(os.Getpid()))
	var s media.Stream
	var b []byte
	for range 40 {
		p := s.Next()
		b = wire.AppendTag(b, p.Type, p.DTS, p.Body)
	}
	for i, conn := range conns {
		require.NotNil(t, conn)
		n := len(b)
		if i == 5 {
			n /= 2
		}
		_, err := conn.Write(b[:n])
		require.NoError(t, err)
	}
	conns[9].Close()
	want := uint64((viewers-1)*len(b) + len(b)/2)
	require.Eventually(t, func() bool {
		var n uint64
		for _, v := range c.counts() {
			n += v
		}
		gone := 0
		for _, l := range []*loop{c.bulk, c.probes} {
			for _, v := range l.viewers {
				if v.gone.Load() {
					gone++
				}
			}
		}
		return n >= want && gone == 1
	}, 10*time.Second, time.Millisecond)

	r, err := c.End(os.Getpid(), func(time.Duration) uint64 { return uint64(len(b)) })
	require.NoError(t, err)
	require.Equal(t, viewers, r.Viewers)
	require.Equal(t, want, r.Bytes)
	require.Equal(t, uint64(len(b)/2), r.Least)
	require.Equal(t, 1, r.Behind)
	require.Equal(t, 1, r.Gone)
	require.Equal(t, 3, r.Probes)
	require.Zero(t, r.NoKey)
	require.Zero(t, r.Missed)
	require.Positive(t, r.JoinP50)
	require.Positive(t, r.CPU)
	for _, conn := range conns {
		conn.Close()
	}
}

// TestCrowdByUDP attaches viewers to a server that sends what it is told to.
func TestCrowdByUDP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	const viewers = 6
	var accepted sync.WaitGroup
	var socks [][2]*net.UDPConn
	accepted.Go(func() {
		for range viewers {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			video, audio, err := wire.ReadPlain(conn)
			if err != nil {
				return
			}
			var s [2]*net.UDPConn
			for i, port := range []int{video, audio} {
				s[i], _ = net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			}
			socks = append(socks, s)
		}
	})

	c, err := New()
	require.NoError(t, err)
	defer c.Close()
	target := Target{Protocol: PlainUDP, Addr: ln.Addr().String(), Usual: 40 * time.Millisecond}
	require.NoError(t, c.Attach(target, viewers, 2, 1))
	accepted.Wait()
	require.Len(t, socks, viewers)
	require.NoError(t, c.Begin(os.Getpid()))

	// Each frame has two packets; one viewer misses one of them.
	var s media.Stream
	const frames = 20
	var want int
	for i, sock := range socks {
		for n := range frames {
			p := s.Next()
			for p.Type != media.TagVideo {
				p = s.Next()
			}
			media.Stamp(p.Body, uint32(n), 0)
			for j, b := range [][]byte{rtpPacket(2*n, n, false, p.Body[:1000]), rtpPacket(2*n+1, n, true, p.Body[:9])} {
				if i == 2 && n == 7 && j == 0 {
					continue
				}
				want += len(b)
				_, err := sock[0].Write(b)
				require.NoError(t, err)
			}
		}
		b := rtpPacket(0, 0, true, []byte("audio"))
		want += len(b)
		_, err := sock[1].Write(b)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		var n uint64
		for _, v := range c.counts() {
			n += v
		}
		return n == uint64(want)
	}, 10*time.Second, time.Millisecond)
	r, err := c.End(os.Getpid(), func(time.Duration) uint64 { return uint64(want / viewers) })
	require.NoError(t, err)
	require.Equal(t, uint64(want), r.Bytes)
	require.Equal(t, 1, r.Lost)
	require.Equal(t, 1, r.Behind)
	require.Zero(t, r.Gone)
	require.Equal(t, 2, r.Probes)
	require.Equal(t, 2, r.NoKey)
	require.Equal(t, 1, r.Missed) // by the third viewer, who is a probe
	for _, sock := range socks {
		sock[0].Close()
		sock[1].Close()
	}
}

// rtpPacket returns an RTP packet.
func rtpPacket(sequence, timestamp int, marker bool, payload []byte) []byte {
	b := []byte{0x80, 96, byte(sequence >> 8), byte(sequence), 0, 0, 0, byte(timestamp), 0, 0, 0, 1}
	if marker {
		b[1] |= 0x80
	}
	return append(b, payload...)
}

func TestAttachFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	c, err := New()
	require.NoError(t, err)
	defer c.Close()
	require.Error(t, c.Attach(Target{Protocol: Plain, Addr: ln.Addr().String()}, 10, 1, 2))
	require.Error(t, c.Attach(Target{Protocol: "x", Addr: ln.Addr().String()}, 1, 1, 1))
	_, err = Join(Target{Protocol: Plain, Addr: ln.Addr().String()}, 1, 0)
	require.Error(t, err)
	require.Error(t, c.Begin(1<<22))
}
