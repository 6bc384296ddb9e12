package rtsp

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
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

// publishing returns a publisher of a stream on a new server, and what it sends.
func publishing(t testing.TB, st testmedia.Stream) (*testPublisher, *taken, *Server) {
	t.Helper()
	k := newTaker()
	s := &Server{Handler: k}
	url := startServer(t, s)
	p := newTestPublisher(dialPeer(t, url), url+"cam", st.Tracks())
	p.publish()
	return p, k.only(t), s
}

// TestRecord: what is published arrives, for every codec.
func TestRecord(t *testing.T) {
	for _, st := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC, BFrames: 2, Change: 2},
		{Video: codec.H265, Audio: codec.Opus, BFrames: 1},
		{Video: codec.AV1, Audio: codec.PCMA},
		{Video: codec.VP8, Audio: codec.PCMU},
		{Video: codec.VP9, Audio: codec.MP3},
		{Video: codec.MJPEG},
		{Audio: codec.AAC},
	} {
		t.Run(fmt.Sprint(st.Video, " ", st.Audio), func(t *testing.T) {
			st.GOP = 400 * time.Millisecond
			tracks := st.Tracks()
			sent := st.Take(2 * time.Second)
			for i, track := range tracks { // tracks are numbered from 1 on
				one := *track
				one.ID = i + 1
				for j, f := range sent {
					if f.Track.ID == track.ID && track.ID != one.ID {
						g, gt := *f, *f.Track
						gt.ID = one.ID
						g.Track = &gt
						sent[j] = &g
					}
				}
				tracks[i] = &one
			}
			k := newTaker()
			url := startServer(t, &Server{Handler: k})
			p := newTestPublisher(dialPeer(t, url), url+"cam", tracks)
			p.publish()
			for i := range tracks { // so that they are aligned from the first frame on
				p.send(p.report(i, 0, time.Now()))
			}
			p.send(p.packets(sent)...)
			p.do(200, "TEARDOWN", p.url)
			x := k.only(t)
			require.NoError(t, x.end(t))
			require.True(t, x.complete)
			require.Len(t, x.tracks, len(tracks))
			requireReceived(t, sent, x.frames, len(tracks))
		})
	}
}

// TestRecordPlayed: a stream goes live and can be watched, though its parameters
// come in band only.
func TestRecordPlayed(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.medias[0].payload.Params = nil
	require.NotContains(t, p.sdp(), "sprop")
	p.publish()
	p.send(p.packets(testStream.Take(2 * time.Second))...)
	v := dialPeer(t, url)
	d, _ := v.play(url + "cam")
	require.Len(t, d.medias, 2)
	require.NotNil(t, d.medias[0].track.Config)
	require.True(t, len(v.rtp().Payload) > 0)
	p.do(200, "TEARDOWN", p.url)
	requireClosed(t, v.nc)
}

// TestRecordOpaque: an encoding that nobody knows arrives as it was sent.
func TestRecordOpaque(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	track := &codec.Track{ID: 1, ClockRate: 1000, Wire: "rtp", WireKind: codec.KindData, Name: "X-ANY", Params: "a=b;c"}
	p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{track})
	p.publish()
	var sent []*codec.Frame
	for i := range 10 {
		f := &codec.Frame{Track: track, PTS: time.Duration(i/2) * time.Second, Data: bytes.Repeat([]byte{byte(i)}, i*500+1)}
		if i%2 == 1 {
			f.Flags = codec.FlagMarker
		}
		sent = append(sent, f)
	}
	p.send(p.packets(sent)...)
	x := k.only(t)
	got := x.got(t, len(sent))
	for i, f := range got {
		require.Equal(t, sent[i].Data, f.Data)
		require.Equal(t, sent[i].PTS, f.PTS)
		require.Equal(t, sent[i].Has(codec.FlagMarker), f.Has(codec.FlagMarker))
		require.Equal(t, "X-ANY", f.Track.Name)
	}
}

