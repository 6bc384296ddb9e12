package rtsp

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// publishUDP begins to publish over UDP, from the ports 5000, 5001, … of the
// peer, and returns the server's ports by media.
func (p *testPublisher) publishUDP() (server [][2]uint16) {
	p.t.Helper()
	p.announce(200, p.sdp())
	for i := range p.medias {
		server = append(server, p.setupUDP(i, uint16(5000+2*i)))
	}
	p.do(200, "RECORD", p.url)
	return server
}

// setupUDP sets up the ith media with a port and the next.
func (p *testPublisher) setupUDP(i int, port uint16) (server [2]uint16) {
	p.t.Helper()
	r := p.do(200, "SETUP", p.control(i), "Transport", fmt.Sprintf("RTP/AVP/UDP;unicast;client_port=%d-%d;mode=record", port, port+1))
	ts, err := parseTransports(r.Header.Get("Transport"))
	require.NoError(p.t, err)
	require.Equal(p.t, pair{true, port, port + 1}, ts[0].clientPorts)
	require.True(p.t, ts[0].record)
	require.Zero(p.t, ts[0].serverPorts.rtp%2)
	return [2]uint16{ts[0].serverPorts.rtp, ts[0].serverPorts.ctl}
}

// A memoryPublisher publishes over UDP in memory and virtual time.
type memoryPublisher struct {
	*testPublisher
	*taken
	s     *Server
	ports *memoryPorts
	to    [][2]uint16
}

// peerAddr is the address of connections in memory.
const peerAddr = "10.0.0.2"

// inMemoryUDP runs f with a publisher of a stream over UDP.
func inMemoryUDP(t *testing.T, s *Server, st testmedia.Stream, f func(t *testing.T, p *memoryPublisher)) {
	t.Helper()
	k := newTaker()
	ports := &memoryPorts{}
	s.Handler, s.ListenPacket = k, ports.listen
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", st.Tracks())
		to := p.publishUDP()
		f(t, &memoryPublisher{p, k.only(t), s, ports, to})
		_ = p.nc.Close()
		time.Sleep(time.Second) // in which the last packets may come
		synctest.Wait()
		require.Zero(t, ports.open(), "ports are left open")
	})
}

// port returns the server's port for RTP of the ith media, or for RTCP.
func (p *memoryPublisher) port(i int, control bool) *memoryPort {
	if control {
		return p.ports.port(p.to[i][1])
	}
	return p.ports.port(p.to[i][0])
}

// from sends packets from a port of the peer above the one that was announced.
func (p *memoryPublisher) from(above int, packets ...publishedPacket) {
	for _, x := range packets {
		n := 5000 + 2*x.media + above
		if x.rtcp {
			n++
		}
		p.port(x.media, x.rtcp).receive(fmt.Sprintf("%s:%d", peerAddr, n), x.b)
	}
	synctest.Wait()
}

// settle lets the time go by in which reports are waited for.
func settle() {
	time.Sleep(reportDelay)
	synctest.Wait()
}

// TestPublishUDPReportsLate: reports that are taken in after the first packets,
// for they come on other sockets, align tracks from the first frame on.
func TestPublishUDPReportsLate(t *testing.T) {
	inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
		sent := testStream.Take(time.Second)
		packets := p.packets(sent)
		first := slices.IndexFunc(packets, func(x publishedPacket) bool { return x.media == 1 })
		p.from(0, packets[:first]...)
		time.Sleep(30 * time.Millisecond) // audio comes late
		p.from(0, packets[first])
		require.Empty(t, p.got(t, 0))
		began := time.Now()
		p.from(0, p.report(0, 0, began), p.report(1, 0, began))
		require.NotEmpty(t, p.got(t, 0))
		p.from(0, packets[first+1:]...)
		requireReceived(t, sent, p.got(t, len(sent)), 2)
	})
}

