package rtsp

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
)

// TestDescribe holds all that DESCRIBE is answered.
func TestDescribe(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	feed(t, hub, "cam", testStream).write(t, 20)
	p := dialPeer(t, url)
	r := p.do(200, "DESCRIBE", url+"cam", "Accept", "application/sdp")
	require.Len(t, p.session, 12)
	require.Equal(t, productName, r.Header.Get("Server"))
	require.NotEmpty(t, r.Header.Get("Date"))
	require.Equal(t, url+"cam/", r.Header.Get("Content-Base"))
	require.Equal(t, "application/sdp", r.Header.Get("Content-Type"))
	require.Equal(t, "our-retransmit", r.Header.Get("x-Accept-Retransmit"))
	require.Equal(t, "1", r.Header.Get("x-Accept-Dynamic-Rate"))
	sdp := string(r.Body)
	require.True(t, strings.HasPrefix(sdp, "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=MediaKit\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=range:npt=now-\r\na=control:*\r\n"), sdp)
	for _, line := range []string{
		"m=video 0 RTP/AVP 96\r\n", "a=rtpmap:96 H264/90000\r\n", "a=control:trackID=0\r\n",
		"m=audio 0 RTP/AVP 97\r\n", "a=rtpmap:97 mpeg4-generic/48000/2\r\n", "a=control:trackID=1\r\n",
	} {
		require.Contains(t, strings.ReplaceAll(sdp, "MPEG4-GENERIC", "mpeg4-generic"), line)
	}

	// Once more is the same; another stream takes its place.
	require.Equal(t, sdp, string(p.do(200, "DESCRIBE", url+"cam").Body))
	st := testStream
	st.Audio = codec.Opaque
	feed(t, hub, "other", st).write(t, 20)
	require.NotContains(t, string(p.do(200, "DESCRIBE", url+"other").Body), "m=audio")
}

// TestPlay holds what SETUP and PLAY are answered, and that the packets are those
// that PLAY tells of.
func TestPlay(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub, Logger: testLog(t)})
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	p := dialPeer(t, url)
	d := p.do(200, "DESCRIBE", url+"cam")
	base := d.Header.Get("Content-Base")
	ssrc := map[uint8]string{}
	for i := range 2 {
		r := p.do(200, "SETUP", fmt.Sprintf("%strackID=%d", base, i), "Transport", "RTP/AVP/TCP;unicast;interleaved=4-5")
		tr, err := parseTransports(r.Header.Get("Transport"))
		require.NoError(t, err)
		require.Equal(t, []transport{{carrier: overTCP, channels: pair{true, uint16(2 * i), uint16(2*i + 1)}, ssrc: tr[0].ssrc}}, tr, "the client's wish counts for nothing")
		require.Len(t, tr[0].ssrc, 8)
		ssrc[uint8(2*i)] = tr[0].ssrc
		require.Equal(t, "late-tolerance=1.400000", r.Header.Get("x-Transport-Options"))
		require.Equal(t, "1", r.Header.Get("x-Dynamic-Rate"))
	}
	r := p.do(200, "PLAY", base, "Range", "npt=0.000-")
	require.Equal(t, "npt=0.00-", r.Header.Get("Range"))
	infos := parseRTPInfo(r.Header.Get("RTP-Info"))
	require.Len(t, infos, 2)

	// Reports of both tracks, then a key frame.
	for i := range 2 {
		m := p.packet()
		require.EqualValues(t, 2*i+1, m.Channel)
		sr := requireReport(t, m.Payload)
		require.Equal(t, ssrc[uint8(2*i)], fmt.Sprintf("%08X", sr.SSRC))
		require.Equal(t, infos[i].timestamp, sr.RTPTime)
	}
	seen := map[uint8]rtp.Packet{}
	for len(seen) < 2 {
		x := p.rtp()
		info := infos[x.channel/2]
		if _, ok := seen[x.channel]; ok {
			continue
		}
		seen[x.channel] = x.Packet
		require.Equal(t, fmt.Sprintf("%strackID=%d", base, x.channel/2), info.url)
		require.Contains(t, r.Header.Get("RTP-Info"), fmt.Sprintf("url=%s;seq=%d;rtptime=%d", info.url, x.Sequence, info.timestamp))
		require.Equal(t, ssrc[x.channel], fmt.Sprintf("%08X", x.SSRC))
		if x.channel == 0 {
			require.Equal(t, info.timestamp, x.Timestamp)
		}
	}
	require.NoError(t, f.pub.Close())
	rest, err := io.ReadAll(p.nc)
	require.NoError(t, err)
	// A BYE for each track is the last thing.
	for i := range 2 {
		bye := rest[len(rest)-40+20*i:][:20]
		require.Equal(t, []byte{'$', byte(2*i + 1), 0, 16, 0x80, 201}, bye[:6])
		require.Equal(t, []byte{0x81, 203}, bye[12:14])
		require.Equal(t, ssrc[uint8(2*i)], fmt.Sprintf("%X", bye[16:]))
	}
}

// TestCodecChange: a track that becomes another ends its viewers (with a
// goodbye); who comes then is told of the new one. New parameters do not.
func TestCodecChange(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	st := testmedia.Stream{Video: codec.H264, Bitrate: 500_000, GOP: time.Second, Change: 1}
	f := feed(t, hub, "cam", st)
	f.write(t, 10)
	p := dialPeer(t, url)
	_, r := p.play(url)
	at := p.starts1(r.Header.Get("RTP-Info"))
	f.write(t, 60)
	for x := p.rtp(); x.Timestamp-at < 2*90000; { // over two changes
		x = p.rtp()
	}
	f.stop()
	last := f.sent[len(f.sent)-1].DTS
	for i := range 30 {
		fr := *testmedia.Stream{Video: codec.H265}.Take(2 * time.Second)[i]
		fr.DTS, fr.PTS = fr.DTS+last+time.Second, fr.PTS+last+time.Second
		require.NoError(t, f.pub.WriteFrame(t.Context(), &fr))
	}
	rest, err := io.ReadAll(p.nc)
	require.NoError(t, err)
	require.Equal(t, []byte{0x81, 203, 0, 1}, rest[len(rest)-8:len(rest)-4])
	p = dialPeer(t, url)
	d, r := p.play(url)
	require.Equal(t, "H265", d.medias[0].payload.Encoding)
	p.starts1(r.Header.Get("RTP-Info"))
}

// TestLateTrack: a track that appears late is for new viewers only.
func TestLateTrack(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub}) + "cam"
	st := testStream
	st.Audio = codec.Opaque
	f := feed(t, hub, "cam", st)
	f.write(t, 10)
	p := dialPeer(t, url)
	d, _ := p.play(url)
	require.Len(t, d.medias, 1)
	f.stop()
	f.frames, f.stop = pull(testStream.Frames())
	f.write(t, 300)
	for range 100 {
		require.Zero(t, p.rtp().channel)
	}
	q := dialPeer(t, url)
	d, r := q.play(url)
	require.Len(t, d.medias, 2)
	q.starts(r.Header.Get("RTP-Info"))
}

// starts1 is starts for a stream of video only, and returns the timestamp.
func (p *testPeer) starts1(rtpInfos string) uint32 {
	p.t.Helper()
	x := p.rtp()
	require.Contains(p.t, rtpInfos, fmt.Sprintf(";seq=%d;rtptime=%d", x.Sequence, x.Timestamp))
	return x.Timestamp
}
