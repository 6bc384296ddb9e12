package rtsp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/rtsp/internal/wire"
	"github.com/mediakit-go/mediakit/source"
)

// A file is a Reader that can seek, stand still and change its speed, and a
// Handler that gives itself to one viewer. It has the frames of testStream.
type file struct {
	mu      sync.Mutex // guards what follows
	tracks  []*codec.Track
	frames  []*codec.Frame
	next    int
	discont bool
	paused  bool
	orders  []string
	fail    error // of Seek and SetSpeed

	changed chan struct{} // gets one when something is other
	closed  chan struct{}
	once    sync.Once
}

const fileLength = 20 * time.Second

func newFile() *file {
	return &file{tracks: testStream.Tracks(), frames: testStream.Take(fileLength), changed: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (f *file) Tracks() []*codec.Track { return f.tracks }

func (f *file) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	wait := time.NewTimer(5 * time.Millisecond) // the file shall not be over before the test is
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.closed:
		return nil, source.ErrClosed
	}
	for {
		f.mu.Lock()
		switch {
		case f.paused:
		case f.next == len(f.frames):
			f.mu.Unlock()
			return nil, io.EOF
		default:
			defer f.mu.Unlock()
			fr := *f.frames[f.next]
			if f.discont {
				fr.Flags |= codec.FlagDiscont
			}
			f.discont = false
			f.next++
			return &fr, nil
		}
		f.mu.Unlock()
		select {
		case <-f.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.closed:
			return nil, source.ErrClosed
		}
	}
}

func (f *file) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

func (f *file) order(format string, args ...any) error {
	f.orders = append(f.orders, fmt.Sprintf(format, args...))
	select {
	case f.changed <- struct{}{}:
	default:
	}
	return f.fail
}

func (f *file) ordered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.orders)
}

func (f *file) Seek(_ context.Context, t time.Duration) (time.Duration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.order("seek %v", t); err != nil {
		return 0, err
	}
	for i, fr := range f.frames {
		if fr.DTS <= t && fr.Key() && fr.Track.Kind() == codec.KindVideo {
			f.next = i
		}
	}
	f.discont = true
	return f.frames[f.next].DTS, nil
}

func (f *file) Duration() time.Duration { return fileLength }

func (f *file) Pause(on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = on
	_ = f.order("pause %v", on)
	return nil
}

func (f *file) SetSpeed(speed float64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.order("speed %v", speed)
}

func (f *file) Play(context.Context, *source.Request) (source.Reader, error) { return f, nil }
func (f *file) Publish(context.Context, *source.Request) (source.Publication, error) {
	return nil, source.ErrForbidden
}

// starts reads packets up to the first of the video that begins at what PLAY was
// answered, which must be a packet of the frame at that time.
func (p *testPeer) starts(rtpInfos string) (at rtpInfo) {
	p.t.Helper()
	infos := parseRTPInfo(rtpInfos)
	require.Len(p.t, infos, 2)
	for {
		if x := p.rtp(); x.channel == 0 {
			require.Contains(p.t, rtpInfos, fmt.Sprintf(";seq=%d;", x.Sequence))
			require.Equal(p.t, infos[0].timestamp, x.Timestamp)
			return infos[0]
		}
	}
}

// videoStep reads packets and returns the time between the first picture there is
// and the next.
func (p *testPeer) videoStep() uint32 {
	p.t.Helper()
	var first uint32
	for n := 0; ; {
		if x := p.rtp(); x.channel == 0 && (n == 0 || x.Timestamp != first) {
			if n++; n == 2 {
				return x.Timestamp - first
			}
			first = x.Timestamp
		}
	}
}

