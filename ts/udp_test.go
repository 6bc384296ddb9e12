package ts

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/internal/udp"
	"github.com/mediakit-go/mediakit/source"
)

// udpStream is what senders of datagrams send.
var udpStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second, BFrames: 1}

// A testDatagram is a part of a stream, and which time of it.
type testDatagram struct {
	b  []byte
	at time.Duration
}

// datagramsOf returns frames as datagrams of seven packets, in RTP from a
// sequence number on, or as they are.
func datagramsOf(t testing.TB, tracks []*codec.Track, frames []*codec.Frame, inRTP bool, sequence uint16) (all []testDatagram) {
	t.Helper()
	m := NewMuxer(tracks)
	var b []byte
	for i, f := range frames {
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
		for len(b) >= 7*PacketSize || i == len(frames)-1 && len(b) > 0 {
			n := min(7*PacketSize, len(b))
			payload := b[:n:n]
			if inRTP {
				h := []byte{0x80, 33}
				h = binary.BigEndian.AppendUint16(h, sequence)
				h = binary.BigEndian.AppendUint32(h, uint32(codec.Ticks(f.DTS, 90000)))
				payload = append(append(h, "SSRC"...), payload...)
				sequence++
			}
			all = append(all, testDatagram{payload, f.DTS})
			b = b[n:]
		}
	}
	return all
}

// requireCame requires that got is what was sent, from its first frame on, which
// is at the time 0.
func requireCame(t testing.TB, sent, got []*codec.Frame) {
	t.Helper()
	next := map[codec.Kind][]*codec.Frame{}
	for _, f := range sent {
		next[f.Track.Kind()] = append(next[f.Track.Kind()], f)
	}
	for i, f := range got {
		k := f.Track.Kind()
		want := next[k][0]
		next[k] = next[k][1:]
		require.True(t, bytes.Equal(want.Data, f.Data), "frame %d, %v", i, k)
		require.InDelta(t, want.DTS-sent[0].DTS, f.DTS, float64(time.Millisecond))
		require.InDelta(t, want.PTS-want.DTS, f.PTS-f.DTS, float64(time.Millisecond))
	}
}

// readFrames reads n frames.
func readFrames(t testing.TB, r source.Reader, n int) (frames []*codec.Frame) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for range n {
		f, err := r.ReadFrame(ctx)
		require.NoError(t, err, "after %d of %d frames", len(frames), n)
		frames = append(frames, f)
	}
	return frames
}

// TestListen receives streams on sockets, of one address and of a group, as they
// are and in RTP.
func TestListen(t *testing.T) {
	lo, err := udp.InterfaceOf(netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	sent := udpStream.Take(4 * time.Second)
	for _, c := range []struct {
		name, url string // with a port
		group     bool
	}{
		{"address", "udp://127.0.0.1:%d", false},
		{"name", "rtp://localhost:%d", false},
		{"any address", "udp://@:%d?pkt_size=1316", false},
		{"group", "udp://@239.255.77.9:%d?interface=" + lo.Name, true},
		{"group, address of the interface, source", "udp://239.255.77.9:%d?interface=127.0.0.1&source=127.0.0.1", true},
	} {
		for _, inRTP := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, %v", c.name, inRTP), func(t *testing.T) {
				free, err := net.ListenPacket("udp", "127.0.0.1:0")
				require.NoError(t, err)
				port := free.LocalAddr().(*net.UDPAddr).Port
				require.NoError(t, free.Close())
				pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
				require.NoError(t, err)
				sender := udp.NewConn(pc)
				defer sender.Close()
				to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
				if c.group {
					to = netip.AddrPortFrom(netip.MustParseAddr("239.255.77.9"), uint16(port))
					require.NoError(t, sender.SetMulticast(udp.Multicast{Interface: lo, Loopback: true}))
					probe, err := udp.ListenMulticast(to, netip.Addr{}, lo)
					if err != nil {
						t.Skip("no groups here:", err)
					}
					require.NoError(t, probe.Close())
				}

				d, err := (&Listener{ReadBuffer: 4 << 20}).open(fmt.Sprintf(c.url, port))
				require.NoError(t, err)
				for _, x := range datagramsOf(t, udpStream.Tracks(), sent, inRTP, 65530) {
					_, err := sender.WriteTo(x.b, to)
					require.NoError(t, err)
				}
				r, err := openDatagrams(t.Context(), d)
				require.NoError(t, err)
				defer r.Close()
				require.Len(t, r.Tracks(), 2)
				requireCame(t, sent, readFrames(t, r, len(sent)-5))
			})
		}
	}
}

