package ps

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/filmtest"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// sendKey is the stream that is sent.
var sendKey = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}

// sendStream is what it has.
var sendStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second}

// A sent is a stream that is published, and Senders that send it.
type sent struct {
	*Senders
	t    *testing.T
	hub  *source.Hub
	pub  source.Publication
	next func() (*codec.Frame, bool)

	mu    sync.Mutex // guards ended
	ended []SenderStats
}

func newSent(t *testing.T, st testmedia.Stream) *sent {
	s := &sent{t: t, hub: &source.Hub{MaxWait: -1}}
	s.Senders = &Senders{Handler: s.hub, OnEnd: func(x SenderStats) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, x)
	}}
	var stop func()
	s.next, stop = iter.Pull(st.Frames())
	s.publish(st)
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.Empty(t, s.List(source.Key{}))
		require.Zero(t, s.ports.Open())
		stop()
		require.NoError(t, s.hub.Close())
	})
	return s
}

func (s *sent) publish(st testmedia.Stream) {
	s.t.Helper()
	pub, err := s.hub.Publish(context.Background(), &source.Request{ID: source.NewID(), Schema: "test", Key: sendKey})
	require.NoError(s.t, err)
	require.NoError(s.t, pub.SetTracks(st.Tracks(), true))
	s.pub = pub
}

// write writes the next n frames of the stream.
func (s *sent) write(n int) (frames []*codec.Frame) {
	s.t.Helper()
	for range n {
		f, _ := s.next()
		require.NoError(s.t, s.pub.WriteFrame(context.Background(), f))
		frames = append(frames, f)
	}
	return frames
}

func (s *sent) start(o SendOptions) *Sender {
	s.t.Helper()
	o.Key = sendKey
	x, err := s.Start(s.t.Context(), o)
	require.NoError(s.t, err)
	return x
}

// begun waits until x has sent something.
func (s *sent) begun(x *Sender) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return x.Stats().Frames > 0 }, 10*time.Second, time.Millisecond)
}

// over waits for the end of x and returns the reason, which OnEnd has been told.
func (s *sent) over(x *Sender) error {
	s.t.Helper()
	select {
	case <-x.Done():
	case <-time.After(20 * time.Second):
		require.Fail(s.t, "does not end")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var told []error
	for _, e := range s.ended {
		if e.ID == x.id {
			told = append(told, e.Err)
		}
	}
	require.Equal(s.t, []error{x.Stats().Err}, told)
	require.NotContains(s.t, s.List(sendKey), x)
	return told[0]
}

// A sentTo is a receiver of transport streams by RTP.
type sentTo struct {
	t     *testing.T
	demux ts.Demuxer
	last  *pion.Packet
	got   []*codec.Frame
}

// enough is how many frames are looked at, far fewer than are sent: a demuxer keeps
// some back.
const enough = 60

// take takes in a packet, of which none may be missing.
func (r *sentTo) take(b []byte) {
	r.t.Helper()
	p := &pion.Packet{}
	require.NoError(r.t, p.Unmarshal(b))
	if r.last != nil {
		require.Equal(r.t, r.last.SequenceNumber+1, p.SequenceNumber)
		require.Equal(r.t, r.last.SSRC, p.SSRC)
	}
	r.last = p
	var err error
	r.got, err = r.demux.Append(r.got, p.Payload)
	require.NoError(r.t, err)
}

// require fails unless what was received begins as these frames do.
func (r *sentTo) require(want []*codec.Frame) {
	r.t.Helper()
	require.GreaterOrEqual(r.t, len(r.got), enough)
	for _, k := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		want, got := only(want, k), only(r.got, k)
		for i := range min(len(want), len(got)) {
			require.True(r.t, bytes.Equal(want[i].Data, got[i].Data), "%v %d", k, i)
			require.InDelta(r.t, want[i].PTS-want[0].PTS, got[i].PTS-got[0].PTS, float64(time.Millisecond))
		}
	}
}

// udpPair opens two ports in a row.
func udpPair(t *testing.T) (rtp, rtcp *net.UDPConn) {
	t.Helper()
	for range 100 {
		a, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		require.NoError(t, err)
		b, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.LocalAddr().(*net.UDPAddr).Port + 1})
		if err != nil {
			_ = a.Close()
			continue
		}
		for _, c := range []*net.UDPConn{a, b} {
			t.Cleanup(func() { _ = c.Close() })
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		}
		return a, b
	}
	require.Fail(t, "no ports")
	return nil, nil
}

