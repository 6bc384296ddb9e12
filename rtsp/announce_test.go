package rtsp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/memnet"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A taker is a Handler that accepts every publisher and keeps what it sends.
type taker struct {
	mu    sync.Mutex // guards what follows
	cond  *sync.Cond // of mu: something has come
	takes []*taken
}

// A taken is what one publisher has sent.
type taken struct {
	t        *taker
	req      *source.Request
	tracks   []*codec.Track
	complete bool
	frames   []*codec.Frame
	closed   int   // how often
	over     bool  // it was closed
	err      error // with this
	fail     error // of WriteFrame
}

// camKey is what most tests publish.
var camKey = source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "cam"}

func newTaker() *taker {
	k := &taker{}
	k.cond = sync.NewCond(&k.mu)
	return k
}

func (k *taker) Play(context.Context, *source.Request) (source.Reader, error) {
	return nil, source.ErrNotFound
}

func (k *taker) Publish(_ context.Context, req *source.Request) (source.Publication, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	x := &taken{t: k, req: req}
	k.takes = append(k.takes, x)
	k.cond.Broadcast()
	return x, nil
}

func (x *taken) SetTracks(tracks []*codec.Track, complete bool) error {
	return x.locked(func() error { x.tracks, x.complete = tracks, complete; return nil })
}

func (x *taken) WriteFrame(_ context.Context, f *codec.Frame) error {
	return x.locked(func() error {
		x.frames = append(x.frames, f)
		return x.fail
	})
}

func (x *taken) CloseWithError(err error) error {
	return x.locked(func() error {
		if x.closed++; x.closed == 1 {
			x.over, x.err = true, err
		}
		return nil
	})
}

func (x *taken) Close() error { return x.CloseWithError(nil) }

func (x *taken) locked(f func() error) error {
	x.t.mu.Lock()
	defer x.t.mu.Unlock()
	defer x.t.cond.Broadcast()
	return f()
}

// await waits until ok, which is called with the lock held.
func (k *taker) await(t testing.TB, ok func() bool) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	late := false
	defer time.AfterFunc(20*time.Second, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		late = true
		k.cond.Broadcast()
	}).Stop()
	for !ok() {
		require.False(t, late, "nothing more comes")
		k.cond.Wait()
	}
}

// only returns the one publisher there is.
func (k *taker) only(t testing.TB) *taken {
	t.Helper()
	k.await(t, func() bool { return len(k.takes) > 0 })
	k.mu.Lock()
	defer k.mu.Unlock()
	require.Len(t, k.takes, 1)
	return k.takes[0]
}

// end waits for the end of what was published and returns why it ended.
func (x *taken) end(t testing.TB) error {
	t.Helper()
	x.t.await(t, func() bool { return x.over })
	return x.err
}

// got waits for n frames and returns all there are.
func (x *taken) got(t testing.TB, n int) []*codec.Frame {
	t.Helper()
	x.t.await(t, func() bool { return len(x.frames) >= n })
	x.t.mu.Lock()
	defer x.t.mu.Unlock()
	return slices.Clone(x.frames)
}

// A testPublisher publishes as the test wants it.
type testPublisher struct {
	*testPeer
	url      string
	medias   []media
	packers  []*rtp.Packetizer
	channels []uint8 // of RTP, as was set up; 255: over UDP
}

// newTestPublisher returns a publisher of tracks.
func newTestPublisher(p *testPeer, url string, tracks []*codec.Track) *testPublisher {
	p.t.Helper()
	x := &testPublisher{testPeer: p, url: url}
	for i, track := range tracks {
		payload, ok := rtp.Describe(track, uint8(96+i))
		require.True(p.t, ok, "%v", track)
		packer, err := rtp.NewPacketizer(track, rtp.PacketizerOptions{
			PayloadType: payload.Type, SSRC: uint32(100 * (i + 1)), Sequence: 65500, Timestamp: 1<<32 - 20000, CNAME: "test",
		})
		require.NoError(p.t, err)
		x.medias = append(x.medias, media{payload: payload, control: fmt.Sprintf("streamid=%d", i)})
		x.packers = append(x.packers, packer)
		x.channels = append(x.channels, uint8(2*i))
	}
	return x
}