// A memoryPort is a UDP port in memory.
type memoryPort struct {
	in   chan memoryDatagram
	done chan struct{}
	wake chan struct{} // the deadline has changed

	mu       sync.Mutex // guards deadline
	deadline time.Time
}

type memoryDatagram struct {
	b    []byte
	from netip.AddrPort
}

func newMemoryPort() *memoryPort {
	return &memoryPort{in: make(chan memoryDatagram, 1<<16), done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// listen is the ListenPacket of a Listener.
func (p *memoryPort) listen(_, _ string) (net.PacketConn, error) { return p, nil }

func (p *memoryPort) send(from string, b []byte) {
	p.in <- memoryDatagram{bytes.Clone(b), netip.MustParseAddrPort(from)}
}

func (p *memoryPort) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		p.mu.Lock()
		deadline := p.deadline
		p.mu.Unlock()
		late := make(<-chan time.Time)
		if !deadline.IsZero() {
			if !time.Now().Before(deadline) {
				return 0, nil, os.ErrDeadlineExceeded
			}
			late = time.After(time.Until(deadline))
		}
		select {
		case x := <-p.in:
			return copy(b, x.b), net.UDPAddrFromAddrPort(x.from), nil
		case <-late:
		case <-p.wake:
		case <-p.done:
			return 0, nil, net.ErrClosed
		}
	}
}

func (p *memoryPort) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

func (p *memoryPort) Close() error                              { close(p.done); return nil }
func (p *memoryPort) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (p *memoryPort) LocalAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1234}
}
func (p *memoryPort) SetDeadline(time.Time) error      { return nil }
func (p *memoryPort) SetWriteDeadline(time.Time) error { return nil }

// The address of a sender.
const senderAddr = "10.0.0.2:5000"

// play sends datagrams when it is their time, from now on.
func (p *memoryPort) play(all []testDatagram) {
	began := time.Now()
	for _, x := range all {
		time.Sleep(time.Until(began.Add(x.at)))
		p.send(senderAddr, x.b)
	}
}

// TestListenLoss: packets in RTP that are lost cost the frames that they were of,
// those that come in another order nothing.
func TestListenLoss(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			sent := udpStream.Take(10 * time.Second)
			all := datagramsOf(t, udpStream.Tracks(), sent, true, 65000)
			var came []testDatagram
			for i, x := range all {
				if i < 20 || i > len(all)-20 || rnd.IntN(50) > 0 {
					came = append(came, x)
				}
			}
			require.Less(t, len(came), len(all)-5)
			for i := 1; i+8 < len(came); i += 8 {
				rnd.Shuffle(8, func(a, b int) { came[i+a].b, came[i+b].b = came[i+b].b, came[i+a].b })
			}
			port := newMemoryPort()
			go port.play(came)
			r, err := (&Listener{ListenPacket: port.listen}).Open(t.Context(), "udp://127.0.0.1:1234")
			require.NoError(t, err)
			defer r.Close()
			got := map[codec.Kind][]*codec.Frame{}
			for {
				f, err := r.ReadFrame(t.Context())
				if err != nil {
					require.ErrorIs(t, err, source.ErrTimeout)
					break
				}
				if !f.Has(codec.FlagCorrupt) {
					got[f.Track.Kind()] = append(got[f.Track.Kind()], f)
				}
			}
			for kind, got := range got {
				i, missing := 0, 0
				for _, f := range sent {
					if f.Track.Kind() != kind {
						continue
					}
					if i < len(got) && bytes.Equal(f.Data, got[i].Data) {
						require.InDelta(t, f.DTS-sent[0].DTS, got[i].DTS, float64(time.Millisecond))
						i++
					} else {
						missing++
					}
				}
				require.Equal(t, len(got), i, "%v that was not sent", kind)
				require.Positive(t, missing)
				require.Less(t, missing, len(got)/2)
			}
			require.Len(t, got, 2)
		})
	}
}

// TestListenSilence: a sender that has gone, or never was, is told.
func TestListenSilence(t *testing.T) {
	for _, c := range []struct{ limit, want time.Duration }{{0, 15 * time.Second}, {2 * time.Second, 2 * time.Second}} {
		for _, inRTP := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				port := newMemoryPort()
				l := &Listener{ListenPacket: port.listen, ReadTimeout: c.limit}
				began := time.Now()
				_, err := l.Open(t.Context(), "udp://127.0.0.1:1234")
				require.ErrorIs(t, err, source.ErrTimeout)
				require.Equal(t, c.want, time.Since(began))

				port = newMemoryPort()
				l.ListenPacket = port.listen
				sent := udpStream.Take(2 * time.Second)
				all := datagramsOf(t, udpStream.Tracks(), sent, inRTP, 7)
				go port.play(all)
				r, err := l.Open(t.Context(), "udp://127.0.0.1:1234")
				require.NoError(t, err)
				defer r.Close()
				for err == nil {
					_, err = r.ReadFrame(t.Context())
				}
				require.ErrorIs(t, err, source.ErrTimeout)
				require.Equal(t, all[len(all)-1].at+c.want, time.Since(began)-c.want)
			})
		}
	}
}