// readUDP returns the next datagram.
func readUDP(t *testing.T, c *net.UDPConn) ([]byte, netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2000)
	n, from, err := c.ReadFromUDPAddrPort(b)
	require.NoError(t, err)
	return b[:n], from
}

// A receiver by UDP has the stream from the newest key frame on, from an even port,
// and reports from the next one, a goodbye at the end.
func TestSendUDP(t *testing.T) {
	s := newSent(t, sendStream)
	frames := s.write(120)
	a, b := udpPair(t)
	x := s.start(SendOptions{To: a.LocalAddr().String(), Payload: PayloadTS, SSRC: 0xabcd})
	s.begun(x)
	frames = append(frames, s.write(150)...)
	frames = fromNewestKey(frames, 120)
	r := sentTo{t: t}
	stats := x.Stats()
	local := stats.Local.(*net.UDPAddr).AddrPort()
	require.Zero(t, local.Port()%2)
	require.Equal(t, a.LocalAddr().String(), stats.Remote.String())
	require.NoError(t, stats.Err)
	for len(r.got) < enough {
		packet, from := readUDP(t, a)
		require.Equal(t, local, from)
		r.take(packet)
	}
	r.require(frames)
	require.Equal(t, uint32(0xabcd), r.last.SSRC)
	require.Equal(t, uint8(33), r.last.PayloadType)
	require.Equal(t, []*Sender{x}, s.List(sendKey))

	report, from := readUDP(t, b)
	require.Equal(t, netip.AddrPortFrom(local.Addr(), local.Port()+1), from)
	packets, err := rtcp.Unmarshal(report)
	require.NoError(t, err)
	require.Equal(t, uint32(0xabcd), packets[0].(*rtcp.SenderReport).SSRC)

	require.NoError(t, s.pub.Close())
	require.ErrorIs(t, s.over(x), io.EOF)
	bye, _ := readUDP(t, b)
	packets, err = rtcp.Unmarshal(bye)
	require.NoError(t, err)
	require.Equal(t, []uint32{0xabcd}, packets[1].(*rtcp.Goodbye).Sources)
	require.GreaterOrEqual(t, x.Stats().Frames, uint64(enough))
	require.Greater(t, x.Stats().Bytes, uint64(10000))
}

// fromNewestKey returns the frames from the newest key frame of the first n on.
func fromNewestKey(frames []*codec.Frame, n int) []*codec.Frame {
	at := 0
	for i, f := range frames[:n] {
		if f.Key() && f.Track.Kind() == codec.KindVideo {
			at = i
		}
	}
	return frames[at:]
}

// Nobody need listen where datagrams go to.
func TestSendUDPToNobody(t *testing.T) {
	s := newSent(t, sendStream)
	a, b := udpPair(t)
	x := s.start(SendOptions{To: a.LocalAddr().String()})
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	for want := uint64(1); want < 20; want++ {
		s.write(5)
		require.Eventually(t, func() bool { return x.Stats().Frames >= 5*want }, 10*time.Second, time.Millisecond)
	}
	require.NoError(t, x.Stats().Err)
	require.NoError(t, x.Close())
	require.ErrorIs(t, s.over(x), source.ErrClosed)
}

