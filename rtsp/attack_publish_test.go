package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// videoSection is a media of a description that makes sense.
const videoSection = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:good\r\n"

// descriptions are what publishers may announce, and no harm is done. Those that
// are refused have nothing that can be used.
var descriptions = []struct {
	name    string
	sdp     string
	refused bool
}{
	{"empty", "", true},
	{"no SDP", "hello", true},
	{"zeros", strings.Repeat("\x00", 1000), true},
	{"no media", "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n", true},
	{"1,000 medias", strings.Repeat(videoSection, 1000), true},
	{"17 medias", strings.Repeat(videoSection, 17), true},
	{"16 medias", numberedSections(16), false},
	{"long attribute", videoSection + "a=x:" + strings.Repeat("y", 100_000) + "\r\n", true},
	{"100,000 attributes", videoSection + strings.Repeat("a\n", 60_000), false},
	{"clock 0", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/0\r\n", true},
	{"clock 2^64", "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 OPUS/18446744073709551616/2\r\n", true},
	{"clock negative", "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/-8000/2\r\n", true},
	{"2^31 channels", "m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/8000/2147483648\r\n" + videoSection, false},
	{"payload type 300", "m=video 0 RTP/AVP 300\r\na=rtpmap:300 H264/90000\r\n", true},
	{"payload type negative", "m=video 0 RTP/AVP -1\r\na=rtpmap:-1 H264/90000\r\n", true},
	{"10,000 payload types", "m=video 0 RTP/AVP" + strings.Repeat(" 96", 2_000) + "\r\na=rtpmap:96 H264/90000\r\n", false},
	{"bad base64", videoSection + "a=fmtp:96 sprop-parameter-sets=!!!!,====;packetization-mode=1\r\n", false},
	{"parameter sets of nothing", videoSection + "a=fmtp:96 sprop-parameter-sets=,,,,;profile-level-id=zzzzzz\r\n", false},
	{"parameter sets of zeros", videoSection + "a=fmtp:96 sprop-parameter-sets=Z2dnZ2dnZ2dnZ2dnZw==,aGhoaGg=\r\n", false},
	{"bad hexadecimal", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=fmtp:97 mode=AAC-hbr;config=zz;sizelength=13;indexlength=3\r\n" + videoSection, false},
	{"sizes of 2^40 bits", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/2\r\na=fmtp:97 mode=AAC-hbr;config=1210;sizelength=1099511627776;indexlength=99;indexdeltalength=-3\r\n" + videoSection, false},
	{"latm without config", "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/44100/2\r\na=fmtp:97 cpresent=0;config=ffffffffffffffff\r\n" + videoSection, false},
	{"H265 of garbage", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=fmtp:96 sprop-vps=AAAA;sprop-sps=AAAA;sprop-pps=AAAA\r\n", false},
	{"AV1 of garbage", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 AV1/90000\r\na=fmtp:96 profile=99;level-idx=999;tier=-1\r\n", false},
	{"control of another host", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:rtsp://192.0.2.7:1/x\r\n", false},
	{"control of 8 KB", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:" + strings.Repeat("../", 2_500) + "\r\n", false},
	{"the same control twice", videoSection + videoSection, false},
	{"line ends and control bytes", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:a\rb\x01\x1b[2J\r\n", false},
	{"unknown encoding", "m=application 0 RTP/AVP 96\r\na=rtpmap:96 vnd.onvif.metadata/90000\r\n", false},
}

func numberedSections(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(videoSection, "good", fmt.Sprint("track", i), 1))
	}
	return b.String()
}

// TestDescriptions: row T8. Whatever is announced, it is refused or can be
// published; nothing else happens.
func TestDescriptions(t *testing.T) {
	hub := newHub(t)
	hub.Options.Linger = -1
	s := &Server{Handler: hub}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	for i, d := range descriptions {
		t.Run(d.name, func(t *testing.T) {
			p := newTestPublisher(dialPeer(t, url), fmt.Sprint(url, "x", i), nil)
			if d.refused {
				p.announce(403, d.sdp)
				p.requireClosed()
				return
			}
			p.announce(200, d.sdp)
			sections := strings.Count(d.sdp, "m=")
			set := 0
			for n := range sections { // by every name it may have
				for _, control := range []string{"good", fmt.Sprint("track", n), "a", "rtsp://192.0.2.7:1/x", ""} {
					p.testPeer.send("SETUP", p.url+"/"+control, "Transport", fmt.Sprintf("RTP/AVP/TCP;interleaved=%d-%d;mode=record", 2*n, 2*n+1))
					if p.response().Status == 200 {
						set++
						break
					}
				}
			}
			p.testPeer.send("RECORD", p.url)
			r := p.response()
			require.Contains(t, []int{200, 455, 415}, r.Status)
			if r.Status == 200 {
				garbage := []byte("\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07\x7c\x85\x00\x00\x01")
				for n := range 2 * sections {
					_, err := p.nc.Write(interleaved(uint8(n), garbage))
					require.NoError(t, err)
				}
				p.requireAlive()
			}
			reset(p.nc)
		})
	}
	other.requireUnharmed(t)
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
}

// lying returns packets that were cut, or of which a byte was changed.
func lying(b []byte) (all [][]byte) {
	for n := range min(len(b), 32) {
		all = append(all, b[:n])
		for _, x := range []byte{0xff, 0x80, 0x01} {
			bad := slices.Clone(b)
			bad[n] ^= x
			all = append(all, bad, bad[:min(len(bad), n+3)])
		}
	}
	return all
}

// TestLyingPackets: rows T10 and T12, for every payload. A publisher who sends
// nonsense among its packets loses frames and nothing else; its stream goes on.
func TestLyingPackets(t *testing.T) {
	for _, st := range []testmedia.Stream{
		{Video: codec.H264, Audio: codec.AAC}, {Video: codec.H265, Audio: codec.Opus}, {Video: codec.AV1, Audio: codec.PCMA},
		{Video: codec.VP8, Audio: codec.MP3}, {Video: codec.VP9, Audio: codec.PCMU}, {Video: codec.MJPEG},
	} {
		t.Run(fmt.Sprint(st.Video, " ", st.Audio), func(t *testing.T) {
			st.GOP = 400 * time.Millisecond
			p, x, _ := publishing(t, st)
			sent := st.Take(2 * time.Second)
			packets := p.packets(sent)
			p.send(packets[0])
			for i, from := range packets[1:min(len(packets), 12)] {
				bad := lying(from.b)
				for k := range bad {
					p.send(publishedPacket{media: from.media, b: bad[k]}, publishedPacket{media: from.media, rtcp: true, b: bad[len(bad)-1-k]})
				}
				if report := p.report(from.media, time.Duration(i)*time.Second, time.Now()); report.b != nil {
					for _, b := range lying(report.b) {
						p.send(publishedPacket{media: from.media, rtcp: true, b: b}, publishedPacket{media: from.media, b: b})
					}
				}
			}
			p.requireAlive()

			// Another SSRC makes clear that this is a new beginning.
			again := newTestPublisher(p.testPeer, p.url, st.Tracks())
			for i, track := range st.Tracks() {
				packer, err := rtp.NewPacketizer(track, rtp.PacketizerOptions{PayloadType: again.medias[i].payload.Type, SSRC: uint32(7000 + i), Sequence: 9, CNAME: "test"})
				require.NoError(t, err)
				again.packers[i] = packer
			}
			sent = st.Take(2 * time.Second)
			again.send(again.packets(sent)...)
			p.do(200, "TEARDOWN", p.url)
			require.NoError(t, x.end(t))
			for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
				if sent, got := ofKind(sent, kind), ofKind(x.frames, kind); len(sent) > 0 {
					require.GreaterOrEqual(t, len(got), len(sent)/2)
					last := got[len(got)-1]
					require.True(t, bytes.Equal(sent[len(sent)-1].Data, last.Data))
					require.False(t, last.Has(codec.FlagCorrupt))
					for i, f := range got[1:] {
						require.GreaterOrEqual(t, f.DTS, got[i].DTS)
					}
				}
			}
		})
	}
}

// TestEndlessUnit: row T10. An access unit without end is given up at 8 MiB, and
// the stream goes on with the next one that begins.
func TestEndlessUnit(t *testing.T) {
	if raceEnabled {
		t.Skip("measures memory")
	}
	p, x, s := publishing(t, testmedia.Stream{Video: codec.H264})
	good := testmedia.Stream{Video: codec.H264}.Take(200 * time.Millisecond)
	before := inUse()
	sequence := uint16(65000)
	fragment := make([]byte, 1400) // of an IDR slice, FU-A (RFC 6184, 5.8)
	copy(fragment, "\x80\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x64\x7c\x85\x88\x84")
	var most int64
	for i := range 33 << 20 / len(fragment) {
		binary.BigEndian.PutUint16(fragment[2:], sequence)
		sequence++
		if i == 1 {
			fragment[13] = 0x05 // neither start nor end
		}
		p.send(publishedPacket{b: fragment})
		if i%2000 == 0 {
			p.requireAlive() // all of it was taken in
			most = max(most, inUse()-before)
		}
	}
	t.Logf("at most %d KiB were kept", most>>10)
	require.Less(t, most, int64(20<<20)) // twice 8 MiB while it grows
	p.requireAlive()
	require.Less(t, inUse()-before, int64(9<<20))

	fresh := newTestPublisher(p.testPeer, p.url, testmedia.Stream{Video: codec.H264}.Tracks())
	packer, err := rtp.NewPacketizer(good[0].Track, rtp.PacketizerOptions{PayloadType: 96, SSRC: 100, Sequence: sequence, Timestamp: 90000, CNAME: "test"})
	require.NoError(t, err)
	fresh.packers[0] = packer
	fresh.send(fresh.packets(good)...)
	p.do(200, "TEARDOWN", p.url)
	require.NoError(t, x.end(t))
	require.Len(t, x.frames, len(good)+count(x.frames, codec.FlagCorrupt))
	require.Equal(t, good[len(good)-1].Data, x.frames[len(x.frames)-1].Data)
	require.Zero(t, s.Stats().PanicsTotal)
}

// count returns how many frames have a flag.
func count(frames []*codec.Frame, flag codec.Flags) (n int) {
	for _, f := range frames {
		if f.Has(flag) {
			n++
		}
	}
	return n
}

// TestForeignReports: row T12. Goodbyes for others end nothing, and a clock that
// makes no sense moves nothing.
func TestForeignReports(t *testing.T) {
	p, x, _ := publishing(t, testStream)
	sent := testStream.Take(3 * time.Second)
	packets := p.packets(sent)
	third := len(packets) / 3
	p.send(packets[:third]...)
	goodbye := appendBye(nil, 1, 4711)[4:]
	for _, i := range []int{0, 1} {
		p.send(publishedPacket{media: i, rtcp: true, b: goodbye})
		for _, wall := range []time.Time{time.Unix(0, 0), time.Now().Add(1000 * time.Hour), time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)} {
			p.send(p.report(i, time.Second, wall))
		}
	}
	p.send(packets[third:]...)
	p.do(200, "TEARDOWN", p.url)
	require.NoError(t, x.end(t))
	requireReceived(t, sent, x.frames, 2)
}

// TestPublisherComesBack: row G8. A publisher that was lost and comes back, with
// everything in its packets new, is watched on by those who were there.
func TestPublisherComesBack(t *testing.T) {
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s) + "cam"
	st := testmedia.Stream{Video: codec.H264, Audio: codec.AAC, GOP: 200 * time.Millisecond}
	publish := func() *testPublisher {
		p := newTestPublisher(dialPeer(t, url), url, st.Tracks())
		p.publish()
		p.send(p.packets(st.Take(2 * time.Second))...)
		return p
	}
	p := publish()
	viewer := dialPeer(t, url)
	viewer.play(url)
	next, last := map[uint8]uint16{}, map[uint8]uint32{}
	watch := func(n int) {
		t.Helper()
		for range n {
			x := viewer.rtp()
			if want, ok := next[x.channel]; ok {
				require.Equal(t, want, x.Sequence)
				require.GreaterOrEqual(t, int32(x.Timestamp-last[x.channel]), int32(0), "time runs backwards")
			}
			next[x.channel], last[x.channel] = x.Sequence+1, x.Timestamp
		}
	}
	watch(20)
	for range 5 {
		reset(p.nc)
		require.Eventually(t, func() bool { return s.Stats().Conns == 1 }, 10*time.Second, time.Millisecond)
		p = publish()
		watch(100)
	}
	p.do(200, "TEARDOWN", url)
	viewer.requireClosed()
}

// TestNamesCostLittle: row G14. A stream that nobody watches costs 128 KiB at
// most, beyond the media that it keeps.
func TestNamesCostLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("measures memory")
	}
	const n = 100
	hub := newHub(t)
	s := &Server{Handler: hub}
	url := startServer(t, s)
	st := testmedia.Stream{Video: codec.H264, Bitrate: 10_000}
	frames := st.Take(40 * time.Millisecond)
	before := inUse()
	var peers []*testPublisher
	for i := range n {
		p := newTestPublisher(dialPeer(t, url), fmt.Sprint(url, i), st.Tracks())
		p.publish()
		p.send(p.packets(frames)...)
		p.requireAlive()
		peers = append(peers, p)
	}
	each := (inUse() - before) / n
	t.Logf("%d bytes each, with the publisher's side of it", each)
	require.Less(t, each, int64(128<<10))
	for _, p := range peers {
		reset(p.nc)
	}
}

// TestPublishersMeddling: publishers that play, viewers that publish, names that
// are taken: nothing comes of it, and nothing is left.
func TestPublishersMeddling(t *testing.T) {
	hub := newHub(t)
	hub.MaxWait, hub.Options.Linger = -1, -1
	s := &Server{Handler: hub}
	url := startServer(t, s)
	other := newBystander(t, hub, url)
	cam := url + "bystander"
	var conns []*testPeer
	for at := range stages {
		p := attacker(t, url, at, fmt.Sprint("meddler", at))
		for _, method := range []string{"ANNOUNCE", "RECORD", "PAUSE", "DESCRIBE", "SETUP", "PLAY", "RECORD", "ANNOUNCE"} {
			p.cseq++
			r := &wire.Request{Method: method, URL: cam, Header: fields("CSeq", fmt.Sprint(p.cseq), "Transport", tcp+";mode=record", "Session", p.session)}
			if p.session == "" {
				r.Header.Del("Session")
			}
			if method == "ANNOUNCE" {
				r.Body = []byte(videoSection)
			}
			if _, err := p.nc.Write(r.Append(nil)); err != nil {
				break
			}
		}
		conns = append(conns, p)
	}
	for _, p := range conns {
		require.NoError(t, p.nc.(interface{ CloseWrite() error }).CloseWrite())
		p.requireClosed()
	}
	other.requireUnharmed(t)
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 && s.ports.Open() == 0 }, 10*time.Second, time.Millisecond)
	require.Nil(t, hub.Stream(source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "meddler0"}))
}

