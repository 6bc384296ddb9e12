package ps

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

var connStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond}

// sendOver has wire come over a connection in pieces of n bytes, and returns the
// frames that come of it and the session's counters.
func sendOver(t *testing.T, wire []byte, n int) (frames []*codec.Frame, st SessionStats) {
	r := &recorder{}
	s := &Server{Handler: r, OnEnd: func(got SessionStats) { st = got }}
	serveMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		nc, err := ln.Dial(t.Context())
		require.NoError(t, err)
		for piece := range slices.Chunk(wire, n) {
			write(t, nc, piece)
		}
		require.NoError(t, nc.Close())
		time.Sleep(time.Second)
		require.Zero(t, s.Stats().Panics)
	})
	return r.frames, st
}

// TestServerConnStream: a program stream comes over a connection, whichever way it
// is framed and cut.
func TestServerConnStream(t *testing.T) {
	frames := connStream.Take(2 * time.Second)
	packets := psPackets(t, psSender(), frames)
	vendor := append([]byte{1, 0, 1, 0}, make([]byte, 252)...)
	for name, wire := range map[string][]byte{
		"rfc4571":     rtptest.RFC4571(packets),
		"interleaved": rtptest.Interleaved(packets, 0),
		"EHOME":       append(vendor, rtptest.Interleaved(packets, 0)...),
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{len(wire), 1460, 7} {
				got, st := sendOver(t, wire, n)
				requireFrames(t, frames, got)
				require.EqualValues(t, len(packets), st.Packets)
				require.Zero(t, st.Lost+st.Resyncs)
			}
		})
	}
}

// TestServerConnStreamGarbage: with garbage in the midst of a packet, pictures are
// whole again with the next group, and sound goes on.
func TestServerConnStreamGarbage(t *testing.T) {
	frames := connStream.Take(4 * time.Second)
	packets := psPackets(t, psSender(), frames)
	for _, framed := range []func([][]byte) []byte{
		rtptest.RFC4571,
		func(p [][]byte) []byte { return rtptest.Interleaved(p, 0) },
	} {
		wire := framed(packets)
		at := len(framed(packets[:len(packets)/2])) + 50
		for _, n := range []int{1, 1000, 100000} {
			garbage := rtptest.Garbage(n, uint64(n))
			got, st := sendOver(t, slices.Concat(wire[:at], garbage, wire[at:]), 1460)
			require.NotZero(t, st.Resyncs)
			whole := map[string]bool{}
			for _, f := range got {
				if !f.Has(codec.FlagCorrupt) {
					whole[string(f.Data)] = true
				}
			}
			missing := slices.DeleteFunc(slices.Clone(frames), func(f *codec.Frame) bool { return whole[string(f.Data)] })
			require.NotEmpty(t, missing)
			require.LessOrEqual(t, missing[len(missing)-1].DTS-missing[0].DTS, connStream.GOP, "%d bytes of garbage", n)
			audio := 0
			for _, f := range missing {
				if f.Track.Codec == codec.AAC {
					audio++
				}
			}
			require.LessOrEqual(t, audio, 4, "%d bytes of garbage", n)
		}
	}
}

// TestServerFloodOfNothing: those who send nothing sensible do not keep those out
// who do.
func TestServerFloodOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Handler: &recorder{}}
		s.init()
		r := s.newRoster()
		port, stranger := udp.NewConn(&deafPort{}), netip.MustParseAddrPort("192.0.2.1:5000")
		nothing := (&rtptest.Sender{PayloadType: 96}).Packet([]byte("nothing sensible"), 0, false)
		next := uint32(0)
		flood := func(n int) {
			for range n {
				next++
				binary.BigEndian.PutUint32(nothing[8:], next|1<<31)
				r.datagram(port, slices.Clone(nothing), stranger, time.Now())
			}
		}
		flood(20000)
		require.EqualValues(t, 1000, s.Stats().Pending)
		frames := connStream.Take(2 * time.Second)
		var cameras [][][]byte
		for i := range 20 {
			sender := psSender()
			sender.SSRC = uint32(i + 1)
			cameras = append(cameras, psPackets(t, sender, frames))
		}
		for i := range cameras[0] {
			for c, packets := range cameras {
				r.datagram(port, packets[i], netip.AddrPortFrom(stranger.Addr(), uint16(6000+c)), time.Now())
			}
			flood(100)
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		require.Len(t, r.sessions(), len(cameras))
		for _, v := range r.sessions() {
			require.True(t, v.accepted())
			require.EqualValues(t, len(cameras[0]), v.Stats().Packets)
		}
		require.LessOrEqual(t, s.Stats().Pending, int64(1000))
		s.leave(r)
		require.Zero(t, s.Stats().Panics)
	})
}

