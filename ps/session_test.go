package ps

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/rtp"
	"github.com/mediakit-go/mediakit/internal/rtptest"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
	"github.com/mediakit-go/mediakit/ts"
)

var errTest = errors.New("a reason")

// A fakeLink is a link that keeps the reports.
type fakeLink struct {
	over string

	mu      sync.Mutex
	reports [][]byte
}

func (l *fakeLink) protocol() string { return l.over }

func (l *fakeLink) remote() net.Addr { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 15060} }

func (l *fakeLink) local() net.Addr { return &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 10000} }

func (l *fakeLink) send([][]byte) error { return nil }

func (l *fakeLink) close() {}

func (l *fakeLink) report(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reports = append(l.reports, bytes.Clone(b))
	return nil
}

// A recorder is a Handler, and its only Publication, that keeps what it gets.
type recorder struct {
	answer   func(ctx context.Context) error                 // of Publish; nil accepts
	onWrite  func(ctx context.Context, f *codec.Frame) error // nil accepts
	onTracks func() error

	mu       sync.Mutex
	asked    []*source.Request
	frames   []*codec.Frame
	tracks   []*codec.Track
	complete bool
	closed   []error
}

func (r *recorder) Play(context.Context, *source.Request) (source.Reader, error) {
	return nil, source.ErrNotFound
}

func (r *recorder) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	r.mu.Lock()
	r.asked = append(r.asked, req)
	r.mu.Unlock()
	if r.answer != nil {
		if err := r.answer(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *recorder) SetTracks(tracks []*codec.Track, complete bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tracks, r.complete = tracks, complete
	if r.onTracks != nil {
		return r.onTracks()
	}
	return nil
}

func (r *recorder) WriteFrame(ctx context.Context, f *codec.Frame) error {
	if r.onWrite != nil {
		if err := r.onWrite(ctx, f); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, f)
	return nil
}

func (r *recorder) Close() error { return r.CloseWithError(nil) }

func (r *recorder) CloseWithError(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, err)
	return nil
}

// got returns the frames so far.
func (r *recorder) got() []*codec.Frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.frames)
}

// asks returns how often there was a Publish.
func (r *recorder) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

var testKey = source.Key{Vhost: source.DefaultVhost, App: "rtp", Stream: "0000ABCD"}

const testSSRC = 0xabcd

// newTestSession returns a session over UDP that r is asked for.
func newTestSession(h source.Handler, o ReceiveOptions) (*Session, *fakeLink) {
	l := &fakeLink{over: "udp"}
	return newSession(l, testKey, testSSRC, h, &o, nil), l
}

// psPackets returns the RTP packets of frames in a program stream, made by s.
func psPackets(t testing.TB, s *rtptest.Sender, frames []*codec.Frame) [][]byte {
	t.Helper()
	m := NewMuxer(nil)
	var b []byte
	for _, f := range frames {
		var err error
		b, err = m.Append(b, f)
		require.NoError(t, err)
	}
	units, err := rtptest.CutPS(b)
	require.NoError(t, err)
	return s.AllPackets(units)
}

// psSender returns the usual sender of a program stream.
func psSender() *rtptest.Sender {
	return &rtptest.Sender{SSRC: testSSRC, PayloadType: 96, Sequence: 65500}
}

func tsPackets(t testing.TB, s *rtptest.Sender, frames []*codec.Frame) [][]byte {
	t.Helper()
	m := ts.NewMuxer(nil)
	var packets [][]byte
	for _, f := range frames {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		packets = append(packets, s.Packets(rtptest.Unit{Timestamp: uint32(codec.Ticks(f.DTS, 90000)), Data: b})...)
	}
	return packets
}

// esPackets returns the packets of the frames of one track.
func esPackets(t testing.TB, pt uint8, frames []*codec.Frame) [][]byte {
	t.Helper()
	p, err := rtp.NewPacketizer(frames[0].Track, rtp.PacketizerOptions{PayloadType: pt, SSRC: testSSRC})
	require.NoError(t, err)
	var packets [][]byte
	for _, f := range frames {
		wire, err := p.Append(nil, f)
		require.NoError(t, err)
		for _, b := range rtp.Datagrams(wire) {
			packets = append(packets, bytes.Clone(b))
		}
	}
	return packets
}

// arrive lets packets come, one each millisecond, in memory that is used again. It
// returns when the last one did.
func arrive(s *Session, packets [][]byte, now time.Time) time.Time {
	buf := make([]byte, 64<<10)
	for _, p := range packets {
		n := copy(buf, p)
		s.take(buf[:n], now)
		clear(buf[:n])
		now = now.Add(time.Millisecond)
	}
	return now
}