// TestListenForEver: without a limit silence is no error; Close and the context
// end the waiting.
func TestListenForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newMemoryPort()
		l := &Listener{ListenPacket: port.listen, ReadTimeout: -1}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := time.Now()
		_, err := l.Open(ctx, "udp://127.0.0.1:1234")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Hour, time.Since(began))

		port = newMemoryPort()
		l.ListenPacket = port.listen
		go port.play(datagramsOf(t, udpStream.Tracks(), udpStream.Take(2*time.Second), false, 0))
		r, err := l.Open(t.Context(), "udp://127.0.0.1:1234")
		require.NoError(t, err)
		time.AfterFunc(time.Hour, func() { r.Close() })
		for err == nil {
			_, err = r.ReadFrame(t.Context())
		}
		require.ErrorIs(t, err, source.ErrClosed)
	})
}

// TestListenStrangers: who comes first is listened to, unless it is no transport
// stream, or not who is wanted.
func TestListenStrangers(t *testing.T) {
	for _, c := range []struct{ url, before string }{
		{"udp://127.0.0.1:1234", ""},
		{"udp://127.0.0.1:1234?source=10.0.0.2", "10.0.0.9:5000"},
	} {
		for _, inRTP := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				sent := udpStream.Take(2 * time.Second)
				other := datagramsOf(t, udpStream.Tracks(), testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Seed: 9}.Take(2*time.Second), true, 9)
				port := newMemoryPort()
				for _, b := range [][]byte{{}, {0x47}, []byte("hello"), bytes.Repeat([]byte{0x80}, 1328), bytes.Repeat([]byte{0x47, 0, 0}, 188), make([]byte, 1316)} {
					port.send("10.0.0.3:5000", b)
				}
				for i, x := range datagramsOf(t, udpStream.Tracks(), sent, inRTP, 7) {
					if c.before != "" {
						port.send(c.before, other[i%len(other)].b)
					}
					port.send(senderAddr, x.b)
					port.send("10.0.0.2:5001", other[i%len(other)].b)
					port.send(senderAddr, []byte{0x80, 200, 0, 1, 0, 0, 0, 0}) // a report
				}
				r, err := (&Listener{ListenPacket: port.listen}).Open(t.Context(), c.url)
				require.NoError(t, err)
				defer r.Close()
				requireCame(t, sent, readFrames(t, r, len(sent)-5))
			})
		}
	}
}

// TestListenRestart: a sender that begins anew, in RTP, is gone on with.
func TestListenRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port := newMemoryPort()
		first := udpStream.Take(2 * time.Second)
		other := testmedia.Stream{Video: codec.H265, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second}
		second := other.Take(2 * time.Second)
		again := datagramsOf(t, other.Tracks(), second, true, 31000)
		for _, x := range again {
			copy(x.b[8:], "NEWS")
		}
		go func() {
			port.play(datagramsOf(t, udpStream.Tracks(), first, true, 7))
			port.play(again)
		}()
		r, err := (&Listener{ListenPacket: port.listen}).Open(t.Context(), "rtp://127.0.0.1:1234")
		require.NoError(t, err)
		defer r.Close()
		last := map[codec.Kind]time.Duration{}
		seen := map[codec.Codec]int{}
		for {
			f, err := r.ReadFrame(t.Context())
			if err != nil {
				require.ErrorIs(t, err, source.ErrTimeout)
				break
			}
			require.GreaterOrEqual(t, f.DTS, last[f.Track.Kind()])
			last[f.Track.Kind()] = f.DTS
			seen[f.Track.Codec]++
		}
		require.Greater(t, seen[codec.H264], 45)
		require.Greater(t, seen[codec.H265], 45)
	})
}

func TestListenURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want udpAddress
	}{
		{"udp://127.0.0.1:1234", udpAddress{"127.0.0.1:1234", netip.MustParseAddrPort("127.0.0.1:1234"), netip.Addr{}, ""}},
		{"udp://:1234", udpAddress{":1234", netip.AddrPortFrom(netip.Addr{}, 1234), netip.Addr{}, ""}},
		{"rtp://@:1234", udpAddress{":1234", netip.AddrPortFrom(netip.Addr{}, 1234), netip.Addr{}, ""}},
		{"udp://camera:1234", udpAddress{"camera:1234", netip.AddrPortFrom(netip.Addr{}, 1234), netip.Addr{}, ""}},
		{"udp://@239.1.2.3:1234?interface=eth0&source=10.0.0.7", udpAddress{"239.1.2.3:1234", netip.MustParseAddrPort("239.1.2.3:1234"), netip.MustParseAddr("10.0.0.7"), "eth0"}},
		{"udp://[ff02::1]:99", udpAddress{"[ff02::1]:99", netip.MustParseAddrPort("[ff02::1]:99"), netip.Addr{}, ""}},
		{"udp://[::ffff:239.1.2.3]:99?source=::ffff:10.0.0.7", udpAddress{"[::ffff:239.1.2.3]:99", netip.MustParseAddrPort("239.1.2.3:99"), netip.MustParseAddr("10.0.0.7"), ""}},
	} {
		a, err := parseUDP(c.url)
		require.NoError(t, err, c.url)
		require.Equal(t, c.want, a, c.url)
	}
	for _, url := range []string{"", ":", "udp:", "udp://", "udp://1.2.3.4", "udp://1.2.3.4:", "udp://1.2.3.4:0", "udp://1.2.3.4:70000",
		"udp://1.2.3.4:x", "tcp://1.2.3.4:1", "udp://1.2.3.4:1?source=x", "udp://239.1.2.3:1234?interface=none"} {
		_, err := Listen(t.Context(), url)
		require.Error(t, err, url)
	}
}

// TestListenErrors: a port that cannot be had, and one that fails.
func TestListenErrors(t *testing.T) {
	refused := errors.New("refused")
	_, err := (&Listener{ListenPacket: func(string, string) (net.PacketConn, error) { return nil, refused }}).Open(t.Context(), "udp://:1234")
	require.ErrorIs(t, err, refused)
	broken := &brokenPort{newMemoryPort(), refused}
	_, err = (&Listener{ListenPacket: func(string, string) (net.PacketConn, error) { return broken, nil }}).Open(t.Context(), "udp://:1234")
	require.ErrorIs(t, err, refused)
}

// A brokenPort is a port that cannot be read.
type brokenPort struct {
	*memoryPort
	err error
}

func (p *brokenPort) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, p.err }

// datagramCases are what begins a stream, and what does not.
var datagramCases = []struct {
	name string
	b    []byte
	ok   bool
}{
	{"empty", nil, false},
	{"a packet", append([]byte{syncByte}, make([]byte, 187)...), true},
	{"a packet, cut", append([]byte{syncByte}, make([]byte, 186)...), false},
	{"two packets", bytes.Repeat(append([]byte{syncByte}, make([]byte, 187)...), 2), true},
	{"two, the second is none", append([]byte{syncByte}, make([]byte, 375)...), false},
	{"RTP", append([]byte{0x80, 33}, make([]byte, 10)...), true},
	{"RTP of another version", append([]byte{0x40, 33}, make([]byte, 10)...), false},
	{"RTP of another type", append([]byte{0x80, 96}, make([]byte, 10)...), false},
	{"RTP of another type with packets", append([]byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, syncByte}, make([]byte, 187)...), true},
	{"RTP, the sources cut", append([]byte{0x8f, 33}, make([]byte, 10)...), false},
}

func TestDatagramsBegin(t *testing.T) {
	for _, c := range datagramCases {
		require.Equal(t, c.ok, (&datagrams{}).begin(c.b), c.name)
	}
}

// FuzzDatagrams has datagrams come that are parts of b: two bytes of length, the
// content.
func FuzzDatagrams(f *testing.F) {
	for _, c := range datagramCases {
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(c.b))), c.b...))
	}
	var b []byte
	for _, x := range datagramsOf(f, udpStream.Tracks(), udpStream.Take(100*time.Millisecond), true, 65530) {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(x.b))), x.b...)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		port := newMemoryPort()
		l := &Listener{ListenPacket: port.listen, ReadTimeout: time.Nanosecond}
		d, err := l.open("udp://127.0.0.1:1234")
		require.NoError(t, err)
		defer d.Close()
		now, want := time.Unix(1, 0), 0
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			d.take(b[2:2+n:2+n], netip.MustParseAddrPort(senderAddr), now)
			want += n
			b = b[2+n:]
			now = now.Add(50 * time.Millisecond)
		}
		require.LessOrEqual(t, len(d.rest), want)
	})
}
