package rtsp

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
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

// TestPlayFile: a stream of some length goes where Range says, as fast as Scale
// says, and what comes after an answer is what the answer tells of.
func TestPlayFile(t *testing.T) {
	f := newFile()
	url := startServer(t, &Server{Handler: f, Logger: testLog(t)}) + "film"
	p := dialPeer(t, url)
	d := p.setupAll(url, tcp)
	require.Equal(t, fileLength, d.duration)

	r := p.do(200, "PLAY", url, "Range", "npt=5.5-", "Scale", "2.0")
	require.Equal(t, "npt=5.000-20.000", r.Header.Get("Range"))
	require.Equal(t, "2", r.Header.Get("Scale"))
	first := p.starts(r.Header.Get("RTP-Info"))

	// Another time, while it plays: nothing from before comes after the answer.
	r = p.do(200, "PLAY", url, "Range", "npt=0:00:12-")
	require.Equal(t, "npt=12.000-20.000", r.Header.Get("Range"))
	require.Empty(t, r.Header.Get("Scale"))
	p.packets = nil
	second := p.starts(r.Header.Get("RTP-Info"))
	require.Equal(t, uint32(7*90000), second.timestamp-first.timestamp)

	// PLAY that changes nothing.
	r = p.do(200, "PLAY", url)
	require.Empty(t, r.Header.Get("RTP-Info"))

	// It stands still; PLAY without a time goes on from there.
	p.do(200, "PAUSE", url)
	p.packets = nil
	p.do(200, "PLAY", url)
	p.rtp()
	require.Equal(t, []string{"seek 5.5s", "speed 2", "pause false", "seek 12s", "pause false", "pause false", "pause true", "pause false"}, f.ordered())

	// With a time it goes there.
	p.do(200, "PAUSE", url)
	r = p.do(200, "PLAY", url, "Range", "npt=0-")
	require.Equal(t, "npt=0.000-20.000", r.Header.Get("Range"))
	p.packets = nil
	third := p.starts(r.Header.Get("RTP-Info"))
	require.Equal(t, first.timestamp-5*90000, third.timestamp)

	// A time there is not, and a speed.
	f.mu.Lock()
	f.fail = source.ErrUnsupported
	f.mu.Unlock()
	p.do(457, "PLAY", url, "Range", "npt=7-")
	r = p.do(200, "PLAY", url, "Scale", "3")
	require.Equal(t, "1", r.Header.Get("Scale"))
	f.mu.Lock()
	f.fail = nil
	f.mu.Unlock()

	// To the end.
	p.do(200, "PLAY", url, "Range", "npt=19-")
	p.requireClosed()
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