// statsOf returns the counters of s when nobody is at work on it.
func statsOf(s *Session) SessionStats {
	synctest.Wait()
	return s.Stats()
}

// ended requires that s has ended, for the reason want.
func ended(t testing.TB, s *Session, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-s.Done():
	default:
		require.Fail(t, "not ended")
	}
	require.ErrorIs(t, statsOf(s).Err, want)
}

// requireBounded requires that what waits in s is within the bounds.
func requireBounded(t testing.TB, s *Session) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.LessOrEqual(t, s.candidate.size+s.rival.size, 64<<10)
	require.LessOrEqual(t, s.backlog.size, 8<<20)
	require.LessOrEqual(t, s.held.size, 8<<20)
}

// requireFrames requires that got are the frames want, of each kind in their order,
// with the same distances in time.
func requireFrames(t testing.TB, want, got []*codec.Frame) {
	t.Helper()
	for _, kind := range []codec.Kind{codec.KindVideo, codec.KindAudio} {
		other := func(f *codec.Frame) bool { return f.Track.Kind() != kind }
		want, got := slices.DeleteFunc(slices.Clone(want), other), slices.DeleteFunc(slices.Clone(got), other)
		require.Len(t, got, len(want), "%v", kind)
		for i := range want {
			require.Equal(t, want[i].Track.Codec, got[i].Track.Codec)
			require.Equal(t, want[i].Data, got[i].Data, "%v frame %d", kind, i)
			require.Equal(t, want[i].Has(codec.FlagKey), got[i].Has(codec.FlagKey), "%v frame %d", kind, i)
			require.False(t, got[i].Has(codec.FlagCorrupt), "%v frame %d", kind, i)
			require.InDelta(t, want[i].DTS-want[0].DTS, got[i].DTS-got[0].DTS, float64(time.Millisecond), "%v frame %d", kind, i)
			require.InDelta(t, want[i].PTS-want[0].PTS, got[i].PTS-got[0].PTS, float64(time.Millisecond), "%v frame %d", kind, i)
		}
	}
}

var sessionStreams = []testmedia.Stream{
	{Video: codec.H264, Audio: codec.AAC, GOP: 400 * time.Millisecond},
	{Video: codec.H264, Audio: codec.PCMA, GOP: 400 * time.Millisecond},
	{Video: codec.H265, Audio: codec.AAC, BFrames: 2, GOP: 400 * time.Millisecond},
	{Video: codec.H264},
	{Audio: codec.AAC},
}

func TestPayloadString(t *testing.T) {
	require.Equal(t, []string{"", "PS", "TS", "ES"}, []string{PayloadAuto.String(), PayloadPS.String(), PayloadTS.String(), PayloadES.String()})
}

// What is sent in a container arrives, whatever marks the sender sets.
func TestSessionContainer(t *testing.T) {
	senders := map[string]func(testing.TB, []*codec.Frame) [][]byte{
		"PS": func(t testing.TB, f []*codec.Frame) [][]byte { return psPackets(t, psSender(), f) },
		"PS without markers": func(t testing.TB, f []*codec.Frame) [][]byte {
			s := psSender()
			s.Marker = rtptest.MarkNever
			return psPackets(t, s, f)
		},
		"PS with markers only": func(t testing.TB, f []*codec.Frame) [][]byte {
			s := psSender()
			s.Marker = rtptest.MarkAll
			return psPackets(t, s, f)
		},
		"PS in small packets": func(t testing.TB, f []*codec.Frame) [][]byte {
			s := psSender()
			s.MaxPayload = 100
			return psPackets(t, s, f)
		},
		"TS": func(t testing.TB, f []*codec.Frame) [][]byte {
			return tsPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 33}, f)
		},
		"TS as 96": func(t testing.TB, f []*codec.Frame) [][]byte {
			return tsPackets(t, &rtptest.Sender{SSRC: testSSRC, PayloadType: 96}, f)
		},
	}
	for name, packets := range senders {
		for _, stream := range sessionStreams {
			t.Run(name+" of "+streamName(stream), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := &recorder{}
					s, _ := newTestSession(r, ReceiveOptions{})
					require.False(t, s.begun())
					frames := stream.Take(2 * time.Second)
					sent := packets(t, frames)
					half := len(sent) / 2
					now := arrive(s, sent[:half], time.Now())
					require.True(t, s.begun())
					synctest.Wait()
					require.True(t, s.accepted())
					arrive(s, sent[half:], now)
					require.Equal(t, map[byte]Payload{'P': PayloadPS, 'T': PayloadTS}[name[0]], statsOf(s).Payload)
					require.Len(t, statsOf(s).Tracks, len(stream.Tracks()))
					s.end(io.EOF)
					ended(t, s, io.EOF)

					requireFrames(t, frames, r.frames)
					require.Len(t, r.tracks, len(stream.Tracks()))
					require.True(t, r.complete)
					require.Equal(t, []error{nil}, r.closed)
					st := statsOf(s)
					require.EqualValues(t, testSSRC, st.SSRC)
					require.EqualValues(t, len(sent), st.Packets)
					require.EqualValues(t, len(frames), st.Frames)
					require.Zero(t, st.Lost+st.Invalid+st.Reordered+st.Duplicates+st.Resets+st.Dropped)
					require.Len(t, st.Tracks, len(stream.Tracks()))

					req := r.asked[0]
					require.Equal(t, testKey, req.Key)
					require.Equal(t, "rtp", req.Schema)
					require.Equal(t, "rtp", req.Protocol)
					require.Equal(t, st.ID, req.ID)
					require.Equal(t, "10.0.0.7:15060", req.Remote.String())
					require.Equal(t, "10.0.0.1:10000", req.Local.String())
				})
			})
		}
	}
}

