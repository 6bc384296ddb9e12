package ps

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/ps/internal/framing"
	"github.com/mediakit-go/mediakit/source"
)

// TestUDPLink: packets go to where packets come from; reports to where reports come
// from, or else to the port behind that.
func TestUDPLink(t *testing.T) {
	rtp, rtcp := &deafPort{}, &deafPort{}
	peer := netip.MustParseAddrPort("192.0.2.1:5000")
	o := origin{port: udp.NewConn(rtp), addr: peer}
	shared := o.link(nil)
	require.NoError(t, shared.send([][]byte{[]byte("a"), []byte("b")}))
	require.NoError(t, shared.report([]byte("r")))
	require.Equal(t, []sentDatagram{{"a", peer.String()}, {"b", peer.String()}, {"r", "192.0.2.1:5001"}}, rtp.taken())
	require.Equal(t, "udp", shared.protocol())
	require.Equal(t, "192.0.2.9:10000", shared.local().String())

	l := o.link(udp.NewConn(rtcp)).(*udpLink)
	require.NoError(t, l.report([]byte("r")))
	require.True(t, l.reports(netip.MustParseAddrPort("192.0.2.1:7777")))
	require.False(t, l.reports(netip.MustParseAddrPort("192.0.2.2:7777")))
	require.NoError(t, l.report([]byte("s")))
	l.move(netip.MustParseAddrPort("192.0.2.3:5000"))
	require.NoError(t, l.report([]byte("t")))
	require.NoError(t, l.send([][]byte{[]byte("u")}))
	require.Equal(t, []sentDatagram{{"r", "192.0.2.1:5001"}, {"s", "192.0.2.1:7777"}, {"t", "192.0.2.3:5001"}}, rtcp.taken())
	require.Equal(t, []sentDatagram{{"u", "192.0.2.3:5000"}}, rtp.taken())
	require.Equal(t, "192.0.2.3:5000", l.remote().String())
}

// newTCPLink returns a link whose goroutines are waited for by wait.
func newTCPLink(nc net.Conn) (l *tcpLink, wait func()) {
	var all sync.WaitGroup
	return &tcpLink{nc: nc, goes: func(f func()) { all.Go(f) }}, all.Wait
}

// TestTCPLink: packets are framed as the peer's are, in order.
func TestTCPLink(t *testing.T) {
	for _, c := range []struct {
		form framing.Form
		want string
	}{
		{framing.Short, "\x00\x01a\x00\x02bc\x00\x01r"},
		{framing.Interleaved, "$\x04\x00\x01a$\x04\x00\x02bc$\x05\x00\x01r"},
	} {
		client, server := memnet.Pipe(0)
		l, wait := newTCPLink(server)
		l.frame(c.form, 4)
		p := []byte("a")
		require.NoError(t, l.send([][]byte{p, []byte("bc")}))
		p[0] = 'x'
		require.NoError(t, l.report([]byte("r")))
		got := make([]byte, len(c.want))
		_, err := io.ReadFull(client, got)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		require.Error(t, l.send([][]byte{make([]byte, framing.MaxPacket+1)}))
		l.use()
		l.use()
		l.close()
		require.NoError(t, l.send([][]byte{p}), "another session has it")
		l.close()
		require.ErrorIs(t, l.send([][]byte{p}), net.ErrClosed)
		wait()
	}
}

// TestTCPLinkStalled: a peer that does not read costs a bounded amount of memory
// for a bounded time, and nobody waits for it.
func TestTCPLinkStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packet := [][]byte{make([]byte, 1400)}
		client, server := memnet.Pipe(1000)
		l, wait := newTCPLink(server)
		n := 0
		for ; l.send(packet) == nil; n++ {
			require.Less(t, n*1400, 2*maxUnsent)
		}
		require.Greater(t, n*1400, maxUnsent/2)
		require.ErrorIs(t, l.send(packet), source.ErrStalled)
		require.Empty(t, l.unsent)
		began := time.Now()
		wait()
		require.Equal(t, writeTimeout, time.Since(began))
		require.NoError(t, client.Close())

		client, server = memnet.Pipe(1000)
		l, wait = newTCPLink(server)
		require.NoError(t, l.send(packet))
		wait()
		require.ErrorIs(t, l.send(packet), source.ErrStalled)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
	})
}

// TestTalkBackOverServer: what is sent back to a sender goes the way its packets
// come, while it does not read, too.
func TestTalkBackOverServer(t *testing.T) {
	hub := &source.Hub{}
	s := &Server{Handler: hub}
	addr, _ := serve(t, s)
	back := [][]byte{[]byte("talk"), []byte("back")}
	for i, network := range []string{"udp", "tcp"} {
		d := &device{ssrc: uint32(i + 1)}
		nc := dial(t, network, addr)
		wire := d.packets(4)
		if network == "tcp" {
			wire = [][]byte{framed(framing.Interleaved, wire...)}
		}
		write(t, nc, wire...)
		key := rtpKey(ssrcName(d.ssrc))
		eventually(t, func() bool { return s.Session(key) != nil }, "the stream is there")
		require.NoError(t, s.Session(key).peer().send(back))
		want := "talkback"
		if network == "tcp" {
			want = string(framed(framing.Interleaved, back...))
		}
		var got bytes.Buffer
		b := make([]byte, 100)
		for got.Len() < len(want) {
			n, err := nc.Read(b)
			require.NoError(t, err)
			got.Write(b[:n])
		}
		require.Equal(t, want, got.String())
	}
}