// sdp returns the description of the stream.
func (p *testPublisher) sdp() string {
	d := presentation{name: "test", medias: p.medias}
	return string(d.appendSDP(nil))
}

// announce sends ANNOUNCE with a body and returns the response, which must have
// the status.
func (p *testPublisher) announce(status int, body string, header ...string) *wire.Response {
	p.t.Helper()
	p.cseq++
	r := &wire.Request{Method: wire.MethodAnnounce, URL: p.url, Body: []byte(body)}
	r.Header = append(fields("CSeq", strconv.Itoa(p.cseq), "Content-Type", "application/sdp"), fields(header...)...)
	_, err := p.nc.Write(r.Append(nil))
	require.NoError(p.t, err)
	res := p.response()
	require.Equal(p.t, status, res.Status, "%s", res.Body)
	require.Equal(p.t, strconv.Itoa(p.cseq), res.Header.Get("CSeq"))
	return res
}

// control returns the URL of the ith media.
func (p *testPublisher) control(i int) string { return p.url + "/" + p.medias[i].control }

// setupTCP sets up the ith media with a channel and the next.
func (p *testPublisher) setupTCP(i int, channel uint8) *wire.Response {
	p.t.Helper()
	p.channels[i] = channel
	return p.do(200, "SETUP", p.control(i), "Transport", fmt.Sprintf("RTP/AVP/TCP;unicast;interleaved=%d-%d;mode=record", channel, channel+1))
}

// publish begins to publish, interleaved.
func (p *testPublisher) publish() {
	p.t.Helper()
	p.announce(200, p.sdp())
	for i := range p.medias {
		p.setupTCP(i, p.channels[i])
	}
	p.do(200, "RECORD", p.url, "Range", "npt=0.000-")
}

// packets returns the packets of frames, by media.
func (p *testPublisher) packets(frames []*codec.Frame) (packets []publishedPacket) {
	p.t.Helper()
	for _, f := range frames {
		i := f.Track.ID - 1
		b, err := p.packers[i].Append(nil, f)
		require.NoError(p.t, err)
		for _, datagram := range rtp.Datagrams(b) {
			packets = append(packets, publishedPacket{media: i, frame: f, b: datagram})
		}
	}
	return packets
}

// A publishedPacket is an RTP or RTCP packet of a media.
type publishedPacket struct {
	media int
	rtcp  bool
	frame *codec.Frame // that an RTP packet is a part of
	b     []byte
}

// report returns a sender report of the ith media.
func (p *testPublisher) report(i int, at time.Duration, wall time.Time) publishedPacket {
	for _, b := range rtp.Datagrams(p.packers[i].AppendReport(nil, at, wall)) {
		return publishedPacket{media: i, rtcp: true, b: b}
	}
	return publishedPacket{}
}

// bye returns a goodbye of the ith media.
func (p *testPublisher) bye(i int) publishedPacket {
	return publishedPacket{media: i, rtcp: true, b: appendBye(nil, 0, uint32(100*(i+1)))[4:]}
}

// send sends packets interleaved.
func (p *testPublisher) send(packets ...publishedPacket) {
	p.t.Helper()
	var b []byte
	for _, x := range packets {
		channel := p.channels[x.media]
		if x.rtcp {
			channel++
		}
		b = append(b, interleaved(channel, x.b)...)
	}
	_, err := p.nc.Write(b)
	require.NoError(p.t, err)
}

// requireReceived requires that what was sent has come, as far as it is of the
// first n tracks.
func requireReceived(t testing.TB, sent, got []*codec.Frame, n int) {
	t.Helper()
	for id := 1; id <= n; id++ {
		mine := func(f *codec.Frame) bool { return f.Track.ID != id }
		sent, got := slices.DeleteFunc(slices.Clone(sent), mine), slices.DeleteFunc(slices.Clone(got), mine)
		require.Len(t, got, len(sent), "track %d", id)
		for i, f := range got {
			require.True(t, string(f.Data) == string(sent[i].Data), "frame %d of track %d", i, id)
			require.Equal(t, sent[i].Flags, f.Flags)
			require.InDelta(t, sent[i].PTS-sent[0].PTS, f.PTS-got[0].PTS, 125e3) // a tick of 8 kHz
			require.InDelta(t, sent[i].DTS-sent[0].DTS, f.DTS-got[0].DTS, 125e3)
		}
	}
}