// TestRecordStates: what is not possible now is refused, and does no harm.
func TestRecordStates(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})

	q := dialPeer(t, url)
	q.do(454, "RECORD", url+"cam")
	q.requireClosed()

	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.announce(200, p.sdp())
	p.do(455, "RECORD", p.url)
	p.setupTCP(0, 0)
	p.do(455, "RECORD", p.url) // not all is set up
	p.do(455, "PLAY", p.url)
	p.do(461, "SETUP", p.control(1), "Transport", "RTP/AVP;multicast")
	p.do(404, "SETUP", url+"other/trackID=0", "Transport", tcp)
	p.setupTCP(1, 2)
	r := p.do(200, "RECORD", p.url)
	require.Equal(t, "url="+p.control(0)+",url="+p.control(1), r.Header.Get("RTP-Info"))
	sent := testStream.Take(time.Second)
	p.send(p.packets(sent)...)

	// While it publishes:
	p.announce(455, p.sdp())
	p.do(455, "SETUP", p.control(1), "Transport", tcp)
	p.do(455, "PLAY", p.url)
	p.do(455, "DESCRIBE", p.url)
	p.do(200, "OPTIONS", "*")
	p.do(200, "GET_PARAMETER", p.url)
	p.do(200, "PAUSE", p.url)
	r = p.do(200, "RECORD", p.url)
	require.Equal(t, "url="+p.control(0)+",url="+p.control(1), r.Header.Get("RTP-Info"))
	p.do(200, "TEARDOWN", p.url)
	x := k.only(t)
	require.NoError(t, x.end(t))
	require.Len(t, x.frames, len(sent))
}

// TestRecordChannels: the channels are those that the client says, and those of
// the last SETUP; others are nobody's.
func TestRecordChannels(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.announce(200, p.sdp())
	p.setupTCP(0, 0)
	r := p.setupTCP(0, 200)
	require.Contains(t, r.Header.Get("Transport"), "interleaved=200-201")
	require.Contains(t, r.Header.Get("Transport"), "mode=record")
	p.setupTCP(1, 7)
	p.do(200, "RECORD", p.url)
	sent := testStream.Take(time.Second)
	packets := p.packets(sent)
	for _, channel := range []byte{0, 1, 9, 255} {
		_, err := p.nc.Write(interleaved(channel, packets[0].b))
		require.NoError(t, err)
	}
	p.send(packets...)
	require.Len(t, k.only(t).got(t, len(sent)), len(sent))
	p.do(200, "TEARDOWN", p.url)
	require.NoError(t, k.only(t).end(t))
	require.Len(t, k.only(t).frames, len(sent))
}

// Without channels there is no publishing over TCP.
func TestRecordWithoutChannels(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.announce(200, p.sdp())
	p.do(400, "SETUP", p.control(0), "Transport", "RTP/AVP/TCP;unicast;mode=record")
	p.requireClosed()
	require.Error(t, k.only(t).end(t))
}

// TestRecordEnds: a goodbye ends the stream, anything else lets it linger.
func TestRecordEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(p *testPublisher)
		want error
	}{
		{"teardown", func(p *testPublisher) { p.do(200, "TEARDOWN", p.url) }, nil},
		{"gone", func(p *testPublisher) { _ = p.nc.Close() }, io.ErrUnexpectedEOF},
		{"gone after goodbyes", func(p *testPublisher) { p.send(p.bye(0), p.bye(1)); _ = p.nc.Close() }, nil},
		{"gone after one goodbye", func(p *testPublisher) { p.send(p.bye(0)); _ = p.nc.Close() }, io.ErrUnexpectedEOF},
		{"garbage", func(p *testPublisher) { _, _ = p.nc.Write(bytes.Repeat([]byte("garbage "), 16<<10)) }, ErrProtocol},
		{"another session", func(p *testPublisher) { p.do(454, "TEARDOWN", p.url, "Session", "1234") }, ErrProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, x, s := publishing(t, testStream)
			sent := testStream.Take(time.Second)
			p.send(p.packets(sent)...)
			x.got(t, len(sent))
			c.end(p)
			err := x.end(t)
			if c.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.want)
			}
			p.requireClosed()
			require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
			require.Equal(t, 1, x.closed)
		})
	}
}

// TestRecordRefusedByStream: when the stream takes no more, publishing ends.
func TestRecordRefusedByStream(t *testing.T) {
	p, x, _ := publishing(t, testStream)
	x.t.mu.Lock()
	x.fail = source.ErrKicked
	x.t.mu.Unlock()
	p.send(p.packets(testStream.Take(100 * time.Millisecond))...)
	require.ErrorIs(t, x.end(t), source.ErrKicked)
	p.requireClosed()
}

// TestRecordSilence: limits G3. A publisher that sends nothing has gone.
func TestRecordSilence(t *testing.T) {
	for _, c := range []struct {
		limit time.Duration
		want  time.Duration
	}{{0, defaultReadTimeout}, {3 * time.Second, 3 * time.Second}} {
		k := newTaker()
		inMemory(t, &Server{Handler: k, ReadTimeout: c.limit}, func(t *testing.T, ln *memnet.Listener) {
			p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", testStream.Tracks())
			p.publish()
			time.Sleep(c.want - 1) // far longer than it may take before RECORD, if the limit is the usual one
			p.send(p.packets(testStream.Take(100 * time.Millisecond))...)
			heard := time.Now()
			p.requireClosed()
			require.InDelta(t, c.want, time.Since(heard), float64(c.want/50))
			synctest.Wait()
			require.ErrorIs(t, k.only(t).end(t), source.ErrTimeout)
		})
	}
}