// TestPlayFile: a stream of some length goes where Range says, as fast as Scale
// and Speed say, and what comes after an answer is what the answer tells of. The
// times of packets go on without a gap.
func TestPlayFile(t *testing.T) {
	f := newFile()
	url := startServer(t, &Server{Handler: f, Logger: testLog(t)}) + "film"
	p := dialPeer(t, url)
	d := p.setupAll(url, tcp)
	require.Equal(t, fileLength, d.duration)
	const step = 90000 / 25

	r := p.do(200, "PLAY", url, "Range", "npt=5.5-", "Scale", "2.0")
	require.Equal(t, "npt=5.000-20.000", r.Header.Get("Range"))
	require.Equal(t, "2", r.Header.Get("Scale"))
	require.Empty(t, r.Header.Get("Speed"))
	first := p.starts(r.Header.Get("RTP-Info"))
	require.EqualValues(t, step/2, p.videoStep())

	// Another time, while it plays: nothing from before comes after the answer.
	r = p.do(200, "PLAY", url, "Range", "npt=0:00:12-")
	require.Equal(t, "npt=12.000-20.000", r.Header.Get("Range"))
	require.Empty(t, r.Header.Get("Scale"))
	var last uint32
	for _, x := range p.packets {
		if x.Channel == 0 {
			last = parseRTP(t, x.Payload).Timestamp
		}
	}
	p.packets = nil
	second := p.starts(r.Header.Get("RTP-Info"))
	if last != 0 {
		require.InDelta(t, step, int32(second.timestamp-last), step, "a frame after the last one of before")
	}
	require.Less(t, second.timestamp-first.timestamp, uint32(5*90000))

	// PLAY that changes nothing.
	r = p.do(200, "PLAY", url)
	require.Empty(t, r.Header.Get("RTP-Info"))

	// It stands still; PLAY without a time goes on from there.
	p.do(200, "PAUSE", url)
	p.packets = nil
	p.do(200, "PLAY", url)
	p.rtp()
	require.Equal(t, []string{"speed 2", "seek 5.5s", "pause false", "seek 12s", "pause false", "pause false", "pause true", "pause false"}, f.ordered())

	// With a time it goes there.
	p.do(200, "PAUSE", url)
	r = p.do(200, "PLAY", url, "Range", "npt=0-")
	require.Equal(t, "npt=0.000-20.000", r.Header.Get("Range"))
	p.packets = nil
	third := p.starts(r.Header.Get("RTP-Info"))
	require.Less(t, third.timestamp-second.timestamp, uint32(5*90000))

	// Other speeds, without another time: the answer tells of the packets that are
	// affected.
	r = p.do(200, "PLAY", url, "Scale", "0.5")
	require.Equal(t, "0.5", r.Header.Get("Scale"))
	require.Contains(t, r.Header.Get("Range"), "-20.000")
	from, _, ok := parseRange(r.Header.Get("Range"))
	require.True(t, ok)
	require.Less(t, from, 5*time.Second)
	infos := parseRTPInfo(r.Header.Get("RTP-Info"))
	require.Len(t, infos, 2)
	p.packets = nil
	for x := p.rtp(); x.channel != 0 || int32(x.Timestamp-infos[0].timestamp) < step*2; x = p.rtp() {
		require.Less(t, int32(x.Timestamp-infos[x.channel/2].timestamp), int32(90000))
	}
	require.EqualValues(t, step*2, p.videoStep())
	r = p.do(200, "PLAY", url, "Scale", "1", "Speed", "3")
	require.Equal(t, "1", r.Header.Get("Scale"))
	require.Equal(t, "3", r.Header.Get("Speed"))
	require.Equal(t, "speed 3", f.ordered()[len(f.ordered())-2])

	// A time there is not, and a speed: all is as it was.
	f.mu.Lock()
	f.fail = source.ErrUnsupported
	f.mu.Unlock()
	p.do(457, "PLAY", url, "Range", "npt=7-")
	r = p.do(200, "PLAY", url, "Scale", "300")
	require.Equal(t, "1", r.Header.Get("Scale"))
	require.Equal(t, "3", p.do(200, "PLAY", url, "Speed", "100").Header.Get("Speed"))
	require.Empty(t, p.do(200, "PLAY", url, "Speed", "-1").Header.Get("Speed"))
	f.mu.Lock()
	f.fail = nil
	f.mu.Unlock()
	p.packets = nil
	p.rtp()

	// To the end.
	p.do(200, "PLAY", url, "Range", "npt=19-")
	p.requireClosed()
}

// TestPlayFileNumbers: wherever a viewer goes, its packets are numbered and timed
// without gaps, though some that were made were never sent.
func TestPlayFileNumbers(t *testing.T) {
	f := newFile()
	url := startServer(t, &Server{Handler: f}) + "film"
	p := dialPeer(t, url)
	p.setupAll(url, tcp)
	last := map[uint8]playedPacket{}
	check := func(x playedPacket) {
		if y, ok := last[x.channel]; ok {
			require.Equal(t, y.Sequence+1, x.Sequence)
			require.Less(t, x.Timestamp-y.Timestamp, uint32(90000/5))
		}
		last[x.channel] = x
	}
	p.do(200, "PLAY", url)
	for i := range 20 {
		if i%2 == 0 {
			p.do(200, "PAUSE", url)
		}
		p.do(200, "PLAY", url, "Range", fmt.Sprintf("npt=%d-", i*7%18))
		for n := len(p.packets) + 20*(i%3); n > 0; n-- {
			check(p.rtp())
		}
	}
}