// TestPublishUDP: what is published arrives, whatever the order.
func TestPublishUDP(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, BFrames: 1, GOP: time.Second}
	inMemoryUDP(t, &Server{}, stream, func(t *testing.T, p *memoryPublisher) {
		sent := stream.Take(2 * time.Second)
		packets := p.packets(sent)
		for i := 50; i+3 < len(packets); i += 6 { // after the first ones
			packets[i], packets[i+3] = packets[i+3], packets[i]
		}
		p.from(0, p.report(0, 0, time.Now()), p.report(1, 0, time.Now()))
		p.from(0, packets...)
		require.Len(t, p.got(t, 0), len(sent))
		requireReceived(t, sent, p.got(t, 0), 2)
		p.do(200, "TEARDOWN", p.url)
		require.NoError(t, p.end(t))
	})
}

// TestPublishUDPGoodbye: what was sent before TEARDOWN and comes after it is taken
// in.
func TestPublishUDPGoodbye(t *testing.T) {
	inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
		sent := testStream.Take(time.Second)
		packets := p.packets(sent)
		last := packets[len(packets)-10:]
		p.from(0, p.report(0, 0, time.Now()), p.report(1, 0, time.Now()))
		p.from(0, packets[:len(packets)-10]...)
		go func() {
			time.Sleep(20 * time.Millisecond)
			for _, x := range last {
				p.port(x.media, false).receive(fmt.Sprintf("%s:%d", peerAddr, 5000+2*x.media), x.b)
			}
		}()
		p.do(200, "TEARDOWN", p.url)
		require.NoError(t, p.end(t))
		requireReceived(t, sent, p.got(t, len(sent)), 2)
	})
}

// TestPublishUDPAgain: another SETUP of a track takes the place of the first, and
// its ports.
func TestPublishUDPAgain(t *testing.T) {
	k := newTaker()
	ports := &memoryPorts{}
	inMemory(t, &Server{Handler: k, ListenPacket: ports.listen}, func(t *testing.T, ln *memnet.Listener) {
		stream := testmedia.Stream{Video: codec.H264}
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", stream.Tracks())
		p.announce(200, p.sdp())
		for i := range 100 {
			p.setupUDP(0, uint16(6000+2*i))
		}
		require.Equal(t, 2, ports.open())
		p.do(200, "RECORD", p.url)
		require.NoError(t, p.nc.Close())
		time.Sleep(time.Second) // in which the last packets may come
		synctest.Wait()
		require.Zero(t, ports.open())
	})
}

// TestPublishUDPNoPorts: limits G6. Without ports there is a refusal, and nothing
// of the session is left.
func TestPublishUDPNoPorts(t *testing.T) {
	k := newTaker()
	ports := &memoryPorts{}
	inMemory(t, &Server{Handler: k, ListenPacket: ports.listen, UDPPorts: [2]uint16{4000, 4001}}, func(t *testing.T, ln *memnet.Listener) {
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", testStream.Tracks())
		p.announce(200, p.sdp())
		p.setupUDP(0, 6000)
		p.do(503, "SETUP", p.control(1), "Transport", "RTP/AVP;unicast;client_port=6002-6003;mode=record")
		p.requireClosed()
		synctest.Wait()
		require.Zero(t, ports.open())
		require.Error(t, k.only(t).end(t))
	})
}

// TestPublishUDPForeign: limits T13. Only the peer's packets count, from the port
// that the first of them came from.
func TestPublishUDPForeign(t *testing.T) {
	for _, above := range []int{0, 700} { // there may be a translator between
		inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
			sent := testStream.Take(time.Second)
			packets := p.packets(sent)
			var foreign uint64
			stranger := func(from string, b []byte) {
				for _, rtcp := range []bool{false, true} {
					p.port(0, rtcp).receive(from, b)
					foreign++
				}
			}
			stranger("10.0.0.3:5000", packets[1].b)
			stranger(peerAddr+":9999", []byte("what is no RTP opens nothing"))
			p.from(above, p.report(0, 0, time.Now()), packets[0])
			stranger("10.0.0.3:5000", packets[1].b)
			stranger(peerAddr+":9999", packets[1].b)
			stranger("[2001:db8::1]:5000", packets[1].b)
			p.from(above, packets[1:]...)
			settle()
			require.Len(t, p.got(t, 0), len(sent))
			require.Equal(t, foreign, p.s.Stats().ForeignPackets)
			require.Zero(t, p.s.Stats().FramesDropped)
		})
	}
}

