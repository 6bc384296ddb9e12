package rtsp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

// A udpPeer is a testPeer with a pair of ports for each track.
type udpPeer struct {
	*testPeer
	ports [][2]*net.UDPConn
	to    [][2]netip.AddrPort // the server's
	info  []rtpInfo
}

// listenUDP opens a port on loopback.
func listenUDP(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenPacket("udp4", addr+":0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.UDPConn)
}

func portNumber(c net.PacketConn) uint16 { return uint16(c.LocalAddr().(*net.UDPAddr).Port) }

// playUDP plays a stream over UDP.
func playUDP(t testing.TB, url, name string) *udpPeer {
	t.Helper()
	p := &udpPeer{testPeer: dialPeer(t, url)}
	r := p.do(200, "DESCRIBE", url+name)
	d, err := parseSDP(r.Body)
	require.NoError(t, err)
	for _, m := range d.medias {
		ports := [2]*net.UDPConn{listenUDP(t, "127.0.0.1"), listenUDP(t, "127.0.0.1")}
		// Ports need not follow one another here: it is 127.0.0.1 that asks.
		a, b := portNumber(ports[0]), portNumber(ports[1])
		if a > b {
			a, b, ports[0], ports[1] = b, a, ports[1], ports[0]
		}
		s := p.do(200, "SETUP", r.Header.Get("Content-Base")+m.control, "Transport", fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d", a, b))
		tr, err := parseTransports(s.Header.Get("Transport"))
		require.NoError(t, err)
		require.Equal(t, pair{true, a, b}, tr[0].clientPorts)
		require.Zero(t, tr[0].serverPorts.rtp%2)
		require.Equal(t, tr[0].serverPorts.rtp+1, tr[0].serverPorts.ctl)
		server := netip.MustParseAddr("127.0.0.1")
		p.ports = append(p.ports, ports)
		p.to = append(p.to, [2]netip.AddrPort{netip.AddrPortFrom(server, tr[0].serverPorts.rtp), netip.AddrPortFrom(server, tr[0].serverPorts.ctl)})
	}
	p.info = parseRTPInfo(p.do(200, "PLAY", url+name).Header.Get("RTP-Info"))
	return p
}

// read returns the next datagram of a port.
func readUDP(t testing.TB, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2000)
	n, from, err := c.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	return b[:n], from
}

func (p *udpPeer) rtp(track int) rtp.Packet {
	p.t.Helper()
	b, from := readUDP(p.t, p.ports[track][0])
	require.Equal(p.t, p.to[track][0], from)
	var x rtp.Packet
	require.NoError(p.t, x.Unmarshal(b))
	return x
}

func TestPlayUDP(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub, Logger: testLog(t)}
	url := startServer(t, s)
	f := feed(t, hub, "cam", testStream)
	f.write(t, 30)
	p := playUDP(t, url, "cam")
	for i := range p.ports {
		b, from := readUDP(t, p.ports[i][1])
		require.Equal(t, p.to[i][1], from)
		sr := requireReport(t, b)
		require.Equal(t, p.info[i].timestamp, sr.RTPTime)
		x := p.rtp(i)
		require.Equal(t, sr.SSRC, x.SSRC)
		if i == 0 {
			require.Equal(t, p.info[i].timestamp, x.Timestamp)
		}
		for next := x.Sequence + 1; i == 0 && next < x.Sequence+10; next++ {
			require.Equal(t, next, p.rtp(i).Sequence)
		}
	}

	// Answers come on the connection, packets do not.
	p.do(200, "OPTIONS", url+"cam")
	p.do(200, "GET_PARAMETER", url+"cam")
	require.Empty(t, p.packets)

	// At the end of the stream the ports are given back at once; the viewer still
	// can take its leave.
	require.NoError(t, f.pub.Close())
	for i := range p.ports {
		for b, _ := readUDP(t, p.ports[i][1]); requireReport(t, b) != nil; {
			b, _ = readUDP(t, p.ports[i][1])
		}
	}
	requireFree(t, s)
	p.do(200, "TEARDOWN", url+"cam")
	p.requireClosed()
}

// requireFree fails unless the server has no ports open soon.
func requireFree(t testing.TB, s *Server) {
	t.Helper()
	require.Eventually(t, func() bool { return s.ports.Open() == 0 }, 10*time.Second, time.Millisecond)
}

// TestTeardownUDP: the ports are free when TEARDOWN is answered and the
// connection closed.
func TestTeardownUDP(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	feed(t, hub, "cam", testStream).write(t, 30)
	p := playUDP(t, url, "cam")
	p.rtp(0)
	require.Equal(t, 2, s.ports.Open())
	p.do(200, "TEARDOWN", url+"cam")
	p.requireClosed()
	requireFree(t, s)
}