// TestRecordReports: publishers hear every five seconds what has come.
func TestRecordReports(t *testing.T) {
	k := newTaker()
	inMemory(t, &Server{Handler: k}, func(t *testing.T, ln *memnet.Listener) {
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", testStream.Tracks())
		p.publish()
		began := time.Now()
		sr := p.report(0, 0, began)
		p.send(sr)
		packets := p.packets(testStream.Take(12 * time.Second))
		lost := 0
		for i, x := range packets {
			time.Sleep(time.Until(began.Add(x.frame.DTS)))
			if x.media == 0 && i%50 == 49 && x.frame.DTS < 4*time.Second {
				lost++
				continue
			}
			p.send(x)
		}
		require.Positive(t, lost)
		for i := range 2 {
			for media := range 2 {
				m := p.packet()
				require.Equal(t, p.channels[media]+1, m.Channel)
				all, err := rtcp.Unmarshal(m.Payload)
				require.NoError(t, err)
				require.Len(t, all, 2)
				rr := all[0].(*rtcp.ReceiverReport)
				require.Len(t, rr.Reports, 1)
				require.EqualValues(t, 100*(media+1), rr.Reports[0].SSRC)
				require.Equal(t, rtcp.NewCNAMESourceDescription(rr.SSRC, productName), all[1])
				if media == 0 {
					require.EqualValues(t, lost, rr.Reports[0].TotalLost)
					require.Equal(t, i == 0, rr.Reports[0].FractionLost > 0)
					require.NotZero(t, rr.Reports[0].LastSenderReport)
					require.InDelta(t, (i+1)*5<<16, rr.Reports[0].Delay, 1<<16)
				}
			}
		}
		p.do(200, "TEARDOWN", p.url)
		require.Empty(t, p.testPeer.packets, "no more than two reports in 12 s")
	})
}