// TestPublishUDPPunch: packets that only open the way through a firewall, as
// ffmpeg sends them, are no beginning.
func TestPublishUDPPunch(t *testing.T) {
	inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
		rtp := append([]byte{0x80, 0}, make([]byte, 10)...)
		rr := append([]byte{0x80, 201, 0, 1}, make([]byte, 4)...)
		p.from(0, publishedPacket{media: 0, b: rtp}, publishedPacket{media: 0, b: rr, rtcp: true})
		p.from(0, publishedPacket{media: 1, b: rtp}, publishedPacket{media: 1, b: rr, rtcp: true})
		sent := testStream.Take(time.Second)
		p.from(0, p.packets(sent)...)
		settle()
		require.Len(t, p.got(t, 0), len(sent))
		require.Zero(t, p.got(t, 1)[0].Flags&codec.FlagDiscont)
	})
}

// TestPublishUDPMissing: a missing packet is waited for, not for long.
func TestPublishUDPMissing(t *testing.T) {
	audio := testmedia.Stream{Video: codec.VP8}
	inMemoryUDP(t, &Server{}, audio, func(t *testing.T, p *memoryPublisher) {
		var packets []publishedPacket // one for each frame is enough
		for _, f := range audio.Take(time.Second) {
			one := *f
			one.Data = one.Data[:100]
			packets = append(packets, p.packets([]*codec.Frame{&one})...)
		}
		p.from(0, packets[0], packets[2], packets[3])
		require.Len(t, p.got(t, 0), 1)
		time.Sleep(499 * time.Millisecond)
		synctest.Wait()
		require.Len(t, p.got(t, 0), 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		require.Len(t, p.got(t, 0), 3)
		p.from(0, packets[5])
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, p.got(t, 0), 4)

		// What waits when the publisher goes is not lost.
		p.from(0, packets[7])
		p.do(200, "TEARDOWN", p.url)
		require.NoError(t, p.end(t))
		require.Len(t, p.got(t, 0), 5)
	})
}

// TestPublishUDPReports: publishers hear every five seconds what has come, where
// their reports come from.
func TestPublishUDPReports(t *testing.T) {
	for _, above := range []int{0, 700} {
		inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
			began := time.Now()
			p.from(above, p.report(0, 0, began), p.report(1, 0, began))
			for _, x := range p.packets(testStream.Take(11 * time.Second)) {
				time.Sleep(time.Until(began.Add(x.frame.DTS)))
				p.from(above, x)
			}
			for i := range 2 {
				reports := p.port(i, true).to(fmt.Sprintf("%s:%d", peerAddr, 5001+2*i+above))
				require.Len(t, reports, 2)
				for n, b := range reports {
					all, err := rtcp.Unmarshal(b)
					require.NoError(t, err)
					require.Len(t, all, 2)
					rr := all[0].(*rtcp.ReceiverReport)
					require.EqualValues(t, 100*(i+1), rr.Reports[0].SSRC)
					require.Zero(t, rr.Reports[0].TotalLost)
					require.InDelta(t, (n+1)*5<<16, rr.Reports[0].Delay, 1<<14)
					require.True(t, bytes.Contains(b, []byte(productName)))
				}
				require.Empty(t, p.port(i, false).sent, "nothing is sent from there")
			}
		})
	}
}

// TestPublishUDPSilence: limits G3. Requests do not hide that no packets come.
func TestPublishUDPSilence(t *testing.T) {
	inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
		packets := p.packets(testStream.Take(time.Second))
		time.Sleep(14 * time.Second)
		p.from(0, packets[0])
		began := time.Now()
		time.Sleep(10 * time.Second)
		p.do(200, "GET_PARAMETER", p.url)
		p.port(0, false).receive("10.0.0.3:5000", packets[1].b) // a stranger's does not count
		p.requireClosed()
		require.Equal(t, defaultReadTimeout, time.Since(began))
		require.ErrorIs(t, p.end(t), source.ErrTimeout)
	})
}

