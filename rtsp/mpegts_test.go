package rtsp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

// tsTrack is the track of payloads that are a transport stream.
func tsTrack(id int) *codec.Track {
	return &codec.Track{ID: id, ClockRate: 90000, Wire: "rtp", WireKind: codec.KindVideo, Name: "MP2T"}
}

// multiplexed returns frames as a transport stream in payloads of up to seven
// packets, as encoders send it.
func multiplexed(t testing.TB, track *codec.Track, tracks []*codec.Track, frames []*codec.Frame) (payloads []*codec.Frame) {
	t.Helper()
	const size = 7 * ts.PacketSize
	m := ts.NewMuxer(tracks)
	var b []byte
	for i, f := range frames {
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
		for len(b) >= size || i == len(frames)-1 && len(b) > 0 {
			n := min(size, len(b))
			payloads = append(payloads, &codec.Frame{Track: track, DTS: f.DTS, PTS: f.DTS, Data: b[:n:n]})
			b = b[n:]
		}
	}
	return payloads
}

// tsStream is what transport streams of tests hold.
var tsStream = testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second, BFrames: 1}

// requireOpened requires that got is what was sent in a transport stream.
func requireOpened(t testing.TB, sent, got []*codec.Frame) {
	t.Helper()
	requireSame(t, sent, got)
	last := map[int]time.Duration{}
	for i, f := range got {
		require.Empty(t, f.Track.Wire)
		require.GreaterOrEqual(t, f.DTS, last[f.Track.ID], "frame %d", i)
		last[f.Track.ID] = f.DTS
	}
	// Sound and picture are as far apart as they were.
	apart := func(fs []*codec.Frame) time.Duration {
		return ofKind(fs, codec.KindVideo)[0].PTS - ofKind(fs, codec.KindAudio)[0].PTS
	}
	require.InDelta(t, apart(sent), apart(got), float64(time.Millisecond))
}

// TestRecordMPEGTS: the frames in a transport stream arrive, and its tracks are
// announced when they are known.
func TestRecordMPEGTS(t *testing.T) {
	for name, media := range map[string]string{
		"static":             "m=video 0 RTP/AVP 33\r\n",
		"static with rtpmap": "m=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\n",
		"dynamic":            "m=application 0 RTP/AVP 96\r\na=rtpmap:96 mp2t/90000\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			k := newTaker()
			url := startServer(t, &Server{Handler: k})
			p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{tsTrack(1)})
			p.announce(200, "v=0\r\ns=x\r\n"+media+"a=control:streamid=0\r\n")
			p.setupTCP(0, 0)
			p.do(200, "RECORD", p.url)
			x := k.only(t)
			require.Empty(t, x.tracks)
			require.False(t, x.complete, "nobody knows what there will be")

			sent := tsStream.Take(2 * time.Second)
			packets := p.packets(multiplexed(t, tsTrack(1), tsStream.Tracks(), sent))
			if name == "dynamic" {
				for _, x := range packets {
					x.b[1] = x.b[1]&0x80 | 96
				}
			}
			p.send(packets...)
			p.do(200, "TEARDOWN", p.url)
			require.NoError(t, x.end(t))
			require.True(t, x.complete)
			require.Len(t, x.tracks, 2)
			require.Equal(t, codec.H264, x.tracks[0].Codec)
			require.Equal(t, codec.AAC, x.tracks[1].Codec)
			requireOpened(t, sent, x.frames)
		})
	}
}

// TestMPEGTSPlayed: viewers of a transport stream are shown its tracks.
func TestMPEGTSPlayed(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{tsTrack(1)})
	p.publish()
	p.send(p.packets(multiplexed(t, tsTrack(1), tsStream.Tracks(), tsStream.Take(2*time.Second)))...)
	v := dialPeer(t, url)
	d, _ := v.play(url + "cam")
	require.Len(t, d.medias, 2)
	require.Equal(t, "H264", d.medias[0].payload.Encoding)
	require.Equal(t, "mpeg4-generic", strings.ToLower(d.medias[1].payload.Encoding))
	require.NotEmpty(t, v.rtp().Payload)
}

