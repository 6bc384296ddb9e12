package ps

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A packet in the midst of a picture costs no memory.
func TestSessionAllocates(t *testing.T) {
	hub := &source.Hub{}
	defer hub.Close()
	s, _ := newTestSession(hub, ReceiveOptions{})
	defer func() { s.Close(nil); <-s.Done() }()
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA}
	sender := psSender()
	now := arrive(s, psPackets(t, sender, stream.Take(3*time.Second)), time.Now())
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.publishing && s.complete
	}, 10*time.Second, time.Millisecond)

	header := []byte("\x00\x00\x01\xe0\x00\x00\x80\x00\x00\x00\x00\x01\x41\x9a") // a picture without a length
	s.take(sender.Packet(header, 0, false), now)
	var packets [][]byte
	for i := range 600 {
		packets = append(packets, sender.Packet(rtptest.Garbage(1400, uint64(i)), 0, false))
	}
	i := 0
	for ; i < 300; i++ { // the buffer grows
		s.take(packets[i], now)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.take(packets[i], now)
		i++
	}))
}

// BenchmarkSession receives 10 s of a camera.
func BenchmarkSession(b *testing.B) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.PCMA}
	for name, packets := range map[string]func() [][]byte{
		"PS": func() [][]byte { return psPackets(b, psSender(), stream.Take(10*time.Second)) },
		"TS": func() [][]byte {
			return tsPackets(b, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33}, stream.Take(10*time.Second))
		},
	} {
		b.Run(name, func(b *testing.B) {
			sent, size := packets(), 0
			for _, p := range sent {
				size += len(p)
			}
			hub := &source.Hub{}
			defer hub.Close()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				s, _ := newTestSession(hub, ReceiveOptions{})
				now := time.Now()
				for _, p := range sent {
					s.take(p, now)
				}
				s.end(nil)
				<-s.Done()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(sent)), "ns/packet")
		})
	}
}