func TestAnnounce(t *testing.T) {
	k := newTaker()
	url := startServer(t, &Server{Handler: k})
	p := newTestPublisher(dialPeer(t, url), url+"cam?token=x", testStream.Tracks())
	r := p.announce(200, p.sdp(), "User-Agent", "tester", "Authorization", "Basic c2VjcmV0")
	require.Len(t, r.Header.Get("Session"), 12)
	x := k.only(t)
	require.Equal(t, camKey, x.req.Key)
	require.Equal(t, "token=x", x.req.Params)
	require.Equal(t, "rtsp", x.req.Schema)
	require.Equal(t, "tester", x.req.Header.Get("User-Agent"))
	require.Empty(t, x.req.Header.Get("Authorization"))
	p.announce(455, p.sdp())
	p.do(455, "DESCRIBE", p.url)
	p.do(455, "PLAY", p.url)
	p.do(200, "TEARDOWN", p.url)
	require.NoError(t, x.end(t), "it said goodbye")
	p.requireClosed()
}

// A session that was described gives way to one that is announced.
func TestAnnounceAfterDescribe(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	feed(t, hub, "cam", testStream).write(t, 50)
	p := newTestPublisher(dialPeer(t, url), url+"other", testStream.Tracks())
	p.do(200, "DESCRIBE", url+"cam")
	p.announce(200, p.sdp())
	require.Eventually(t, func() bool {
		return len(hub.Stream(camKey).Stats().Viewers) == 0
	}, 10*time.Second, time.Millisecond)
}

// TestAnnounceRefusals: what publishers are told, and that the connection is then
// closed.
func TestAnnounceRefusals(t *testing.T) {
	good := "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
	for _, c := range []struct {
		name   string
		path   string
		sdp    string
		err    error // the Handler's
		status int
		reason string
		body   string
	}{
		{"no stream", "", good, nil, 403, "Forbidden", "Forbidden."},
		{"bad name", "a/../../b", good, nil, 403, "Forbidden", "Forbidden."},
		{"no description", "cam", "", nil, 403, "Forbidden", "no media"},
		{"no media", "cam", "v=0\r\ns=x\r\n", nil, 403, "Forbidden", "no media"},
		{"no media that can be used", "cam", "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-ANY/0\r\n", nil, 403, "Forbidden", "bad session description"},
		{"17 medias", "cam", strings.Repeat(good, 17), nil, 403, "Forbidden", "more than 16"},
		{"long line", "cam", good + "a=" + strings.Repeat("x", 9<<10) + "\r\n", nil, 403, "Forbidden", "line of"},
		{"busy", "cam", good, source.ErrBusy, 406, "Not Acceptable", "Already publishing."},
		{"unauthorized", "cam", good, source.Refuse(source.ErrUnauthorized, "who are you"), 401, "Unauthorized", "who are you"},
		{"forbidden", "cam", good, source.Refuse(source.ErrForbidden, "not you"), 403, "Forbidden", "not you"},
		{"limit", "cam", good, source.ErrLimit, 453, "Not Enough Bandwidth", "Too many sessions."},
		{"other", "cam", good, errors.New("a secret"), 500, "Internal Server Error", "Publishing failed."},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTaker()
			var h source.Handler = k
			if c.err != nil {
				h = handlerFuncs{publish: func(context.Context, *source.Request) (source.Publication, error) { return nil, c.err }}
			}
			s := &Server{Handler: h}
			url := startServer(t, s)
			if c.path == "" {
				url = strings.TrimSuffix(url, "/") // an app, no stream
			}
			p := newTestPublisher(dialPeer(t, url), url+c.path, nil)
			r := p.announce(c.status, c.sdp)
			require.Equal(t, c.reason, r.Reason)
			require.Contains(t, string(r.Body), c.body)
			require.Empty(t, r.Header.Get("Session"))
			p.requireClosed()
			require.Empty(t, k.takes)
			require.Eventually(t, func() bool { return s.Stats().Refused == 1 }, 10*time.Second, time.Millisecond)
		})
	}
}

// Without a Handler nobody publishes.
func TestAnnounceNobody(t *testing.T) {
	url := startServer(t, &Server{})
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.announce(403, p.sdp())
	p.requireClosed()
}

