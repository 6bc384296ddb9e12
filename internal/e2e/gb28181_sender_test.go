package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/player"
	"github.com/mediakit-go/mediakit/ps"
	"github.com/mediakit-go/mediakit/source"
)

// publishFilm publishes a film on a server in real time, and says goodbye.
func publishFilm(t testing.TB, s *server, name string, f *film) (wait func()) {
	t.Helper()
	ctx := t.Context()
	pub, err := s.Publish(ctx, &source.Request{ID: source.NewID(), Schema: "film", Protocol: "film", Key: named(name)})
	require.NoError(t, err)
	require.NoError(t, pub.SetTracks(f.Tracks(), true))
	done := make(chan error, 1)
	go func() {
		err := source.Copy(ctx, pub, f)
		done <- errors.Join(err, pub.CloseWithError(err))
	}()
	return func() {
		t.Helper()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Fatal("the film does not end")
		}
	}
}

// sends has se send the server's streams.
func sends(t testing.TB, s *server, se *ps.Senders) *ps.Senders {
	t.Helper()
	se.Handler = s
	t.Cleanup(func() { require.NoError(t, se.Close()) })
	return se
}

// ended waits for the end of a sender and returns its last figures.
func ended(t testing.TB, s *ps.Sender) ps.SenderStats {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("the sender does not end")
	}
	return s.Stats()
}

// TestGB28181RoundTrip sends a film as RTP to a port of our own, each payload in
// each way: its frames arrive as they were.
func TestGB28181RoundTrip(t *testing.T) {
	t.Parallel()
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second}
	for _, payload := range []struct {
		name string
		ps.Payload
		kind byte
	}{{"PS", ps.PayloadPS, 96}, {"TS", ps.PayloadTS, 33}, {"ES", ps.PayloadES, 98}} {
		for _, way := range []struct {
			name string
			send ps.SendMode
			take ps.TCPMode
		}{{"UDP", ps.SendUDP, ps.UDPOnly}, {"TCP active", ps.SendTCP, ps.TCPPassive}, {"TCP passive", ps.SendTCPPassive, ps.TCPActive}} {
			t.Run(payload.name+" by "+way.name, func(t *testing.T) {
				t.Parallel()
				f := load(t, c)
				s, receivers, senders := serve(t, briefly()), &ps.Receivers{}, &ps.Senders{}
				receive(t, s, receivers)
				sends(t, s, senders)
				in, err := receivers.Open(ps.ReceiverOptions{
					Key: named("live/copy"), Addr: loopback, Mode: way.take, SSRC: 77, Receive: ps.ReceiveOptions{Timeout: brief},
				})
				require.NoError(t, err)
				viewer := playFrom(t, (&player.Client{Timeout: patience, ReadTimeout: patience}).Source(s.url("rtmp", "live/copy")))
				s.viewers(t, 1)

				shown := publishFilm(t, s, "live/t", f)
				o := ps.SendOptions{Key: named("live/t"), Mode: way.send, SSRC: 77, PayloadType: payload.kind, Payload: payload.Payload}
				if way.send != ps.SendTCPPassive {
					o.To = at(in.Port())
				}
				out, err := senders.Start(t.Context(), o)
				require.NoError(t, err)
				if way.take == ps.TCPActive {
					require.NoError(t, in.Connect(t.Context(), at(uint16(portOf(out.Stats().Local)))))
				}
				require.Equal(t, []*ps.Sender{out}, senders.List(named("live/t")))
				shown()
				st := ended(t, out)
				require.ErrorIs(t, st.Err, io.EOF, "the stream has ended")
				require.Positive(t, st.Bytes)
				require.Empty(t, senders.List(named("live/t")))

				x := exactness{tick: byFLV.tick, late: true} // who comes late gets all from the key frame before
				if payload.Payload == ps.PayloadES {
					f = &film{tracks: f.tracks[:1], frames: ofKind(f.frames, codec.KindVideo)}
				}
				got := viewer()
				f.requireLike(t, got, x)
				require.Greater(t, len(ofKind(got, codec.KindVideo)), 74, "pictures, of 100")
			})
		}
	}
}