// TestPunch: packets go to where the viewer's first one came from, if that is the
// viewer's address; others are nobody's (limits T13).
func TestPunch(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	f := feed(t, hub, "cam", testStream)
	f.write(t, 30)
	p := playUDP(t, url, "cam")
	p.rtp(0)

	foreign := listenUDP(t, "127.0.0.2")
	_, err := foreign.WriteToUDPAddrPort([]byte("punch"), p.to[0][0])
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Stats().ForeignPackets == 1 }, 10*time.Second, time.Millisecond)

	inside := listenUDP(t, "127.0.0.1")
	_, err = inside.WriteToUDPAddrPort([]byte("punch"), p.to[0][0])
	require.NoError(t, err)
	second := listenUDP(t, "127.0.0.1")
	require.Eventually(t, func() bool { // until it has been taken in
		f.write(t, 2)
		_ = inside.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, _, err := inside.ReadFromUDPAddrPort(make([]byte, 2000))
		return err == nil
	}, 10*time.Second, time.Millisecond)

	// The place is taken now.
	_, err = second.WriteToUDPAddrPort([]byte("punch"), p.to[0][0])
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Stats().ForeignPackets == 2 }, 10*time.Second, time.Millisecond)
	f.write(t, 10)
	for _, c := range []*net.UDPConn{foreign, second} {
		_ = c.SetReadDeadline(time.Now())
		_, _, err = c.ReadFromUDPAddrPort(make([]byte, 2000))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	}
}

// playMemory plays a stream over UDP in memory, to ports 5000 and on.
func playMemory(t *testing.T, ln *memnet.Listener, name string) *testPeer {
	p := memoryPeer(t, ln)
	const url = "rtsp://host/live/"
	r := p.do(200, "DESCRIBE", url+name)
	d, err := parseSDP(r.Body)
	require.NoError(t, err)
	for i, m := range d.medias {
		p.do(200, "SETUP", r.Header.Get("Content-Base")+m.control, "Transport", fmt.Sprintf("RTP/AVP;unicast;client_port=%d-%d", 5000+2*i, 5001+2*i))
	}
	p.do(200, "PLAY", url+name)
	return p
}

// TestIdleUDP: a viewer over UDP of whom nothing is heard is given up, after a
// minute.
func TestIdleUDP(t *testing.T) {
	receiverReport, err := (&rtcp.ReceiverReport{SSRC: 1}).Marshal()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		sign func(p *testPeer, port *memoryPort) // after 50 s
		want time.Duration
	}{
		{"nothing", func(*testPeer, *memoryPort) {}, time.Minute},
		{"a request", func(p *testPeer, _ *memoryPort) { p.do(200, "OPTIONS", "*") }, 110 * time.Second},
		{"RTCP", func(_ *testPeer, port *memoryPort) { port.receive("10.0.0.2:5001", receiverReport) }, 110 * time.Second},
		{"RTCP of somebody else", func(_ *testPeer, port *memoryPort) { port.receive("10.0.0.3:5001", receiverReport) }, time.Minute},
		{"garbage", func(_ *testPeer, port *memoryPort) { port.receive("10.0.0.2:5001", []byte("garbage")) }, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := &source.Hub{MaxWait: 5 * time.Second}
			ports := &memoryPorts{}
			s := &Server{Handler: hub, UDPPorts: [2]uint16{6000, 6009}, ListenPacket: ports.listen}
			inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
				f := feed(t, hub, "cam", testStream)
				f.write(t, 10)
				p := playMemory(t, ln, "cam")
				began := time.Now()
				time.Sleep(50 * time.Second)
				for n := range ports.ports {
					if n%2 == 1 && len(ports.port(n).to("10.0.0.2:5001")) > 0 {
						c.sign(p, ports.port(n))
					}
				}
				p.requireClosed()
				require.Equal(t, c.want, time.Since(began))
				synctest.Wait()
				require.Zero(t, ports.open())
				require.NoError(t, hub.Close())
			})
		})
	}
}

// TestPaceUDP: what was there before the viewer comes at four times the media's
// rate, so that it is not lost on the way.
func TestPaceUDP(t *testing.T) {
	hub := &source.Hub{MaxWait: 5 * time.Second}
	ports := &memoryPorts{}
	s := &Server{Handler: hub, UDPPorts: [2]uint16{6000, 6009}, ListenPacket: ports.listen}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		f := feed(t, hub, "cam", testmedia.Stream{Video: codec.H264, GOP: 10 * time.Second})
		f.write(t, 101) // 4 s
		playMemory(t, ln, "cam")
		frames := func() int {
			n := map[uint32]bool{}
			for _, p := range ports.ports {
				for _, b := range p.to("10.0.0.2:5000") {
					var x rtp.Packet
					require.NoError(t, x.Unmarshal(b))
					n[x.Timestamp] = true
				}
			}
			return len(n)
		}
		synctest.Wait()
		require.Equal(t, 1, frames())
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		require.InDelta(t, 51, frames(), 1)
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 101, frames())
		require.NoError(t, hub.Close())
	})
}