// A port of ours can be chosen; one that is taken is refused.
func TestSendFromPort(t *testing.T) {
	s := newSent(t, sendStream)
	a, _ := udpPair(t)
	ports := udp.Ports{Min: 20000, Max: 29999} // below those that systems give to connections
	held, next, ln, err := ports.PairTCP(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	port := held.LocalAddr().Port()
	for mode := SendUDP; mode <= SendUDPPassive; mode++ {
		_, err := s.Start(t.Context(), SendOptions{Key: sendKey, To: a.LocalAddr().String(), Port: port, Mode: mode})
		requirePortError(t, err, source.ErrBusy)
	}
	s.ports.Min, s.ports.Max = port, port+1 // which a first Start has set
	for _, mode := range []SendMode{SendUDP, SendUDPPassive, SendTCPPassive} {
		_, err := s.Start(t.Context(), SendOptions{Key: sendKey, To: a.LocalAddr().String(), Mode: mode})
		requirePortError(t, err, source.ErrLimit)
	}
	require.NoError(t, held.Close())
	require.NoError(t, next.Close())
	require.NoError(t, ln.Close())
	for _, mode := range []SendMode{SendUDP, SendUDPPassive, SendTCPPassive} {
		x := s.start(SendOptions{To: a.LocalAddr().String(), Port: port, Mode: mode})
		require.Equal(t, port, portOf(x.Stats().Local), mode)
		require.NoError(t, x.Close())
	}
}

func portOf(a net.Addr) uint16 {
	p := netip.MustParseAddrPort(a.String())
	return p.Port()
}

// The first datagram tells where to send; who comes then is a stranger.
func TestSendUDPPassive(t *testing.T) {
	s := newSent(t, sendStream)
	frames := s.write(60)
	x := s.start(SendOptions{Mode: SendUDPPassive, Payload: PayloadTS})
	require.Nil(t, x.Stats().Remote)
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(portOf(x.Stats().Local))}
	a, b := udpPair(t)
	stranger, _ := udpPair(t)
	_, err := a.WriteTo([]byte{0}, to)
	require.NoError(t, err)
	s.begun(x)
	require.Equal(t, a.LocalAddr().String(), x.Stats().Remote.String())
	_, err = stranger.WriteTo([]byte{0}, to)
	require.NoError(t, err)
	frames = fromNewestKey(append(frames, s.write(150)...), 60)
	r := sentTo{t: t}
	for len(r.got) < enough {
		packet, _ := readUDP(t, a)
		r.take(packet)
	}
	r.require(frames)
	readUDP(t, b)
	require.Equal(t, a.LocalAddr().String(), x.Stats().Remote.String())
	require.Equal(t, 1, s.Stop(sendKey, x.Stats().Options.SSRC))
	require.ErrorIs(t, s.over(x), source.ErrClosed)
	require.Zero(t, s.Stop(sendKey, x.Stats().Options.SSRC))
}

// Who does not come in time is not waited for, nor with a stream that ends.
func TestSendPassiveAlone(t *testing.T) {
	for _, mode := range []SendMode{SendUDPPassive, SendTCPPassive} {
		s := newSent(t, sendStream)
		s.write(10)
		x := s.start(SendOptions{Mode: mode, AcceptTimeout: time.Millisecond})
		require.ErrorIs(t, s.over(x), source.ErrTimeout)
		x = s.start(SendOptions{Mode: mode, AcceptTimeout: time.Minute})
		y := s.start(SendOptions{Mode: mode, AcceptTimeout: time.Minute})
		require.NoError(t, y.Close())
		require.ErrorIs(t, s.over(y), source.ErrClosed)
		require.NoError(t, s.pub.Close())
		require.ErrorIs(t, s.over(x), io.EOF)
	}
}

// readPackets reads packets in the framing of RFC 4571.
func (r *sentTo) readPackets(c io.Reader) error {
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return err
		}
		b := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		r.take(b)
	}
}

// A receiver by TCP has all there is up to the end of the stream, whoever connects.
func TestSendTCP(t *testing.T) {
	for _, mode := range []SendMode{SendTCP, SendTCPPassive} {
		t.Run(mode.String(), func(t *testing.T) {
			s := newSent(t, sendStream)
			frames := s.write(120)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer ln.Close()
			x := s.start(SendOptions{Mode: mode, To: ln.Addr().String(), Payload: PayloadTS})
			var c net.Conn
			if mode == SendTCP {
				c, err = ln.Accept()
			} else {
				c, err = net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(portOf(x.Stats().Local))})
			}
			require.NoError(t, err)
			defer c.Close()
			s.begun(x)
			require.Equal(t, c.LocalAddr().String(), x.Stats().Remote.String())
			require.Equal(t, portOf(c.RemoteAddr()), portOf(x.Stats().Local))
			_, err = c.Write([]byte("what receivers say does not matter"))
			require.NoError(t, err)
			frames = fromNewestKey(append(frames, s.write(200)...), 120)
			require.NoError(t, s.pub.Close())
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
			r := sentTo{t: t}
			require.Equal(t, io.EOF, r.readPackets(c))
			require.NoError(t, c.Close())
			r.got = r.demux.Flush(r.got)
			r.require(frames)
			require.Len(t, r.got, len(frames))
			require.ErrorIs(t, s.over(x), io.EOF)
		})
	}
}

// memSent is a sent whose connections are in memory; the receiver's side comes out
// of the channel.
func memSent(t *testing.T) (*sent, chan net.Conn) {
	s := newSent(t, sendStream)
	ln := memnet.Listen(64 << 10)
	conns := make(chan net.Conn, 1)
	s.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" || addr != "192.0.2.1:9" {
			return nil, errors.New(network + addr)
		}
		return ln.DialContext(ctx, network, addr)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() { _ = ln.Close() })
	return s, conns
}

