package ps

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/internal/listen"
	"github.com/mediakit-go/mediakit/internal/testmedia"
	"github.com/mediakit-go/mediakit/source"
)

func TestSessionRefused(t *testing.T) {
	for name, h := range map[string]source.Handler{
		"by the handler": &recorder{answer: func(context.Context) error { return source.ErrUnauthorized }},
		"by a challenge": &recorder{answer: func(context.Context) error { return &source.Challenge{Realm: "x"} }},
		"without one":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newTestSession(h, ReceiveOptions{})
				sent := psPackets(t, psSender(), sessionStreams[0].Take(time.Second))
				now := arrive(s, sent[:60], time.Now())
				want := source.ErrUnauthorized
				if h == nil {
					want = source.ErrForbidden
				}
				ended(t, s, want)
				arrive(s, sent[60:], now) // nothing is taken in any more
				s.tick(now.Add(time.Hour))
				s.control([]byte(byeOf(testSSRC)), now)
				require.ErrorIs(t, statsOf(s).Err, want)
				require.True(t, s.begun())
				require.False(t, s.accepted())
			})
		})
	}
}

// A Handler that takes its time costs nothing but old groups of pictures.
func TestSessionSlowHandler(t *testing.T) {
	cases := []struct {
		name   string
		stream testmedia.Stream
		wait   time.Duration // of media
		want   time.Duration // of it that is lost
	}{
		{"soon", testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, 5 * time.Second, 0},
		{"late", testmedia.Stream{Video: codec.H264, Audio: codec.AAC}, 19 * time.Second, 10 * time.Second},
		{"much", testmedia.Stream{Video: codec.H264, Bitrate: 20_000_000}, 5 * time.Second, 2 * time.Second},
		{"groups that are too large", testmedia.Stream{Video: codec.H264, Bitrate: 20_000_000, GOP: 5 * time.Second}, 7 * time.Second, 5 * time.Second},
		{"audio", testmedia.Stream{Audio: codec.PCMA}, 19 * time.Second, 10 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				accept := make(chan struct{})
				r := &recorder{answer: func(context.Context) error { <-accept; return nil }}
				s, _ := newTestSession(r, ReceiveOptions{})
				frames := c.stream.Take(c.wait)
				sent := psPackets(t, psSender(), frames)
				now := time.Now()
				for _, p := range sent {
					now = arrive(s, [][]byte{p}, now)
					requireBounded(t, s)
				}
				synctest.Wait()
				require.Empty(t, r.got())
				require.False(t, s.accepted())
				close(accept)
				synctest.Wait()
				require.True(t, s.accepted())
				s.end(nil)
				ended(t, s, io.EOF)
				require.InDelta(t, c.want, r.frames[0].DTS-frames[0].DTS, float64(time.Second))
				for _, f := range r.frames {
					if f.Track.Kind() == codec.KindVideo {
						require.True(t, f.Key())
						break
					}
				}
				require.EqualValues(t, len(frames)-len(r.frames), statsOf(s).Dropped)
				if c.want == 0 {
					requireFrames(t, frames, r.frames)
				}
			})
		})
	}
}