// TestRecordDeaf: a publisher that never reads what we send goes on for hours.
func TestRecordDeaf(t *testing.T) {
	k := newTaker()
	synctest.Test(t, func(t *testing.T) {
		ln := memnet.Listen(1024)
		var log bytes.Buffer
		serve(t, &Server{Handler: k, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, ln)
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", testStream.Tracks())
		p.publish()
		opus := testmedia.Stream{Audio: codec.AAC}.Take(time.Second)
		for range 2000 {
			time.Sleep(4 * time.Second)
			p.send(p.packets(opus[:1])...)
			opus = append(opus[1:], opus[0])
		}
		synctest.Wait()
		require.Len(t, k.only(t).got(t, 0), 2000)
		require.Equal(t, 1, strings.Count(log.String(), "publisher takes no reports"), "and is not waited for again")
	})
}

// TestRecordWall: sender reports tell when frames were captured.
func TestRecordWall(t *testing.T) {
	p, x, _ := publishing(t, testStream)
	sent := testStream.Take(time.Second)
	wall := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p.send(p.report(0, 0, wall), p.report(1, 0, wall))
	p.send(p.packets(sent)...)
	for i, f := range x.got(t, len(sent)) {
		require.WithinDuration(t, wall.Add(sent[i].PTS), f.Wall, 30*time.Microsecond)
	}
}

// TestRecordBadPackets: limits T10 and T12. Packets that make no sense are
// dropped and counted; damaged frames are marked, and the stream goes on.
func TestRecordBadPackets(t *testing.T) {
	p, x, s := publishing(t, testStream)
	sent := testStream.Take(3 * time.Second)
	packets := p.packets(sent)
	p.send(packets[0])
	bad := [][]byte{
		{}, {0x80}, bytes.Repeat([]byte{0xff}, 40), []byte("RTSP/1.0 200 OK\r\n\r\n"),
		append([]byte{0x8f}, packets[1].b[1:20]...), append([]byte{0x90}, packets[1].b[1:14]...), append([]byte{0xa0}, packets[1].b[1:12]...),
	}
	for _, b := range bad {
		p.send(publishedPacket{b: b}, publishedPacket{b: b, rtcp: true})
	}
	lost := slices.IndexFunc(packets, func(x publishedPacket) bool { return x.media == 0 && x.frame.DTS > 500*time.Millisecond })
	p.send(append(slices.Clone(packets[1:lost]), packets[lost+1:]...)...)
	audio := ofKind(sent, codec.KindAudio)
	x.t.await(t, func() bool { return len(ofKind(x.frames, codec.KindAudio)) == len(audio) })
	p.do(200, "TEARDOWN", p.url)
	require.NoError(t, x.end(t))
	require.EqualValues(t, len(bad), s.Stats().FramesDropped)
	video := ofKind(x.frames, codec.KindVideo)
	damaged := slices.IndexFunc(video, func(f *codec.Frame) bool { return f.Has(codec.FlagCorrupt) })
	require.Positive(t, damaged)
	require.False(t, video[len(video)-1].Has(codec.FlagCorrupt))
	require.Equal(t, ofKind(sent, codec.KindVideo)[74].Data, video[len(video)-1].Data)
}

// TestRecordResynchronises: garbage between packets is skipped.
func TestRecordResynchronises(t *testing.T) {
	p, x, _ := publishing(t, testStream)
	sent := testStream.Take(time.Second)
	packets := p.packets(sent)
	p.send(packets[:10]...)
	_, err := p.nc.Write(bytes.Repeat([]byte{0x47, 0, 0xff, 0x10}, 500))
	require.NoError(t, err)
	p.send(packets[10:]...)
	require.Len(t, x.got(t, len(sent)), len(sent))
}

// TestRecordLog: the line of a session tells what happened to its packets, and
// no secret.
func TestRecordLog(t *testing.T) {
	var log bytes.Buffer
	k := newTaker()
	url := startServer(t, &Server{Handler: k, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	p := newTestPublisher(dialPeer(t, url), url+"cam?secret=x", testStream.Tracks())
	p.publish()
	packets := p.packets(testStream.Take(time.Second))
	p.send(packets[0], packets[0])
	p.send(packets[2:]...)
	p.do(200, "TEARDOWN", p.url)
	p.requireClosed()
	line := log.String()
	require.Contains(t, line, `msg="rtsp: publishing ended" stream=live/cam`)
	require.Contains(t, line, "over=tcp")
	require.Contains(t, line, fmt.Sprintf("packets=%d lost=1 reordered=0 duplicates=1 invalid=0", len(packets)-1))
	require.NotContains(t, line, "secret")
}

// TestRecordStop: the server does not wait for a stream that takes nothing.
func TestRecordStop(t *testing.T) {
	k := newTaker()
	h := &holding{taker: k, held: make(chan struct{})}
	t.Run("serving", func(t *testing.T) {
		url := startServer(t, &Server{Handler: h})
		p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
		p.publish()
		p.send(p.packets(testStream.Take(100 * time.Millisecond))...)
		<-h.held
	})
	require.ErrorIs(t, k.only(t).end(t), ErrServerClosed)
}

// TestPublishUDPHeld: over UDP a publisher can leave while the stream takes
// nothing.
func TestPublishUDPHeld(t *testing.T) {
	k := newTaker()
	h := &holding{taker: k, held: make(chan struct{})}
	ports := &memoryPorts{}
	inMemory(t, &Server{Handler: h, ListenPacket: ports.listen}, func(t *testing.T, ln *memnet.Listener) {
		stream := testmedia.Stream{Audio: codec.AAC}
		track := testmedia.Track(1, codec.AAC)
		p := &memoryPublisher{testPublisher: newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", []*codec.Track{track}), ports: ports}
		p.to = p.publishUDP()
		f := *stream.Take(time.Millisecond)[0]
		f.Track = track
		go p.from(0, p.packets([]*codec.Frame{&f})...)
		<-h.held
		p.do(200, "TEARDOWN", p.url)
		require.NoError(t, k.only(t).end(t))
	})
}

// A holding is a Handler of Publications whose frames wait until they are not
// wanted any more.
type holding struct {
	*taker
	held chan struct{} // gets something when a frame waits
}

// A heldPublication is one of them.
type heldPublication struct {
	source.Publication
	*holding
}

func (h *holding) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	pub, err := h.taker.Publish(ctx, req)
	return heldPublication{pub, h}, err
}

func (p heldPublication) WriteFrame(ctx context.Context, _ *codec.Frame) error {
	select {
	case p.held <- struct{}{}:
		<-ctx.Done()
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}

// TestRecordOverTLS publishes by rtsps.
func TestRecordOverTLS(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k, TLSConfig: serverTLS(t)})
	nc, err := tls.Dial("tcp", strings.Split(url, "/")[2], clientTLS())
	require.NoError(t, err)
	p := newTestPublisher(newTestPeer(t, nc), url+"cam", testStream.Tracks())
	p.announce(200, p.sdp())
	p.do(461, "SETUP", p.control(0), "Transport", "RTP/AVP;unicast;client_port=5000-5001")
	p.setupTCP(0, 0)
	p.setupTCP(1, 2)
	p.do(200, "RECORD", p.url)
	sent := testStream.Take(time.Second)
	p.send(p.packets(sent)...)
	require.Len(t, k.only(t).got(t, len(sent)), len(sent))
	require.Equal(t, "rtsps", k.only(t).req.Protocol)
}