// TestPlayFileRange: a range that ends ends the stream there, one that does not goes
// on to the end of the file; beyond that there is nothing.
func TestPlayFileRange(t *testing.T) {
	for _, c := range []struct {
		ranges []string // one after the other
		told   string   // about the last one
		lasts  time.Duration
	}{
		{[]string{"5.5-8"}, "5.000-8.000", 3 * time.Second},
		{[]string{"0-2"}, "0.000-2.000", 2 * time.Second},
		{[]string{"12-13", "3-4.5"}, "3.000-4.500", 1500 * time.Millisecond},
		{[]string{"3-3.2", "12-13"}, "12.000-13.000", time.Second},
		{[]string{"12-12.5", "18-"}, "18.000-20.000", 2 * time.Second},
		{[]string{"18-20"}, "18.000-20.000", 2 * time.Second},
		{[]string{"18-300"}, "18.000-20.000", 2 * time.Second},
		{[]string{"18-12"}, "18.000-20.000", 2 * time.Second},
		{[]string{"18-soon"}, "18.000-20.000", 2 * time.Second},
	} {
		t.Run(strings.Join(c.ranges, " "), func(t *testing.T) {
			t.Parallel()
			f := newFile()
			url := startServer(t, &Server{Handler: f}) + "film"
			p := dialPeer(t, url)
			p.setupAll(url, tcp)
			for _, beyond := range []string{"npt=20.1-", "npt=61-62", "npt=1e9-"} {
				p.do(457, "PLAY", url, "Range", beyond)
			}
			require.Empty(t, f.ordered())
			var r *wire.Response
			for _, x := range c.ranges {
				r = p.do(200, "PLAY", url, "Range", "npt="+x)
			}
			require.Equal(t, "npt="+c.told, r.Header.Get("Range"))
			p.packets = nil
			first := p.starts(r.Header.Get("RTP-Info"))
			var newest, goodbyes uint32
			for {
				item, err := p.in.Next()
				if err != nil {
					require.ErrorIs(t, err, io.EOF)
					break
				}
				m, ok := item.(*wire.Interleaved)
				require.True(t, ok)
				switch {
				case m.Channel == 0:
					newest = max(newest, parseRTP(t, m.Payload).Timestamp-first.timestamp)
				case m.Channel%2 == 1 && requireReport(t, m.Payload) == nil:
					goodbyes++
				}
			}
			require.EqualValues(t, 2, goodbyes)
			require.InDelta(t, c.lasts.Seconds(), float64(newest)/90000, 0.2)
		})
	}
}

// TestPlayFileFromBeginning: the first PLAY of ffmpeg moves nothing.
func TestPlayFileFromBeginning(t *testing.T) {
	for _, header := range [][]string{nil, {"Range", "npt=0.000-"}, {"Range", "npt=now-"}, {"Range", "clock=19961108T142300Z-"}, {"Range", "nonsense"}} {
		f := newFile()
		url := startServer(t, &Server{Handler: f}) + "film"
		p := dialPeer(t, url)
		p.setupAll(url, tcp)
		r := p.do(200, "PLAY", url, header...)
		require.Equal(t, "npt=0.000-20.000", r.Header.Get("Range"))
		p.starts(r.Header.Get("RTP-Info"))
		require.Equal(t, []string{"pause false"}, f.ordered())
	}
}

// TestPauseLive: of a live stream nothing is sent, and PLAY goes on with the
// newest; nobody else notices.
func TestPauseLive(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	p, q := dialPeer(t, url), dialPeer(t, url)
	_, r := p.play(url + "cam")
	first := p.starts(r.Header.Get("RTP-Info"))
	q.play(url + "cam")
	p.do(200, "PAUSE", url+"cam")
	p.packets = nil
	f.write(t, 300)
	p.do(200, "GET_PARAMETER", url+"cam")
	require.Empty(t, p.packets, "packets after PAUSE was answered")
	r = p.do(200, "PLAY", url+"cam", "Range", "npt=now-", "Scale", "2")
	require.Equal(t, "npt=0.00-", r.Header.Get("Range"))
	require.Empty(t, r.Header.Get("Scale"))
	second := p.starts(r.Header.Get("RTP-Info"))
	require.Greater(t, second.timestamp-first.timestamp, uint32(90000))

	var last uint16
	for n := 0; n < 100; {
		if x := q.rtp(); x.channel == 0 {
			if n > 0 {
				require.Equal(t, last+1, x.Sequence)
			}
			last = x.Sequence
			n++
		}
	}
}

// TestPauseUDP: the same over UDP.
func TestPauseUDP(t *testing.T) {
	hub := newHub(t)
	url := startServer(t, &Server{Handler: hub})
	f := feed(t, hub, "cam", testStream)
	f.write(t, 100)
	p := playUDP(t, url, "cam")
	require.Equal(t, p.info[0].timestamp, p.rtp(0).Timestamp)
	p.do(200, "PAUSE", url+"cam")
	f.write(t, 100)
	info := parseRTPInfo(p.do(200, "PLAY", url+"cam").Header.Get("RTP-Info"))
	for p.rtp(0).Timestamp != info[0].timestamp {
	}
}