// TestPublishUDPRefusedByStream: when the stream takes no more, publishing ends.
func TestPublishUDPRefusedByStream(t *testing.T) {
	inMemoryUDP(t, &Server{}, testStream, func(t *testing.T, p *memoryPublisher) {
		p.fail = source.ErrKicked
		p.from(0, p.packets(testStream.Take(time.Millisecond)[:1])...)
		p.requireClosed()
		require.ErrorIs(t, p.end(t), source.ErrKicked)
	})
}

// A lossyPort is a port in front of which packets get lost and overtake others.
type lossyPort struct {
	*memoryPort
	rnd *rand.Rand

	lossy sync.Mutex // guards what follows
	good  bool       // nothing happens any more
	got   int        // packets that have come through
	held  []datagram // until there are enough to be shuffled
	ready []datagram
	lost  map[string]bool // packets
}

const (
	lossRate = 0.05
	lossSpan = 8 // packets that are shuffled
)

// ReadFrom returns a packet that has come, not always the next.
func (p *lossyPort) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		if d, ok := p.next(); ok {
			return copy(b, d.b), d.addr, nil
		}
		n, from, err := p.memoryPort.ReadFrom(b)
		if err != nil {
			return n, from, err
		}
		p.take(datagram{from, bytes.Clone(b[:n])})
	}
}

func (p *lossyPort) next() (d datagram, ok bool) {
	p.lossy.Lock()
	defer p.lossy.Unlock()
	if p.good || p.got == 0 || len(p.held) >= lossSpan {
		if !p.good {
			p.rnd.Shuffle(len(p.held), func(i, j int) { p.held[i], p.held[j] = p.held[j], p.held[i] })
		}
		p.ready, p.held = append(p.ready, p.held...), nil
	}
	if len(p.ready) == 0 {
		return d, false
	}
	d, p.ready = p.ready[0], p.ready[1:]
	p.got++
	return d, true
}

func (p *lossyPort) take(d datagram) {
	p.lossy.Lock()
	defer p.lossy.Unlock()
	if p.got > 0 && !p.good && p.rnd.Float64() < lossRate {
		p.lost[string(d.b)] = true
		return
	}
	p.held = append(p.held, d)
}

// heal makes the port a good one.
func (p *lossyPort) heal() {
	p.lossy.Lock()
	defer p.lossy.Unlock()
	p.good = true
}

// TestPublishUDPLossy publishes to ports that lose 5 % of what comes and mix up the
// rest: the stream goes on, no picture is wrong without saying so, audio has all
// that came, and the counters are right.
func TestPublishUDPLossy(t *testing.T) {
	for _, video := range []codec.Codec{codec.H264, codec.H265, codec.VP8} {
		t.Run(video.String(), func(t *testing.T) { publishLossy(t, video) })
	}
}