func streamName(s testmedia.Stream) string {
	name := ""
	for _, t := range s.Tracks() {
		name += t.Codec.String()
	}
	return name
}

// Over TCP the Request says so, and it has the options of the stream.
func TestSessionRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		o := ReceiveOptions{Options: source.StreamOptions{NoAudio: true, Linger: time.Minute}}
		s := newSession(&fakeLink{over: "tcp"}, testKey, testSSRC, r, &o, nil)
		arrive(s, psPackets(t, psSender(), sessionStreams[0].Take(time.Second)), time.Now())
		synctest.Wait()
		require.Equal(t, "rtp/tcp", r.asked[0].Protocol)
		require.Equal(t, o.Options, r.asked[0].Options)
		require.Equal(t, "tcp", statsOf(s).Protocol)
		require.Same(t, s.link, s.peer())
		s.Close(errTest)
		ended(t, s, errTest)
	})
}

// Sessions that are accepted need no goroutine.
func TestSessionGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		sent := psPackets(t, psSender(), sessionStreams[0].Take(time.Second))
		before := runtime.NumGoroutine()
		var sessions []*Session
		for i := range 100 {
			key := testKey
			key.Stream = strconv.Itoa(i)
			s := newSession(&fakeLink{over: "udp"}, key, testSSRC, hub, &ReceiveOptions{}, nil)
			arrive(s, sent, time.Now())
			sessions = append(sessions, s)
		}
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine(), before+5)
		for _, s := range sessions {
			require.True(t, s.accepted())
			s.end(nil)
			ended(t, s, io.EOF)
		}
		require.Len(t, hub.Streams(), 0)
	})
}

// A track that is announced and does not come is waited for 2 s or 100 frames (P6).
func TestSessionProbes(t *testing.T) {
	stream := sessionStreams[0]
	frames := slices.DeleteFunc(stream.Take(5*time.Second), func(f *codec.Frame) bool { return f.Track.Kind() == codec.KindAudio })
	m := NewMuxer(stream.Tracks())
	sender := psSender()
	var packets [][][]byte // of each frame
	for _, f := range frames {
		b, err := m.Append(nil, f)
		require.NoError(t, err)
		packets = append(packets, sender.Packets(rtptest.Unit{Data: b}))
	}
	known := func(r *recorder) (tracks int, complete bool) {
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.tracks), r.complete
	}
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			for _, p := range packets[:20] {
				arrive(s, p, s.began)
			}
			s.tick(s.began.Add(probeTime - 100*time.Millisecond))
			_, complete := known(r)
			require.False(t, complete)
			s.tick(s.began.Add(probeTime + 100*time.Millisecond))
			tracks, complete := known(r)
			require.True(t, complete)
			require.Equal(t, 1, tracks)
			s.Close(errTest)
			ended(t, s, errTest)
		})
	})
	t.Run("frames", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			s, _ := newTestSession(r, ReceiveOptions{})
			complete := false
			for _, p := range packets {
				arrive(s, p, s.began)
				if _, complete = known(r); complete {
					break
				}
			}
			require.True(t, complete)
			require.LessOrEqual(t, statsOf(s).Frames, uint64(probeFrames))
			require.Greater(t, statsOf(s).Frames, uint64(probeFrames/3))
			s.Close(errTest)
			ended(t, s, errTest)
		})
	})
}