// TestPortsExhausted: limits G6. Who gets no ports is told so, and gives back what
// it had; the next one finds those.
func TestPortsExhausted(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub, UDPPorts: [2]uint16{30100, 30105}}
	url := startServer(t, s)
	feed(t, hub, "cam", testStream).write(t, 30)
	setup := func(p *testPeer, track, status int) {
		p.do(status, "SETUP", fmt.Sprintf("%scam/trackID=%d", url, track), "Transport", "RTP/AVP;unicast;client_port=5000-5001")
	}
	p, q := dialPeer(t, url), dialPeer(t, url)
	setup(p, 0, 200)
	setup(p, 1, 200)
	setup(p, 1, 200) // again: in the same place
	setup(q, 0, 200)
	setup(q, 1, 503)
	q.requireClosed()
	require.Eventually(t, func() bool {
		q := dialPeer(t, url)
		q.send("SETUP", url+"cam/trackID=0", "Transport", "RTP/AVP;unicast;client_port=5000-5001")
		r := q.response()
		_ = q.nc.Close()
		return r.Status == 200
	}, 10*time.Second, 10*time.Millisecond)
}

// TestUDPCycles: 500 sessions over UDP, ended in every way, leave no port, no
// descriptor and no goroutine behind.
func TestUDPCycles(t *testing.T) {
	const n = 500
	hub := newHub(t)
	s := &Server{Handler: hub, UDPPorts: [2]uint16{30200, 30299}} // ports that are not given back will be missing
	url := startServer(t, s)
	f := feed(t, hub, "cam", testStream)
	f.write(t, 30)
	f.run(t)
	cycle := func(i int) {
		p := playUDP(t, url, "cam")
		p.rtp(0)
		switch i % 3 {
		case 0:
			p.do(200, "TEARDOWN", url+"cam")
			p.requireClosed()
		case 1:
			p.do(200, "PAUSE", url+"cam")
		}
		_ = p.nc.Close()
		for _, pair := range p.ports {
			_, _ = pair[0].Close(), pair[1].Close()
		}
	}
	settle := func() bool { return s.Stats().Conns == 0 }
	for i := range 10 {
		cycle(i)
	}
	require.Eventually(t, settle, 10*time.Second, time.Millisecond)
	goroutines, files := runtime.NumGoroutine(), openFiles()
	for i := range n {
		cycle(i)
	}
	require.Eventually(t, settle, 10*time.Second, time.Millisecond)
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; { // require.Eventually has goroutines of its own
		require.True(t, time.Now().Before(deadline), "%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, openFiles(), files)
	require.Zero(t, s.ports.Open())
}

func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not on this system
	}
	return len(names)
}

// TestNoUDP: over TLS, when it is switched off, and to somebody else, there is no
// UDP (limits T5).
func TestNoUDP(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	off := startServer(t, &Server{Handler: hub, NoUDP: true})
	noTCP := startServer(t, &Server{Handler: hub, NoTCP: true})
	feed(t, hub, "cam", testStream).write(t, 30)
	for _, c := range []struct {
		url, transport string
		status         int
	}{
		{url, "RTP/AVP;unicast;client_port=5000-5001", 200},
		{url, "RTP/AVP;unicast;client_port=5000-5001;destination=127.0.0.1", 200},
		{url, "RTP/AVP;unicast;client_port=5000-5001;destination=::ffff:127.0.0.1", 200},
		{url, "RTP/AVP;unicast;client_port=5000-5001;destination=127.0.0.2", 461},
		{url, "RTP/AVP;unicast;client_port=5000-5001;destination=example.com", 461},
		{url, "RTP/AVP;unicast;client_port=5000-5001;destination=127.0.0.2,RTP/AVP/TCP;unicast;interleaved=0-1", 200},
		{url, "RTP/AVP;unicast", 400},
		{url, "RTP/AVP;multicast", 461},
		{url, "RTP/SAVP;unicast;client_port=5000-5001", 461},
		{url, "", 461},
		{off, "RTP/AVP;unicast;client_port=5000-5001", 461},
		{off, "RTP/AVP;unicast;client_port=5000-5001,RTP/AVP/TCP;interleaved=0-1", 200},
		{noTCP, "RTP/AVP/TCP;unicast;interleaved=0-1", 461},
		{noTCP, "RTP/AVP;unicast;client_port=5000-5001", 200},
	} {
		p := dialPeer(t, c.url)
		p.do(c.status, "SETUP", c.url+"cam/trackID=0", "Transport", c.transport)
		p.do(200, "OPTIONS", "*") // it goes on
	}
}