func publishLossy(t *testing.T, c codec.Codec) {
	const bad, whole = 10 * time.Second, 13 * time.Second
	stream := testmedia.Stream{Video: c, Audio: codec.AAC, GOP: time.Second}
	ports := &memoryPorts{}
	lossy := map[uint16]*lossyPort{}
	listen := func(network, address string) (net.PacketConn, error) {
		pc, err := ports.listen(network, address)
		if err != nil {
			return nil, err
		}
		p := &lossyPort{memoryPort: pc.(*memoryPort), rnd: rand.New(rand.NewPCG(1, uint64(len(lossy)))), lost: map[string]bool{}}
		lossy[uint16(p.addr.Port)] = p
		return p, nil
	}
	var log bytes.Buffer
	k := newTaker()
	s := &Server{Handler: k, ListenPacket: listen, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	var sent, got []*codec.Frame
	damaged := map[*codec.Frame]bool{} // something of them was lost
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		p := &memoryPublisher{testPublisher: newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", stream.Tracks()), ports: ports}
		p.to = p.publishUDP()
		sent = stream.Take(whole)
		packets := p.packets(sent)
		began := time.Now()
		for _, x := range packets {
			time.Sleep(time.Until(began.Add(x.frame.DTS)))
			if x.frame.DTS >= bad {
				for _, l := range lossy {
					l.heal()
				}
			}
			p.from(0, x)
		}
		time.Sleep(time.Second)
		p.do(200, "TEARDOWN", p.url)
		require.NoError(t, k.only(t).end(t))
		got = k.only(t).frames
		lost, came := 0, 0
		for i := range p.to {
			l := lossy[p.to[i][0]]
			require.Positive(t, len(l.lost))
			lost += len(l.lost)
			came += l.got
			for _, x := range packets {
				damaged[x.frame] = damaged[x.frame] || x.media == i && l.lost[string(x.b)]
			}
		}
		require.Equal(t, len(packets), lost+came)
		require.Regexp(t, fmt.Sprintf(`packets=%d lost=%d reordered=[1-9]\d+ duplicates=0 invalid=0 corrupt=[1-9]`, came, lost), log.String())
		require.Zero(t, s.Stats().FramesDropped)
		require.Zero(t, s.Stats().ForeignPackets)
	})

	// Audio frames are a packet each: those that came are there.
	audio := slices.DeleteFunc(ofKind(sent, codec.KindAudio), func(f *codec.Frame) bool { return damaged[f] })
	gotAudio := ofKind(got, codec.KindAudio)
	require.Len(t, gotAudio, len(audio))
	for i, f := range gotAudio {
		require.Equal(t, audio[i].Data, f.Data)
		require.Zero(t, f.Flags&codec.FlagCorrupt)
	}

	// Pictures are whole or say that they are not, and all there from the first
	// key frame after the losses on.
	video, pictures := ofKind(sent, codec.KindVideo), ofKind(got, codec.KindVideo)
	marked := 0
	for _, f := range pictures {
		if f.Has(codec.FlagCorrupt) {
			marked++
			continue
		}
		i := slices.IndexFunc(video, func(w *codec.Frame) bool { return bytes.Equal(w.Data, f.Data) })
		require.GreaterOrEqual(t, i, 0, "a picture that was not sent")
		require.False(t, damaged[video[i]])
	}
	require.Positive(t, marked)
	healed := slices.IndexFunc(video, func(f *codec.Frame) bool { return f.DTS > bad && f.Key() })
	tail := pictures[len(pictures)-(len(video)-healed):]
	for i, f := range tail {
		require.True(t, bytes.Equal(video[healed+i].Data, f.Data), "picture %d after the losses", i)
		require.Equal(t, video[healed+i].Flags, f.Flags)
	}
}

// TestPublishUDPSockets publishes over the system's sockets, again and again, and
// leaves none.
func TestPublishUDPSockets(t *testing.T) {
	k := newTaker()
	s := &Server{Handler: k}
	url := startServer(t, s)
	cycles := 500
	if testing.Short() || raceEnabled {
		cycles = 20
	}
	stream := testmedia.Stream{Video: codec.H264, Bitrate: 500_000} // alone, it waits for no reports
	sent := stream.Take(200 * time.Millisecond)
	for i := range cycles {
		p := newTestPublisher(dialPeer(t, url), url+fmt.Sprint("cam", i), stream.Tracks())
		p.announce(200, p.sdp())
		var sockets []net.Conn
		for m := range p.medias {
			local := listenUDPv4(t)
			port := local.LocalAddr().(*net.UDPAddr).Port
			server := p.setupUDP(m, uint16(port))
			require.NoError(t, local.Close())
			c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(server[0])})
			require.NoError(t, err)
			sockets = append(sockets, c)
		}
		p.do(200, "RECORD", p.url)
		for _, x := range p.packets(sent) {
			_, err := sockets[x.media].Write(x.b)
			require.NoError(t, err)
		}
		k.await(t, func() bool { return len(k.takes) == i+1 && len(k.takes[i].frames) == len(sent) })
		if i%2 == 0 {
			p.do(200, "TEARDOWN", p.url)
		}
		require.NoError(t, p.nc.Close())
		for _, c := range sockets {
			require.NoError(t, c.Close())
		}
	}
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 && s.ports.Open() == 0 }, 10*time.Second, time.Millisecond)
}

// listenUDPv4 opens a port on loopback.
func listenUDPv4(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}
