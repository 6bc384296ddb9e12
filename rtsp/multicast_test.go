package rtsp

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/source"
)

// testMulticast has four groups.
var testMulticast = Multicast{Groups: netip.MustParsePrefix("239.1.0.0/30"), TTL: 3}

// setupMulticast sets up all tracks of a stream over multicast and returns what
// was agreed on.
func setupMulticast(t *testing.T, p *testPeer, url string) []transport {
	t.Helper()
	r := p.do(200, "DESCRIBE", url)
	d, err := parseSDP(r.Body)
	require.NoError(t, err)
	var all []transport
	for _, m := range d.medias {
		s := p.do(200, "SETUP", r.Header.Get("Content-Base")+m.control, "Transport", "RTP/AVP;multicast;port=7000-7001")
		ts, err := parseTransports(s.Header.Get("Transport"))
		require.NoError(t, err)
		require.Len(t, ts, 1)
		require.Len(t, ts[0].ssrc, 8)
		ts[0].ssrc = ""
		all = append(all, ts[0])
	}
	return all
}

// TestMulticast: viewers of one stream share a group, to which every packet is
// sent once.
func TestMulticast(t *testing.T) {
	hub := &source.Hub{}
	ports := &memoryPorts{}
	s := &Server{Handler: hub, UDPPorts: [2]uint16{6000, 6019}, ListenPacket: ports.listen, Multicast: testMulticast}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		const url = "rtsp://h/live/cam"
		f := feed(t, hub, "cam", testStream)
		f.write(t, 100)
		p, q := memoryPeer(t, ln), memoryPeer(t, ln)
		got := setupMulticast(t, p, url)
		require.Equal(t, got, setupMulticast(t, q, url))
		require.Len(t, got, 2)
		var to []string
		for i, x := range got {
			require.Equal(t, overMulticast, x.carrier)
			require.Equal(t, "239.1.0.0", x.destination)
			require.Equal(t, "10.0.0.1", x.source)
			require.Equal(t, 3, x.ttl)
			require.Equal(t, x.groupPorts.rtp+1, x.groupPorts.ctl)
			require.NotEqual(t, got[1-i].groupPorts, x.groupPorts)
			to = append(to, fmt.Sprintf("239.1.0.0:%d", x.groupPorts.rtp))
		}
		synctest.Wait()
		sent := func(i int) [][]byte { return ports.port(got[i].groupPorts.rtp).to(to[i]) }
		require.Empty(t, sent(0), "before anybody plays")

		require.Len(t, parseRTPInfo(p.do(200, "PLAY", url).Header.Get("RTP-Info")), 2)
		time.Sleep(2 * time.Second) // until the group has had what was there
		synctest.Wait()
		before := [2]int{len(sent(0)), len(sent(1))}
		info := q.do(200, "PLAY", url).Header.Get("RTP-Info")
		f.write(t, 50)
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range 2 {
			seen := map[uint16]bool{}
			for k, b := range sent(i) {
				var x rtp.Packet
				require.NoError(t, x.Unmarshal(b))
				require.False(t, seen[x.Sequence], "a packet was sent twice")
				seen[x.Sequence] = true
				if k == before[i] { // who joins gets what comes, and is told so
					require.Contains(t, info, fmt.Sprintf("trackID=%d;seq=%d;", i, x.Sequence))
				}
			}
			require.Greater(t, len(sent(i)), before[i])
			requireReport(t, ports.port(got[i].groupPorts.ctl).to(fmt.Sprintf("239.1.0.0:%d", got[i].groupPorts.ctl))[0])
		}
		stats := hub.Streams()[0].Stats()
		require.Equal(t, map[string]int{"rtsp": 2}, stats.Viewers)
		require.Len(t, stats.Sessions, 3, "the group is one, who is not counted")

		// One leaves, the other goes on; with the last one the group is free.
		p.do(200, "TEARDOWN", url)
		p.requireClosed()
		require.NoError(t, p.nc.Close())
		n := len(sent(0))
		f.write(t, 20)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Greater(t, len(sent(0)), n)
		require.NoError(t, q.nc.Close())
		synctest.Wait()
		require.Zero(t, ports.open())
		require.Empty(t, s.casters.inUse)

		// The end of the stream is said to the group and to each viewer.
		p = memoryPeer(t, ln)
		got = setupMulticast(t, p, url)
		p.do(200, "PLAY", url)
		require.NoError(t, f.pub.Close())
		p.requireClosed()
		time.Sleep(time.Second) // the group gets what was there before
		synctest.Wait()
		control := ports.port(got[0].groupPorts.ctl).to(fmt.Sprintf("239.1.0.1:%d", got[0].groupPorts.ctl))
		require.Nil(t, requireReport(t, control[len(control)-1]), "no BYE")
		require.NoError(t, p.nc.Close())
		require.NoError(t, hub.Close())
	})
}

// TestMulticastGroups: streams have groups of their own, until there are none left.
func TestMulticastGroups(t *testing.T) {
	hub := &source.Hub{}
	ports := &memoryPorts{}
	s := &Server{Handler: hub, UDPPorts: [2]uint16{6000, 6099}, ListenPacket: ports.listen, Multicast: testMulticast}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		groups := map[string]bool{}
		var peers []*testPeer
		for i := range 5 {
			name := fmt.Sprint("cam", i)
			feed(t, hub, name, testStream).write(t, 20)
			p := memoryPeer(t, ln)
			peers = append(peers, p)
			if i == 4 {
				p.do(453, "SETUP", "rtsp://h/live/cam4/trackID=0", "Transport", "RTP/AVP;multicast")
				p.requireClosed()
				break
			}
			groups[setupMulticast(t, p, "rtsp://h/live/"+name)[0].destination] = true
		}
		require.Len(t, groups, 4)
		require.NoError(t, peers[1].nc.Close())
		synctest.Wait()
		p := memoryPeer(t, ln)
		require.Equal(t, "239.1.0.1", setupMulticast(t, p, "rtsp://h/live/cam4")[0].destination)
		require.NoError(t, p.nc.Close())

		// A file is of one viewer only, which may choose another transport.
		p = memoryPeer(t, ln)
		s.Handler = newFile()
		p.do(461, "SETUP", "rtsp://h/live/film/trackID=0", "Transport", "RTP/AVP;multicast")
		p.do(200, "SETUP", "rtsp://h/live/film/trackID=0", "Transport", tcp)
		require.NoError(t, p.nc.Close())
		require.NoError(t, hub.Close())
	})
}

// TestMulticastPorts: who gets no ports for a group leaves nothing behind.
func TestMulticastPorts(t *testing.T) {
	hub := &source.Hub{}
	ports := &memoryPorts{}
	s := &Server{Handler: hub, UDPPorts: [2]uint16{6000, 6002}, ListenPacket: ports.listen, Multicast: testMulticast}
	inMemory(t, s, func(t *testing.T, ln *memnet.Listener) {
		feed(t, hub, "cam", testStream).write(t, 20)
		p := memoryPeer(t, ln)
		p.do(503, "SETUP", "rtsp://h/live/cam/trackID=0", "Transport", "RTP/AVP;multicast")
		p.requireClosed()
		synctest.Wait()
		require.Zero(t, ports.open())
		require.NoError(t, hub.Close())
	})
}