// A receiver that hangs up, or reads nothing, ends the sending; so does an operator.
func TestSendTCPEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(s *sent, x *Sender, receiver net.Conn)
		want error
	}{
		{"hangs up", func(_ *sent, _ *Sender, r net.Conn) { _ = r.Close() }, ErrReceiverGone},
		{"hangs up while it is sent", func(s *sent, _ *Sender, r net.Conn) { s.write(600); _ = r.Close() }, ErrReceiverGone},
		{"does not read", func(s *sent, _ *Sender, _ net.Conn) {
			for range 200 {
				s.write(10)
				time.Sleep(100 * time.Millisecond)
			}
		}, source.ErrStalled},
		{"kicked", func(s *sent, x *Sender, _ net.Conn) { require.True(s.t, s.hub.Kick(x.Stats().ID)) }, source.ErrKicked},
		{"stopped", func(s *sent, _ *Sender, _ net.Conn) { require.Equal(s.t, 1, s.StopAll(sendKey)) }, source.ErrClosed},
		{"closed", func(s *sent, _ *Sender, _ net.Conn) { require.NoError(s.t, s.Close()) }, source.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, conns := memSent(t)
				s.write(60)
				x := s.start(SendOptions{Mode: SendTCP, To: "192.0.2.1:9"})
				receiver := <-conns
				defer receiver.Close()
				c.end(s, x, receiver)
				require.ErrorIs(t, s.over(x), c.want)
			})
		})
	}
}

// A publisher that was lost and comes back goes on being sent.
func TestSendLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, conns := memSent(t)
		s.write(60)
		x := s.start(SendOptions{Mode: SendTCP, To: "192.0.2.1:9", Payload: PayloadTS})
		receiver := <-conns
		r := sentTo{t: t}
		read := make(chan error)
		go func() { read <- r.readPackets(receiver) }()
		require.NoError(t, s.pub.CloseWithError(errors.New("lost")))
		time.Sleep(5 * time.Second)
		require.NoError(t, x.Stats().Err)
		before := x.Stats().Frames
		s.publish(sendStream)
		s.write(120)
		synctest.Wait()
		require.Greater(t, x.Stats().Frames, before+50)
		require.NoError(t, s.pub.Close())
		require.Equal(t, io.EOF, <-read)
		require.NoError(t, receiver.Close())
		require.ErrorIs(t, s.over(x), io.EOF)
	})
}

// A film is sent by the clock, to its end.
func TestSendFilm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const length = 3 * time.Second
		reel := filmtest.NewReel(sendStream, length)
		var over []SenderStats
		client, server := memnet.Pipe(64 << 10)
		s := &Senders{Handler: reel, OnEnd: func(x SenderStats) { over = append(over, x) },
			Dial: func(context.Context, string, string) (net.Conn, error) { return server, nil }}
		x, err := s.Start(t.Context(), SendOptions{Key: sendKey, Mode: SendTCP, To: "192.0.2.1:9", Payload: PayloadTS})
		require.NoError(t, err)
		began := time.Now()
		r := sentTo{t: t}
		require.Equal(t, io.EOF, r.readPackets(client))
		require.InDelta(t, length, time.Since(began), float64(500*time.Millisecond))
		require.NoError(t, client.Close())
		<-x.Done()
		r.got = r.demux.Flush(r.got)
		r.require(reel.Frames)
		require.Len(t, r.got, len(reel.Frames))
		require.Len(t, over, 1)
		require.ErrorIs(t, over[0].Err, io.EOF)
		require.EqualValues(t, len(reel.Frames), over[0].Frames)
		require.NoError(t, s.Close())
	})
}