// TestGB28181SendersOfOne: a stream is sent to several at once, with sound only to
// one of them. One is told to stop, the other is sent all of it.
func TestGB28181SendersOfOne(t *testing.T) {
	t.Parallel()
	f := load(t, clip{video: "h264", audio: "aac", duration: 4 * time.Second})
	s := serve(t, briefly())
	addr := ingest(t, s, &ps.Server{})
	ends := make(chan ps.SenderStats, 3)
	senders := sends(t, s, &ps.Senders{OnEnd: func(st ps.SenderStats) { ends <- st }})
	patiently := &player.Client{Timeout: patience, ReadTimeout: patience}
	all := playFrom(t, patiently.Source(s.url("rtmp", bySSRC(1))))
	sound := playFrom(t, patiently.Source(s.url("rtmp", bySSRC(2))))
	s.viewers(t, 2)
	shown := publishFilm(t, s, "live/t", f)
	_, err := senders.Start(t.Context(), ps.SendOptions{Key: named("live/t"), To: addr, SSRC: 1})
	require.NoError(t, err)
	_, err = senders.Start(t.Context(), ps.SendOptions{Key: named("live/t"), To: addr, SSRC: 2, OnlyAudio: true, Mode: ps.SendTCP})
	require.NoError(t, err)
	third, err := senders.Start(t.Context(), ps.SendOptions{Key: named("live/t"), To: addr, SSRC: 3})
	require.NoError(t, err)
	require.Equal(t, 1, senders.Stop(named("live/t"), 3))
	require.ErrorIs(t, ended(t, third).Err, source.ErrClosed, "was told to")
	shown()
	f.requireLike(t, all(), exactness{tick: byFLV.tick, late: true})
	g := &film{tracks: f.tracks[1:], frames: ofKind(f.frames, codec.KindAudio)}
	g.requireLike(t, sound(), exactness{tick: byFLV.tick, late: true})
	seen := map[uint32]error{}
	for range 3 {
		st := <-ends
		seen[st.Options.SSRC] = st.Err
	}
	require.Len(t, seen, 3)
	require.ErrorIs(t, seen[3], source.ErrClosed)
	require.ErrorIs(t, seen[1], io.EOF)
	require.ErrorIs(t, seen[2], io.EOF)
}

// unread returns how many bytes a program has not read yet from a port of UDP, and
// whether somebody has the port.
func unread(t testing.TB, port int) (n uint64, bound bool) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/udp")
	require.NoError(t, err)
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) < 5 || !strings.HasSuffix(words[1], suffix) {
			continue
		}
		_, rx, _ := strings.Cut(words[4], ":")
		n, err := strconv.ParseUint(rx, 16, 64)
		require.NoError(t, err)
		return n, true
	}
	return 0, false
}

// TestGB28181ToGStreamer: what we send, GStreamer can read.
func TestGB28181ToGStreamer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("it is not known when GStreamer is ready")
	}
	c := clip{video: "h264", audio: "aac", bframes: 2, duration: 4 * time.Second}
	pictures := screen(t, c.file(t)).wait()
	const (
		// Its depayloader for program streams does not say that they may be of MPEG-2.
		asPS   = "rtpmp1sdepay ! capssetter replace=true caps=video/mpeg,mpegversion=2,systemstream=true ! mpegpsdemux"
		asTS   = "rtpmp2tdepay ! tsdemux"
		asH264 = "rtph264depay"
	)
	for _, x := range []struct {
		name    string
		payload ps.Payload
		kind    string // encoding and payload type
		parse   string
		mode    ps.SendMode
	}{
		{"PS by UDP", ps.PayloadPS, "MP1S,payload=96", asPS, ps.SendUDP},
		{"TS by UDP", ps.PayloadTS, "MP2T,payload=33", asTS, ps.SendUDP},
		{"ES by UDP", ps.PayloadES, "H264,payload=98", asH264, ps.SendUDP},
		{"PS by TCP active", ps.PayloadPS, "MP1S,payload=96", asPS, ps.SendTCP},
		{"TS by TCP passive", ps.PayloadTS, "MP2T,payload=33", asTS, ps.SendTCPPassive},
		{"ES by TCP passive", ps.PayloadES, "H264,payload=98", asH264, ps.SendTCPPassive},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s, senders := serve(t, briefly()), &ps.Senders{}
			sends(t, s, senders)
			out := filepath.Join(t.TempDir(), "video.h264")
			read := func(from ...string) *process {
				caps := ",media=video,clock-rate=90000,encoding-name=" + x.kind
				if from[0] == "udpsrc" {
					from = append(from, "caps=application/x-rtp"+caps, "!", "rtpjitterbuffer")
				} else {
					from = append(from, "!", "application/x-rtp-stream"+caps, "!", "rtpstreamdepay")
				}
				return start(t, "gst-launch-1.0", append(append(append([]string{"-e", "-q"}, from...), "!"),
					strings.Fields(x.parse+" ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! filesink location="+out)...)...)
			}
			o := ps.SendOptions{Key: named("live/t"), Mode: x.mode, SSRC: 5, Payload: x.payload}
			addr := freeAddr(t)
			_, port, err := net.SplitHostPort(addr)
			require.NoError(t, err)
			number := 0 // of the port for UDP
			var gst *process
			switch x.mode {
			case ps.SendUDP:
				pc, err := net.ListenPacket("udp", "127.0.0.1:0")
				require.NoError(t, err)
				number = portOf(pc.LocalAddr())
				require.NoError(t, pc.Close())
				o.To = pc.LocalAddr().String()
				_, port, _ = net.SplitHostPort(o.To)
				gst = read("udpsrc", "port="+port)
				eventually(t, func() bool {
					_, ok := unread(t, number)
					return ok
				}, "GStreamer has the port")
			case ps.SendTCP:
				o.To = addr
				gst = read("tcpserversrc", "host=127.0.0.1", "port="+port)
			}
			shown := publishFilm(t, s, "live/t", load(t, c))
			var sender *ps.Sender
			if x.mode == ps.SendTCP { // it listens when it is ready, to one
				eventually(t, func() bool {
					sender, err = senders.Start(t.Context(), o)
					if err == nil {
						select {
						case <-sender.Done():
							err = sender.Stats().Err
						case <-time.After(100 * time.Millisecond):
						}
					}
					return err == nil
				}, "GStreamer is connected to")
			} else {
				sender, err = senders.Start(t.Context(), o)
				require.NoError(t, err)
			}
			if x.mode == ps.SendTCPPassive {
				_, port, _ = net.SplitHostPort(sender.Stats().Local.String())
				gst = read("tcpclientsrc", "host=127.0.0.1", "port="+port)
			}
			shown()
			require.ErrorIs(t, ended(t, sender).Err, io.EOF)
			if x.mode == ps.SendUDP {
				eventually(t, func() bool { // filesink writes when it has some or when it is told to end
					n, _ := unread(t, number)
					return n == 0
				}, "GStreamer has taken what there was")
				gst.signal(syscall.SIGINT)
			}
			gst.ok(patience)
			// GStreamer's demuxers drop the last picture when nothing comes behind it.
			got := screenKinds(t, out, nil, "video").wait()
			requireSameHashes(t, pictures, got, "video", 27)
		})
	}
}