// SSRCs of which one packet comes, which looks right, are no streams: they are
// bounded, the Handler is not asked for them, and cameras begin (P3, G14).
func TestServerFloodOfPacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		s := &Server{Handler: h}
		s.init()
		r := s.newRoster()
		port, stranger := udp.NewConn(&deafPort{}), netip.MustParseAddrPort("192.0.2.1:5000")
		pack := (&rtptest.Sender{PayloadType: 96}).Packet([]byte(packDahua+"\x00\x00\x00\x00"), 0, false)
		next := uint32(0)
		flood := func(n int) {
			for range n {
				next++
				binary.BigEndian.PutUint32(pack[8:], next|1<<31)
				r.datagram(port, pack, stranger, time.Now())
			}
		}
		flood(2000)
		sender := psSender()
		camera := psPackets(t, sender, connStream.Take(time.Second))
		for i, p := range camera {
			time.Sleep(4 * time.Millisecond)
			flood(80)
			if i%25 == 0 {
				r.tick(time.Now())
			}
			r.datagram(port, p, netip.AddrPortFrom(stranger.Addr(), 6000), time.Now())
		}
		synctest.Wait()
		require.LessOrEqual(t, len(r.all()), 1000+25*80+1)
		require.EqualValues(t, 1, h.asks())
		require.Len(t, r.sessions(), 1)
		require.EqualValues(t, sender.SSRC, r.sessions()[0].Stats().SSRC)
		require.EqualValues(t, len(camera), r.sessions()[0].Stats().Packets)
		time.Sleep(candidacy)
		r.tick(time.Now())
		require.Zero(t, s.Stats().Pending)
		s.leave(r)
	})
}

// FuzzServer: whatever comes, by datagrams or on a connection, nothing panics and
// everything ends.
func FuzzServer(f *testing.F) {
	frames := connStream.Take(100 * time.Millisecond)
	packets := psPackets(f, psSender(), frames)
	f.Add(rtptest.RFC4571(packets))
	f.Add(rtptest.Interleaved(packets, 2))
	f.Add(rtptest.RFC4571(tsPackets(f, &rtptest.Sender{SSRC: 1, PayloadType: 33}, frames)))
	f.Add(rtptest.RFC4571((&device{ssrc: 1}).packets(5)))
	f.Add(rtptest.RFC4571([][]byte{{}, {0x80}, (&device{}).goodbye(), bytes.Repeat([]byte{0x80}, 65535)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			h := &source.Hub{}
			s := &Server{Handler: h}
			s.init()
			r := s.newRoster()
			port, from := udp.NewConn(&deafPort{}), netip.MustParseAddrPort("192.0.2.1:5000")
			for rest := b; len(rest) > 2; {
				n := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
				r.datagram(port, slices.Clone(rest[2:2+n]), from, time.Now())
				rest = rest[2+n:]
			}
			client, server := memnet.Pipe(0)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = r.newConn(server, func(f func()) { go f() }).read(func(err error) error { return err })
			}()
			_, _ = client.Write(b)
			_ = client.Close()
			<-done
			time.Sleep(time.Second)
			r.tick(time.Now())
			s.leave(r)
			require.Zero(t, s.Stats().Panics)
			require.Empty(t, s.Sessions())
			time.Sleep(time.Minute) // until the hub has let go
		})
	})
}