// What came before the end is published, if the Handler does not take long, and
// nobody here wants the end.
func TestSessionEndsEarly(t *testing.T) {
	cases := []struct {
		name  string
		wait  time.Duration // of the Handler
		end   func(*Session)
		last  bool // it is published
		lasts time.Duration
		err   error
	}{
		{"goodbye", time.Second / 2, func(s *Session) { s.end(io.EOF) }, true, time.Second / 2, io.EOF},
		{"goodbye, but the handler is slow", time.Minute, func(s *Session) { s.end(nil) }, false, time.Second, io.EOF},
		{"connection closed", time.Second / 2, func(s *Session) { s.end(io.ErrUnexpectedEOF) }, true, time.Second / 2, io.ErrUnexpectedEOF},
		{"connection closed, but the handler is slow", time.Minute, func(s *Session) { s.end(io.ErrUnexpectedEOF) }, false, time.Second, io.ErrUnexpectedEOF},
		{"BYE", time.Second / 2, func(s *Session) {
			s.control([]byte(byeOf(testSSRC)), time.Now())
			s.tick(time.Now().Add(byeTime))
		}, true, time.Second / 2, io.EOF},
		{"silence", time.Second / 2, func(s *Session) { s.tick(time.Now().Add(time.Hour)) }, true, time.Second / 2, source.ErrTimeout},
		{"operator", time.Second / 2, func(s *Session) { s.Close(errTest) }, false, 0, errTest},
		{"server", time.Second / 2, func(s *Session) { s.end(ErrServerClosed) }, false, 0, ErrServerClosed},
		{"goodbye, then server", time.Second / 2, func(s *Session) { s.end(nil); s.end(ErrServerClosed) }, false, 0, io.EOF},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{answer: func(ctx context.Context) error {
					select {
					case <-time.After(c.wait):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				}}
				s, _ := newTestSession(r, ReceiveOptions{})
				frames := sessionStreams[0].Take(time.Second)
				arrive(s, psPackets(t, psSender(), frames), time.Now())
				start := time.Now()
				c.end(s)
				<-s.Done()
				require.Equal(t, c.lasts, time.Since(start))
				require.ErrorIs(t, statsOf(s).Err, c.err)
				if !c.last {
					require.Empty(t, r.frames)
					require.Equal(t, statsOf(s).Frames, statsOf(s).Dropped)
					return
				}
				requireFrames(t, frames, r.frames)
				require.Zero(t, statsOf(s).Dropped)
				require.Len(t, r.closed, 1)
				if errors.Is(c.err, io.EOF) {
					require.NoError(t, r.closed[0])
				} else {
					require.ErrorIs(t, r.closed[0], c.err)
				}
			})
		})
	}
}

// A viewer who makes the publisher wait does not keep a session from its end.
func TestSessionEndsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := &recorder{onWrite: func(ctx context.Context, _ *codec.Frame) error {
			if n++; n <= 10 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		s, _ := newTestSession(r, ReceiveOptions{})
		arrive(s, psPackets(t, psSender(), sessionStreams[0].Take(time.Second)), time.Now())
		synctest.Wait()
		start := time.Now()
		s.end(io.ErrUnexpectedEOF)
		<-s.Done()
		require.Equal(t, lastTime, time.Since(start))
		require.Len(t, r.frames, 10)
		require.EqualValues(t, statsOf(s).Frames-10, statsOf(s).Dropped)
		require.ErrorIs(t, statsOf(s).Err, io.ErrUnexpectedEOF)
	})
}

// The session ends with the Publication: when an operator or the hub ends that.
func TestSessionPublicationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		s, _ := newTestSession(hub, ReceiveOptions{})
		sent := psPackets(t, psSender(), sessionStreams[0].Take(2*time.Second))
		half := len(sent) / 2
		now := arrive(s, sent[:half], time.Now())
		synctest.Wait()
		require.NotNil(t, hub.Stream(testKey))
		require.True(t, hub.Kick(statsOf(s).ID))
		arrive(s, sent[half:], now)
		ended(t, s, source.ErrKicked)
	})
}

// A Handler may give the stream another name.
func TestSessionRenamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		key := source.Key{Vhost: source.DefaultVhost, App: "live", Stream: "door"}
		s, _ := newTestSession(renaming{hub, key}, ReceiveOptions{})
		require.Equal(t, testKey, s.Key())
		arrive(s, psPackets(t, psSender(), sessionStreams[0].Take(2*time.Second)), time.Now())
		synctest.Wait()
		require.Equal(t, key, s.Key())
		require.Equal(t, key, statsOf(s).Key)
		require.NotNil(t, hub.Stream(key))
		s.Close(nil)
		ended(t, s, source.ErrKicked)
	})
}

type renaming struct {
	source.Handler
	key source.Key
}

func (r renaming) Publish(ctx context.Context, req *source.Request) (source.Publication, error) {
	req.Key = r.key
	return r.Handler.Publish(ctx, req)
}