// What cannot be sent is refused at once.
func TestSendRefused(t *testing.T) {
	s := newSent(t, testmedia.Stream{Video: codec.H264})
	s.write(10)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	to := closed.Addr().String()
	other := sendKey
	other.Stream = "other"
	for _, c := range []struct {
		name string
		o    SendOptions
		want error
	}{
		{"no such stream", SendOptions{Key: other, To: to}, source.ErrNotFound},
		{"no name", SendOptions{To: to}, source.ErrBadKey},
		{"no address", SendOptions{Key: sendKey}, ErrInvalid},
		{"payload", SendOptions{Key: sendKey, To: to, Payload: 9}, ErrInvalid},
		{"payload type", SendOptions{Key: sendKey, To: to, PayloadType: 128}, ErrInvalid},
		{"mode", SendOptions{Key: sendKey, To: to, Mode: 9}, ErrInvalid},
		{"no audio", SendOptions{Key: sendKey, To: to, OnlyAudio: true}, source.ErrUnsupported},
		{"nobody there", SendOptions{Key: sendKey, To: to, Mode: SendTCP}, nil},
		{"no port", SendOptions{Key: sendKey, To: "127.0.0.1"}, ErrInvalid},
		{"empty port", SendOptions{Key: sendKey, To: "127.0.0.1:"}, ErrInvalid},
		{"port 0", SendOptions{Key: sendKey, To: "127.0.0.1:0"}, ErrInvalid},
		{"port 0 by TCP", SendOptions{Key: sendKey, To: "[::1]:0", Mode: SendTCP}, ErrInvalid},
		{"port 70000", SendOptions{Key: sendKey, To: "127.0.0.1:70000"}, ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := s.Start(t.Context(), c.o)
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, s.List(source.Key{}))
			require.Zero(t, s.ports.Open())
		})
	}
	_, err = (&Senders{}).Start(t.Context(), SendOptions{Key: sendKey, To: to})
	require.ErrorIs(t, err, source.ErrNotFound)
	require.NoError(t, s.Close())
	_, err = s.Start(t.Context(), SendOptions{Key: sendKey, To: to})
	require.ErrorIs(t, err, source.ErrClosed)
	require.Empty(t, s.ended)
}

// A Key has the same defaults everywhere, which are those of Receivers.
func TestSendKeyDefaults(t *testing.T) {
	s := newSent(t, testmedia.Stream{Video: codec.H264})
	pub, err := s.hub.Publish(t.Context(), &source.Request{ID: source.NewID(), Schema: "test", Key: rtpKey("short")})
	require.NoError(t, err)
	require.NoError(t, pub.SetTracks(testmedia.Stream{Video: codec.H264}.Tracks(), true))
	a, _ := udpPair(t)
	short := source.Key{Stream: "short"}
	for i := range 3 {
		x, err := s.Start(t.Context(), SendOptions{Key: short, To: a.LocalAddr().String(), SSRC: 5})
		require.NoError(t, err)
		require.Equal(t, rtpKey("short"), x.Stats().Options.Key)
		for _, key := range []source.Key{short, {App: "rtp", Stream: "short"}, rtpKey("short"), {}} {
			require.Equal(t, []*Sender{x}, s.List(key))
		}
		require.Empty(t, s.List(sendKey))
		switch i {
		case 0:
			require.Equal(t, 1, s.Stop(short, 5))
		case 1:
			require.Equal(t, 1, s.StopAll(short))
		default:
			require.NoError(t, x.Close())
		}
		require.ErrorIs(t, s.over(x), source.ErrClosed)
	}
	require.NoError(t, pub.Close())
}

// Connecting takes no longer than 5 s, and ends with the caller's context or with
// Close.
func TestSendConnecting(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(s *sent, cancel func())
		want error
	}{
		{"in vain", func(*sent, func()) {}, source.ErrTimeout},
		{"given up", func(_ *sent, cancel func()) { cancel() }, context.Canceled},
		{"closed", func(s *sent, _ func()) { _ = s.Close() }, source.ErrClosed},
		{"stopped", func(s *sent, _ func()) { s.Stop(sendKey, 7) }, source.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSent(t, sendStream)
				s.write(10)
				s.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Second, func() { c.stop(s, cancel) })
				_, err := s.Start(ctx, SendOptions{Key: sendKey, Mode: SendTCP, To: "192.0.2.1:9", SSRC: 7})
				require.ErrorIs(t, err, c.want)
				require.Empty(t, s.ended)
			})
		})
	}
}