// TestMPEGTSLost: what is lost on the way costs the frames that it was of, and no
// other; the order of packets does not matter.
func TestMPEGTSLost(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { publishLossyTS(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func publishLossyTS(t *testing.T, rnd *rand.Rand) {
	k, ports := newTaker(), &memoryPorts{}
	inMemory(t, &Server{Handler: k, ListenPacket: ports.listen}, func(t *testing.T, ln *memnet.Listener) {
		p := &memoryPublisher{testPublisher: newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", []*codec.Track{tsTrack(1)}), ports: ports}
		p.to = p.publishUDP()
		sent := tsStream.Take(10 * time.Second)
		var packets []publishedPacket
		all := p.packets(multiplexed(t, tsTrack(1), tsStream.Tracks(), sent))
		for i, x := range all {
			if i < 20 || i >= len(all)-20 || rnd.IntN(50) > 0 {
				packets = append(packets, x)
			}
		}
		require.Less(t, len(packets), len(all)-5)
		for i := 1; i+8 < len(packets); i += 8 {
			rnd.Shuffle(8, func(a, b int) { packets[i+a], packets[i+b] = packets[i+b], packets[i+a] })
		}
		for i, x := range packets {
			p.from(0, x)
			if i%10 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		p.do(200, "TEARDOWN", p.url)
		synctest.Wait()
		x := k.only(t)
		require.NoError(t, x.end(t))
		require.Len(t, x.tracks, 2)
		for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
			want, got := ofKind(sent, kind), ofKind(x.frames, kind)
			require.Greater(t, len(got), len(want)/2, kind)
			require.Less(t, len(got), len(want), "%v: something was lost", kind)
			require.Equal(t, want[0].Data, got[0].Data)
			byTime, whole := map[time.Duration]*codec.Frame{}, 0
			for _, f := range want {
				byTime[(f.PTS - want[0].PTS).Round(time.Millisecond)] = f
			}
			for _, f := range got {
				sent := byTime[(f.PTS - got[0].PTS).Round(time.Millisecond)]
				require.NotNil(t, sent, "%v: a frame at %v", kind, f.PTS)
				if !f.Has(codec.FlagCorrupt) {
					require.Equal(t, sent.Data, f.Data)
					whole++
				}
			}
			require.Greater(t, whole, len(want)/2, kind)
			require.Equal(t, want[len(want)-1].Data, got[len(got)-1].Data, "the end is not there")
		}
	})
}

// TestMPEGTSCounters: where as many packets are lost as the counters in a transport
// stream cannot tell from none, those of RTP can.
func TestMPEGTSCounters(t *testing.T) {
	stream := testmedia.Stream{Video: codec.H264, Bitrate: 8_000_000, GOP: time.Second}
	sent := stream.Take(2 * time.Second)
	payloads := multiplexed(t, tsTrack(1), stream.Tracks(), sent)
	pid := func(b []byte) int { return int(b[1]&0x1f)<<8 | int(b[2]) }
	same := func(f *codec.Frame, of int) bool {
		for b := f.Data; len(b) > 0; b = b[ts.PacketSize:] {
			if pid(b) != of {
				return false
			}
		}
		return len(f.Data) == 7*ts.PacketSize
	}
	const gone = 16 // payloads, of 7 packets
	first := 0
	for i, n := 0, 0; n < gone+2; i++ {
		if n++; !same(payloads[i], pid(payloads[i].Data)) || pid(payloads[i].Data) != pid(payloads[max(i-1, 0)].Data) {
			n = 0
		}
		first = i - gone
	}
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{tsTrack(1)})
	p.publish()
	packets := p.packets(payloads)
	p.send(append(packets[:first:first], packets[first+gone:]...)...)
	p.do(200, "TEARDOWN", p.url)
	x := k.only(t)
	require.NoError(t, x.end(t))
	whole := map[string]bool{}
	for _, f := range sent {
		whole[string(f.Data)] = true
	}
	for _, f := range x.frames {
		require.True(t, f.Has(codec.FlagCorrupt) || whole[string(f.Data)], "frame at %v", f.DTS)
	}
}

// TestMPEGTSNot: what says that it is a transport stream and is none ends.
func TestMPEGTSNot(t *testing.T) {
	var payloads []*codec.Frame
	for i := range 300 {
		payloads = append(payloads, &codec.Frame{Track: tsTrack(1), PTS: time.Duration(i) * time.Millisecond, Data: make([]byte, 1300)})
	}
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{tsTrack(1)})
	p.publish()
	p.send(p.packets(payloads)...)
	p.requireClosed()
	require.ErrorIs(t, k.only(t).end(t), ts.ErrInvalid)

	m := newMuxer([]*codec.Track{tsTrack(1)})
	film := &filmed{sdp: filmingTS(t, tsStream.Take(time.Second), tsStream.Tracks()).sdp}
	for _, f := range payloads {
		packets, err := m.Append(nil, f)
		require.NoError(t, err)
		film.wires = append(film.wires, packets[0].Wire)
	}
	cam := &camera{sdp: film.sdp, played: film.show}
	_, err := (&Client{Transport: TransportTCP}).Open(soon(t), cam.start(t))
	require.ErrorIs(t, err, ts.ErrInvalid)
}

// TestMPEGTSRestarts: when the sender begins anew, with another SSRC, other times
// and another stream, its frames go on in time after those before.
func TestMPEGTSRestarts(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam", []*codec.Track{tsTrack(1)})
	p.publish()
	first := tsStream.Take(2 * time.Second)
	p.send(p.packets(multiplexed(t, tsTrack(1), tsStream.Tracks(), first))...)
	other := testmedia.Stream{Video: codec.H265, Audio: codec.AAC, Bitrate: 500_000, GOP: time.Second, Seed: 7}
	second := other.Take(2 * time.Second)
	q := newTestPublisher(p.testPeer, p.url, []*codec.Track{tsTrack(1)})
	packets := q.packets(multiplexed(t, tsTrack(1), other.Tracks(), second))
	for _, x := range packets {
		copy(x.b[8:], "SSRC")
	}
	p.send(packets...)
	p.do(200, "TEARDOWN", p.url)
	x := k.only(t)
	require.NoError(t, x.end(t))
	require.Equal(t, codec.H265, x.tracks[0].Codec)
	last := map[codec.Kind]time.Duration{}
	anew := 0
	for _, f := range x.frames {
		require.GreaterOrEqual(t, f.DTS, last[f.Track.Kind()])
		require.Less(t, f.DTS-last[f.Track.Kind()], time.Second)
		last[f.Track.Kind()] = f.DTS
		if f.Has(codec.FlagDiscont) {
			anew++
		}
	}
	require.Equal(t, 2, anew, "each track's first")
	require.Equal(t, second[len(second)-1].Data, x.frames[len(x.frames)-1].Data)
}

// TestMPEGTSBeside: a transport stream beside other medias, whose tracks have IDs
// of their own.
func TestMPEGTSBeside(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	beside := testmedia.Stream{Audio: codec.PCMA}
	tracks := []*codec.Track{tsTrack(1), testmedia.Track(2, codec.PCMA), tsTrack(3)}
	p := newTestPublisher(dialPeer(t, url), url+"cam", tracks)
	p.publish()
	sent := tsStream.Take(time.Second)
	p.send(p.packets(multiplexed(t, tsTrack(1), tsStream.Tracks(), sent))...)
	p.send(p.packets(multiplexed(t, tsTrack(3), tsStream.Tracks(), sent))...)
	sound := beside.Take(time.Second)
	for _, f := range sound {
		f.Track = tracks[1]
	}
	p.send(p.packets(sound)...)
	p.do(200, "TEARDOWN", p.url)
	x := k.only(t)
	require.NoError(t, x.end(t))
	require.Len(t, x.tracks, 5)
	require.True(t, x.complete)
	ids := map[int]codec.Codec{}
	for _, track := range x.tracks {
		ids[track.ID] = track.Codec
	}
	require.Len(t, ids, 5)
	n := map[int]int{}
	for _, f := range x.frames {
		require.Equal(t, ids[f.Track.ID], f.Track.Codec)
		n[f.Track.ID]++
	}
	require.Len(t, n, 5)
}

// filmingTS is filming of a transport stream.
func filmingTS(t testing.TB, frames []*codec.Frame, tracks []*codec.Track) *filmed {
	t.Helper()
	track := tsTrack(1)
	m := newMuxer([]*codec.Track{track})
	p := presentation{medias: []media{m.sent()[0].media}}
	f := &filmed{sdp: strings.ReplaceAll(string(p.appendSDP(nil)), "\r\n", "\n"), frames: frames}
	for _, payload := range multiplexed(t, track, tracks, frames) {
		packets, err := m.Append(nil, payload)
		require.NoError(t, err)
		for _, x := range packets {
			f.wires = append(f.wires, x.Wire)
		}
	}
	return f
}

// TestClientMPEGTS: the client waits for the tracks of a transport stream, which
// are known late if the picture is in the midst of a GOP.
func TestClientMPEGTS(t *testing.T) {
	sent := tsStream.Take(8 * time.Second)
	late := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, Bitrate: 500_000, GOP: 5 * time.Second}.Take(8 * time.Second)
	for name, c := range map[string]struct{ sent, want []*codec.Frame }{
		"from the beginning":      {sent, sent},
		"in the midst of a GOP":   {late[5:], nil},
		"only sound, at last one": {ofKind(sent, codec.KindAudio), nil},
	} {
		t.Run(name, func(t *testing.T) {
			tracks := tsStream.Tracks()
			if name[0] == 'o' {
				tracks = tracks[1:]
			}
			film := filmingTS(t, c.sent, tracks)
			cam := &camera{sdp: film.sdp, played: film.show}
			r, err := (&Client{Transport: TransportTCP}).Open(soon(t), cam.start(t))
			require.NoError(t, err)
			defer r.Close()
			require.Len(t, r.Tracks(), len(tracks))
			for _, track := range r.Tracks() {
				require.True(t, track.Ready())
			}
			got := readAll(t, r)
			if c.want != nil {
				requireOpened(t, c.want, got)
			}
			require.Equal(t, c.sent[len(c.sent)-1].Data, got[len(got)-1].Data)
		})
	}
}

// TestClientMPEGTSNothing: a transport stream without any track is given up after
// the client's timeout.
func TestClientMPEGTSNothing(t *testing.T) {
	film := filmingTS(t, tsStream.Take(time.Second), tsStream.Tracks())
	for _, w := range film.wires {
		for i := 4 + 12; i < len(w); i += ts.PacketSize {
			w[i+1], w[i+2] = 0x1f, 0xff // null packets
		}
	}
	synctest.Test(t, func(t *testing.T) {
		cam := camera{sdp: film.sdp, played: func(c *cameraConn) {
			gone := c.listen(func(wire.Item) {})
			for {
				film.send(c.raw)
				select {
				case <-gone:
					return
				case <-time.After(time.Second):
				}
			}
		}}
		began := time.Now()
		_, err := (&Client{Transport: TransportTCP, Timeout: 7 * time.Second, Dial: cam.dial}).Open(t.Context(), memURL)
		require.ErrorIs(t, err, source.ErrTimeout)
		require.InDelta(t, 7*time.Second, time.Since(began), float64(farewell))
	})
}