// TestInjection: what a publisher says of its stream does not become lines of its
// own in what viewers are told.
func TestInjection(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	const evil = "\x01\x1b[2J\x7f\v\f"
	sdp := "s=" + evil + "\r\n" +
		"m=application 0 RTP/AVP 96\r\na=rtpmap:96 any/90000\r\na=fmtp:96 k" + evil + "=v" + evil + "w\r\na=control:a\r\n" +
		"m=video 0 RTP/AVP 97\r\na=rtpmap:97 other/90000\r\na=fmtp:97 k=v" + evil + "\r\na=control:c\r\n"
	p := newTestPublisher(dialPeer(t, url), url, nil)
	p.announce(200, sdp)
	d, err := parseSDP([]byte(sdp))
	require.NoError(t, err)
	for i, m := range d.medias {
		p.testPeer.do(200, "SETUP", url+"/"+m.control, "Transport", fmt.Sprintf("RTP/AVP/TCP;interleaved=%d-%d", 2*i, 2*i+1))
	}
	p.do(200, "RECORD", url)
	for i, m := range d.medias {
		packet := []byte("\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07payload")
		packet[1] |= m.payload.Type
		p.sendOn(uint8(2*i), packet)
	}
	p.requireAlive()
	r := dialPeer(t, url).do(200, "DESCRIBE", url)
	require.Equal(t, len(d.medias), bytes.Count(r.Body, []byte("m=")))
	for line := range bytes.Lines(r.Body) {
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		require.NotContains(t, string(line), "\r")
		for _, c := range line {
			require.False(t, c < ' ' || c == 0x7f, "%q", line)
		}
	}
}

// sendOn sends a packet on a channel.
func (p *testPublisher) sendOn(channel uint8, payload []byte) {
	p.t.Helper()
	_, err := p.nc.Write(interleaved(channel, payload))
	require.NoError(p.t, err)
}