// A viewer for whom the publisher would have to wait makes nobody wait: the frames
// go to a backlog.
func TestSessionBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &source.Hub{}
		defer hub.Close()
		s, _ := newTestSession(hub, ReceiveOptions{})
		stream := testmedia.Stream{Video: codec.H264, Audio: codec.AAC}
		frames := stream.Take(60 * time.Second)
		sent := psPackets(t, psSender(), frames)
		begin := len(sent) / 30
		now := arrive(s, sent[:begin], time.Now())
		synctest.Wait()
		viewer, err := hub.Play(t.Context(), &source.Request{Key: testKey, Viewer: source.ViewerOptions{Slow: source.SlowBlock}})
		require.NoError(t, err)
		defer viewer.Close()
		arrive(s, sent[begin:], now)
		st := statsOf(s)
		require.NoError(t, st.Err)
		require.NotZero(t, st.Dropped)
		requireBounded(t, s)

		// When the viewer reads again, the rest follows, and goes on without the goroutine.
		end := frames[len(frames)-100] // the demuxer may have kept the last ones
		for last := []byte(nil); !bytes.Equal(last, end.Data); {
			f, err := viewer.ReadFrame(t.Context())
			require.NoError(t, err)
			last = f.Data
		}
		synctest.Wait()
		s.mu.Lock()
		require.False(t, s.publishing)
		s.mu.Unlock()
		s.end(nil)
		ended(t, s, io.EOF)
	})
}

// An impatient has not ended until somebody waits for it.
func TestImpatient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var c impatient
	c.init(ctx)
	for range 2 {
		c.begin()
		require.NoError(t, c.Err())
		require.NoError(t, context.Cause(&c))
		<-c.Done()
		require.ErrorIs(t, c.Err(), errWouldWait)
		require.ErrorIs(t, context.Cause(&c), errWouldWait)
	}
	cancel()
	c.begin()
	require.ErrorIs(t, c.Err(), context.Canceled)
}

// A panic ends the session it is in.
func TestSessionPanic(t *testing.T) {
	for name, r := range map[string]*recorder{
		"asking":  {answer: func(context.Context) error { panic("a bug") }},
		"writing": {onWrite: func(context.Context, *codec.Frame) error { panic("a bug") }},
		"writing later": {onWrite: func(_ context.Context, f *codec.Frame) error {
			if f.DTS > 1500*time.Millisecond {
				panic("a bug")
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := newTestSession(r, ReceiveOptions{})
				sent := psPackets(t, psSender(), sessionStreams[0].Take(2*time.Second))
				now := arrive(s, sent[:len(sent)/2], time.Now())
				synctest.Wait()
				arrive(s, sent[len(sent)/2:], now)
				ended(t, s, listen.ErrPanic)
			})
		})
	}
}

// Whoever is told of what happens may ask the session, and end it.
func TestSessionCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Session
		hub := &source.Hub{}
		defer hub.Close()
		calls := 0
		hub.OnEvent = func(source.Event) {
			calls++
			s.Stats()
			s.Key()
			s.PauseTimeout(0)
			if calls > 1 {
				s.Close(errTest)
			}
		}
		s, _ = newTestSession(hub, ReceiveOptions{})
		sent := psPackets(t, psSender(), sessionStreams[0].Take(2*time.Second))
		now := arrive(s, sent[:len(sent)/2], time.Now())
		synctest.Wait()
		arrive(s, sent[len(sent)/2:], now)
		ended(t, s, errTest)
		require.Greater(t, calls, 1)
	})
}

// A Publication that takes no tracks ends the session.
func TestSessionTracksRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{onTracks: func() error { return errTest }}
		s, _ := newTestSession(r, ReceiveOptions{})
		arrive(s, psPackets(t, psSender(), sessionStreams[0].Take(time.Second)), time.Now())
		ended(t, s, errTest)
		require.Len(t, r.closed, 1)
		require.ErrorIs(t, r.closed[0], errTest)
	})
}

// Everything at once, for the race detector.
func TestSessionRace(t *testing.T) {
	hub := &source.Hub{}
	defer hub.Close()
	sent := psPackets(t, psSender(), sessionStreams[0].Take(2*time.Second))
	for i := range 20 {
		s, _ := newTestSession(hub, ReceiveOptions{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, p := range sent {
				s.take(p, time.Now())
			}
		})
		wg.Go(func() {
			for range 50 {
				s.tick(time.Now())
				s.Stats()
				s.lose()
				s.foreign()
				s.PauseTimeout(time.Second)
				s.control([]byte("\x80\xc9\x00\x01\x00\x00\x00\x64"), time.Now())
			}
		})
		wg.Go(func() {
			for range rand.IntN(200) {
				s.Key()
				s.accepted()
			}
			if i%2 == 0 {
				s.Close(errTest)
			} else {
				s.end(nil)
			}
		})
		wg.Wait()
		<-s.Done()
		require.EqualValues(t, 50, s.Stats().Foreign)
	}
}