// Receivers of one form share what is made, those of others do not; each can be
// stopped by its SSRC.
func TestSendMany(t *testing.T) {
	s := newSent(t, sendStream)
	s.write(60)
	var ports []*net.UDPConn
	for range 4 {
		a, _ := udpPair(t)
		ports = append(ports, a)
	}
	for i, a := range ports {
		ssrc := uint32(1)
		if i == 3 {
			ssrc = 2
		}
		s.start(SendOptions{To: a.LocalAddr().String(), SSRC: ssrc, Payload: PayloadTS})
	}
	for _, a := range ports {
		readUDP(t, a)
	}
	viewers := map[string]int{}
	for _, f := range s.hub.Stream(sendKey).Stats().Feeds {
		viewers[f.Variant] = f.Viewers
	}
	require.Equal(t, map[string]int{"2 33 00000001 false 100ms": 3, "2 33 00000002 false 100ms": 1}, viewers)
	require.Empty(t, s.hub.Stream(sendKey).Stats().Viewers, "they are no viewers")
	require.Len(t, s.List(sendKey), 4)
	require.Equal(t, 3, s.Stop(source.Key{App: sendKey.App, Stream: sendKey.Stream}, 1))
	require.Len(t, s.List(sendKey), 1)
	require.Equal(t, 1, s.StopAll(sendKey))
}

// Senders that are opened and closed leave nothing, however the two meet.
func TestSendRaces(t *testing.T) {
	s := newSent(t, sendStream)
	s.write(30)
	a, _ := udpPair(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			mode, to := SendMode(i%4), a.LocalAddr().String()
			if mode.tcp() {
				to = ln.Addr().String()
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%5 == 0 {
				cancel()
			}
			x, err := s.Start(ctx, SendOptions{Key: sendKey, Mode: mode, To: to, SSRC: uint32(1 + i%3)})
			if err != nil {
				return
			}
			switch i % 3 {
			case 0:
				_ = x.Close()
			case 1:
				s.Stop(sendKey, 2)
			case 2:
				x.Stats()
			}
		})
	}
	all.Go(func() { s.write(60) })
	all.Wait()
	require.NoError(t, s.Close())
	require.Zero(t, s.ports.Open())
}

// A sender whose receiver reports is not silent; one that does not for too long is.
func TestSendReportTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		receiver := netip.MustParseAddrPort("192.0.2.1:1000")
		rr, err := (&rtcp.ReceiverReport{SSRC: 1}).Marshal()
		require.NoError(t, err)
		w := &sendUDP{x: &Sender{options: SendOptions{ReportTimeout: 30 * time.Second}}, met: make(chan struct{}), began: time.Now(), silent: make(chan struct{})}
		w.meetAt(receiver)
		w.watch()
		gone, why := w.gone()
		quiet := func() bool {
			synctest.Wait()
			select {
			case <-gone:
				return true
			default:
				return false
			}
		}
		for range 10 {
			time.Sleep(25 * time.Second)
			require.False(t, quiet())
			w.hear(1, rr, netip.AddrPortFrom(receiver.Addr(), 2000))
		}
		require.Equal(t, "192.0.2.1:2000", w.to[1].Load().String(), "reports go to where they come from")
		for range 3 { // all of no use
			time.Sleep(9 * time.Second)
			require.False(t, quiet())
			w.hear(1, rr, netip.MustParseAddrPort("192.0.2.2:1001"))
			w.hear(0, rr[:1], receiver)
			w.hear(0, []byte{0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, receiver)
		}
		time.Sleep(3 * time.Second)
		require.True(t, quiet())
		require.ErrorIs(t, why(), source.ErrTimeout)
	})
}

// A sender that hears nothing ends.
func TestSendUDPSilent(t *testing.T) {
	s := newSent(t, sendStream)
	s.write(30)
	a, _ := udpPair(t)
	x := s.start(SendOptions{To: a.LocalAddr().String(), ReportTimeout: time.Millisecond})
	require.ErrorIs(t, s.over(x), source.ErrTimeout)
}

// Receivers may have addresses of IPv6, and names.
func TestSendUDPAddresses(t *testing.T) {
	for _, c := range []struct{ network, listen, to string }{
		{"udp6", "[::1]:0", "[::1]"},
		{"udp4", "127.0.0.1:0", "localhost"},
	} {
		t.Run(c.to, func(t *testing.T) {
			pc, err := net.ListenPacket(c.network, c.listen)
			if err != nil {
				t.Skipf("no %s here: %v", c.network, err)
			}
			defer pc.Close()
			s := newSent(t, sendStream)
			s.write(30)
			x := s.start(SendOptions{To: fmt.Sprintf("%s:%d", c.to, portOf(pc.LocalAddr()))})
			_ = pc.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, from, err := pc.ReadFrom(make([]byte, 2000))
			require.NoError(t, err)
			require.Equal(t, x.Stats().Local.String(), from.String())
		})
	}
}