// TestGB28181TalkBack: while a device sends, it is sent sound over its own
// connection, or to the port it sends from.
func TestGB28181TalkBack(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s, server, senders := serve(t, briefly()), &ps.Server{}, &ps.Senders{}
			addr := ingest(t, s, server)
			sends(t, s, senders)
			conn, err := net.Dial(network, addr)
			require.NoError(t, err)
			heard := listen(t, conn, network)
			f := load(t, clip{video: "h264", duration: 6 * time.Second})
			d := device{Sender: rtptest.Sender{SSRC: 0x99, PayloadType: 96}, network: network}
			viewer := play(t, s.url("rtmp", bySSRC(d.SSRC)))
			s.viewers(t, 1)
			wait := d.over(t, conn, programStream(t, f))

			eventually(t, func() bool { return server.Session(named(bySSRC(d.SSRC))) != nil }, "the device's session")
			talk := gbFilm(t, clip{audio: "alaw", duration: 3 * time.Second})
			shown := publishFilm(t, s, "live/talk", talk)
			sender, err := senders.Start(t.Context(), ps.SendOptions{
				Key: named("live/talk"), Over: server.Session(named(bySSRC(d.SSRC))), SSRC: 0x1234, PayloadType: 8, Payload: ps.PayloadES, OnlyAudio: true,
			})
			require.NoError(t, err)
			shown()
			require.ErrorIs(t, ended(t, sender).Err, io.EOF)
			wait()
			f.requireFrames(t, viewer())

			var said []byte
			for _, s := range talk.frames {
				said = append(said, s.Data...)
			}
			got := heard(0x1234)
			require.Greater(t, len(got), len(said)*9/10)
			require.True(t, bytes.HasSuffix(said, got), "%d bytes of %d", len(got), len(said))
		})
	}
}

// listen reads what a device is sent. The function that it returns waits for the
// end of the connection and returns the payloads of an SSRC in their order.
func listen(t testing.TB, conn net.Conn, network string) (payloads func(ssrc uint32) []byte) {
	t.Helper()
	var mu sync.Mutex
	var packets [][]byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			var n int
			var err error
			if network == "tcp" {
				if _, err = io.ReadFull(conn, b[:2]); err == nil {
					n, err = io.ReadFull(conn, b[:binary.BigEndian.Uint16(b)])
				}
			} else {
				n, err = conn.Read(b)
			}
			if err != nil {
				return
			}
			mu.Lock()
			packets = append(packets, bytes.Clone(b[:n]))
			mu.Unlock()
		}
	}()
	return func(ssrc uint32) (all []byte) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the connection does not end")
		}
		mu.Lock()
		defer mu.Unlock()
		last := -1
		for _, p := range packets {
			if len(p) < 12 || p[0]>>6 != 2 || binary.BigEndian.Uint32(p[8:]) != ssrc {
				continue
			}
			require.Equal(t, byte(8), p[1]&0x7f, "payload type")
			seq := int(binary.BigEndian.Uint16(p[2:]))
			require.True(t, last < 0 || seq == (last+1)&0xffff, "packet %d behind %d", seq, last)
			last = seq
			all = append(all, p[12:]...)
		}
		return all
	}
}