// TestAnnounceBusy: a name is that of one publisher, from ANNOUNCE on, and free
// again when it has gone.
func TestAnnounceBusy(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	a := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	a.announce(200, a.sdp())
	b := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	require.Equal(t, "Already publishing.", string(b.announce(406, b.sdp()).Body))
	b.requireClosed()
	require.NoError(t, a.nc.Close())
	require.Eventually(t, func() bool {
		return hub.Stream(camKey) == nil
	}, 10*time.Second, time.Millisecond)
	c := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	c.publish()
}

// Publishers may have to log in.
func TestAnnounceLogin(t *testing.T) {
	k := newTaker()
	h := handlerFuncs{play: k.Play, publish: func(ctx context.Context, req *source.Request) (source.Publication, error) {
		if req.User != "" {
			return k.Publish(ctx, req)
		}
		return nil, &source.Challenge{Realm: "test", Secret: func(context.Context, string, bool) (string, bool, error) { return "pass", false, nil }}
	}}
	url := startServer(t, &Server{Handler: h})
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	challenges := p.announce(401, p.sdp()).Header.Values("WWW-Authenticate")
	md5 := challenges[len(challenges)-1]
	p.announce(401, p.sdp(), "Authorization", digestAnswer("MD5", "alice", "wrong", challengeNonce(md5), "ANNOUNCE", p.url))
	p.announce(200, p.sdp(), "Authorization", digestAnswer("MD5", "alice", "pass", challengeNonce(md5), "ANNOUNCE", p.url))
	require.Equal(t, "alice", k.only(t).req.User)
	for i := range p.medias {
		p.setupTCP(i, uint8(2*i))
	}
	p.do(200, "RECORD", p.url)
}

// TestAnnounceWithoutRecord: who does not go on is cut, and what was granted is
// given up.
func TestAnnounceWithoutRecord(t *testing.T) {
	k := newTaker()
	inMemory(t, &Server{Handler: k}, func(t *testing.T, ln *memnet.Listener) {
		began := time.Now()
		p := newTestPublisher(memoryPeer(t, ln), "rtsp://host/live/cam", testStream.Tracks())
		p.announce(200, p.sdp())
		p.requireClosed()
		require.Equal(t, defaultHandshakeTimeout, time.Since(began))
		synctest.Wait()
		require.Error(t, k.only(t).end(t))
	})
}

// TestAnnounceLateAnswer: limits G10. The peer goes while the Handler is asked;
// what is granted then is given up.
func TestAnnounceLateAnswer(t *testing.T) {
	k := newTaker()
	answer := make(chan struct{})
	h := handlerFuncs{play: k.Play, publish: func(ctx context.Context, req *source.Request) (source.Publication, error) {
		<-answer
		return k.Publish(ctx, req)
	}}
	s := &Server{Handler: h}
	url := startServer(t, s)
	p := newTestPublisher(dialPeer(t, url), url+"cam", testStream.Tracks())
	p.cseq++
	r := &wire.Request{Method: wire.MethodAnnounce, URL: p.url, Body: []byte(p.sdp()), Header: fields("CSeq", "1")}
	_, err := p.nc.Write(r.Append(nil))
	require.NoError(t, err)
	require.NoError(t, p.nc.Close())
	close(answer)
	require.Error(t, k.only(t).end(t))
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
}

// TestAnnounceFlaps: limits G8. Publishers that come and go leave nothing.
func TestAnnounceFlaps(t *testing.T) {
	k := newTaker()
	s := &Server{Handler: k}
	url := startServer(t, s)
	n := 300
	if testing.Short() || raceEnabled {
		n = 50
	}
	stream := testmedia.Stream{Video: codec.H264}
	for i := range n {
		p := newTestPublisher(dialPeer(t, url), url+"cam", stream.Tracks())
		switch i % 3 {
		case 0:
			p.publish()
		case 1:
			p.announce(200, p.sdp())
		case 2:
			p.publish()
			p.do(200, "TEARDOWN", p.url)
		}
		require.NoError(t, p.nc.Close())
	}
	require.Eventually(t, func() bool { return s.Stats().Conns == 0 }, 10*time.Second, time.Millisecond)
	k.await(t, func() bool { return !slices.ContainsFunc(k.takes, func(x *taken) bool { return !x.over }) })
	require.Len(t, k.takes, n)
}
