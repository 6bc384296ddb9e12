package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

// TestHubLogIsLimited: publishers that come and go cannot flood the log.
func TestHubLogIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		h := &Hub{Logger: slog.New(slog.NewTextHandler(&lines, nil))}
		for i := range 100 {
			p, err := h.Publish(t.Context(), &Request{ID: NewID(), Key: Key{Vhost: DefaultVhost, App: "live", Stream: fmt.Sprint(i)}})
			require.NoError(t, err)
			require.NoError(t, p.CloseWithError(nil))
		}
		require.NoError(t, h.Close())
		require.Equal(t, 10, strings.Count(lines.String(), "stream has ended"))
	})
}

// TestViewerBeforePublisher: the viewer starts the moment the stream goes live.
func TestViewerBeforePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		var started time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := s.play(ViewerOptions{})
			started = time.Since(s.began)
			require.Equal(t, "0:1K", read(t, r, 1))
			require.NoError(t, r.Close())
		}()
		time.Sleep(14 * time.Second)
		p := s.publish()
		time.Sleep(500 * ms)
		require.NoError(t, p.SetTracks([]*codec.Track{video}, true))
		s.write(p, frame(video, 0, true))
		<-done
		require.Equal(t, 14500*ms, started)
		require.Empty(t, s.awaited)
	})
}

func TestViewerWaits(t *testing.T) {
	for _, c := range []struct {
		name    string
		maxWait time.Duration
		pending bool // somebody publishes, but never anything
		cancel  time.Duration
		close   time.Duration
		want    error
		after   time.Duration
	}{
		{name: "15 s", want: ErrNotFound, after: 15 * time.Second},
		{name: "a setting", maxWait: time.Minute, want: ErrNotFound, after: time.Minute},
		{name: "not at all", maxWait: -1, want: ErrNotFound},
		{name: "for what is on its way", maxWait: -1, pending: true, want: ErrNotFound, after: 15 * time.Second},
		{name: "pending", pending: true, want: ErrNotFound, after: 15 * time.Second},
		{name: "leaves", cancel: time.Second, want: context.Canceled, after: time.Second},
		{name: "hub closes", close: time.Second, want: ErrClosed, after: time.Second},
		{name: "hub closes while pending", close: time.Second, pending: true, want: ErrClosed, after: time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, StreamOptions{})
				s.MaxWait = c.maxWait
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.cancel > 0 {
					time.AfterFunc(c.cancel, cancel)
				}
				if c.close > 0 {
					time.AfterFunc(c.close, func() { s.Close() })
				}
				if c.pending {
					s.publish()
				}
				_, err := s.Play(ctx, &Request{Key: testKey})
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.after, time.Since(s.began))
				require.Empty(t, s.awaited)
			})
		})
	}
}

func TestHubRefuses(t *testing.T) {
	s := newScene(t, StreamOptions{})
	ctx := context.Background()
	_, err := s.Play(ctx, &Request{Key: Key{App: "x"}})
	require.ErrorIs(t, err, ErrBadKey)
	_, err = s.Publish(ctx, &Request{Key: Key{App: "..", Stream: "x"}})
	require.ErrorIs(t, err, ErrBadKey)
	p := s.publish()
	_, err = s.Publish(ctx, &Request{Key: testKey})
	require.ErrorIs(t, err, ErrBusy, "pending")
	require.NoError(t, p.SetTracks([]*codec.Track{video}, true))
	_, err = s.Publish(ctx, &Request{Key: testKey})
	require.ErrorIs(t, err, ErrBusy, "live")
	require.Nil(t, s.Stream(Key{}))
	require.False(t, s.Kick("nobody"))
	require.False(t, s.Kick(""))
	require.NoError(t, p.Close())
	require.Nil(t, s.Stream(testKey))
	require.ErrorIs(t, p.WriteFrame(ctx, frame(video, 0, true)), ErrClosed)
	require.ErrorIs(t, p.SetTracks(nil, true), ErrClosed)
	require.NoError(t, s.Close())
	_, err = s.Play(ctx, &Request{Key: testKey})
	require.ErrorIs(t, err, ErrClosed)
	_, err = s.Publish(ctx, &Request{Key: testKey})
	require.ErrorIs(t, err, ErrClosed)
}

// TestLinger loses the publisher of a stream that somebody watches.
func TestLinger(t *testing.T) {
	sec := time.Second
	for _, c := range []struct {
		name    string
		options StreamOptions
		goodbye bool
		back    time.Duration   // 0: never
		tracks  []*codec.Track  // announced by who comes back
		frames  []*codec.Frame  // and written
		pauses  []time.Duration // before them
		want    string          // what the viewer reads of it
		end     time.Duration   // when its stream ends, if nobody comes back
	}{
		{name: "goodbye", goodbye: true, end: 0},
		{name: "never back", end: 15 * sec},
		{name: "a setting", options: StreamOptions{Linger: sec}, end: sec},
		{name: "not at all", options: StreamOptions{Linger: -1}, end: 0},
		{
			name: "back in time", back: 14 * sec,
			frames: []*codec.Frame{frame(audio, 100, true), frame(video, 100, false), frame(video, 101, true), frame(audio, 101, true), frame(video, 102, false)},
			want:   "14040:1K! 14040:2K 14080:1-",
		},
		{
			name: "without video", back: sec, tracks: []*codec.Track{audio},
			frames: []*codec.Frame{frame(audio, 0, true), frame(audio, 1, true)},
			want:   "1040:2K! 1080:2K",
		},
		{
			name: "without video, unannounced", back: sec,
			frames: []*codec.Frame{frame(audio, 0, true), frame(audio, 1, true), frame(video, 2, false), frame(video, 3, true)},
			pauses: []time.Duration{0, 3 * sec, 0, 0},
			want:   "1040:2K 1120:1K!",
		},
		{
			name: "in the publisher's times", options: StreamOptions{Time: TimeOff}, back: sec,
			frames: []*codec.Frame{frame(video, 0, true), frame(audio, 0, true), frame(video, 1, false)},
			want:   "1040:1K! 1040:2K 1080:1-",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, c.options)
				p := s.publish(video, audio)
				r := s.play(ViewerOptions{})
				defer r.Close()
				s.write(p, frame(video, 0, true), frame(audio, 0, true), frame(video, 1, false))
				require.Equal(t, "0:1K 0:2K 40:1-", read(t, r, 3))
				if c.goodbye {
					require.NoError(t, p.Close())
				} else {
					require.NoError(t, p.CloseWithError(errLost))
					require.NoError(t, p.Close(), "no more to say")
				}
				lost := time.Now()
				if c.back == 0 {
					_, err := readErr(r)
					require.ErrorIs(t, err, io.EOF)
					require.Equal(t, c.end, time.Since(lost))
					require.Nil(t, s.Stream(testKey))
					return
				}
				time.Sleep(c.back)
				require.Equal(t, StateLingering, s.Stream(testKey).Stats().State)
				require.ErrorIs(t, p.WriteFrame(t.Context(), frame(video, 2, true)), errLost)
				again := s.publish()
				if c.tracks != nil {
					require.NoError(t, again.SetTracks(c.tracks, true))
					require.Equal(t, ids(c.tracks), ids(r.Tracks()))
				}
				for i, f := range c.frames {
					if c.pauses != nil {
						time.Sleep(c.pauses[i])
					}
					s.write(again, f)
				}
				require.NoError(t, again.Close())
				n := 1
				for _, b := range c.want {
					if b == ' ' {
						n++
					}
				}
				require.Equal(t, c.want, read(t, r, n))
				n, err := readErr(r)
				require.ErrorIs(t, err, io.EOF)
				require.Zero(t, n)
				require.Equal(t, "publish, live, play, publish end, lost, publish, resumed, publish end, closed", s.history())
			})
		})
	}
}

func TestIdleClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{IdleClose: 10 * time.Second})
		p := s.publish(video)
		time.Sleep(9 * time.Second)
		passive, err := s.Play(t.Context(), &Request{Key: testKey, Passive: true})
		require.NoError(t, err)
		defer passive.Close()
		r := s.play(ViewerOptions{})
		time.Sleep(time.Hour)
		require.NoError(t, r.Close())
		time.Sleep(9 * time.Second)
		r = s.play(ViewerOptions{})
		time.Sleep(time.Hour)
		require.NoError(t, r.Close())
		left := time.Now()
		_, err = readErr(passive)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 10*time.Second, time.Since(left))
		require.ErrorIs(t, p.WriteFrame(t.Context(), frame(video, 0, true)), ErrIdle)
	})
}

func TestKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		ctx := t.Context()
		var ended []SessionStats
		request := func(id string) *Request {
			req := &Request{ID: id, Schema: "x", Key: testKey}
			req.OnEnd(func(st SessionStats) { ended = append(ended, st) })
			return req
		}
		p, err := s.Publish(ctx, request("publisher"))
		require.NoError(t, err)
		require.NoError(t, p.SetTracks([]*codec.Track{video}, true))
		a, err := s.Play(ctx, request("a"))
		require.NoError(t, err)
		b, err := s.Play(ctx, request("b"))
		require.NoError(t, err)
		reading := make(chan error)
		go func() { _, err := readErr(a); reading <- err }()
		synctest.Wait()
		require.True(t, s.Kick("a"))
		require.ErrorIs(t, <-reading, ErrKicked)
		require.NoError(t, a.Close())
		require.False(t, s.Kick("a"))
		require.True(t, s.Kick("publisher"))
		_, err = readErr(b)
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "again")
		require.ErrorIs(t, p.WriteFrame(ctx, frame(video, 0, true)), ErrKicked)
		require.NoError(t, p.CloseWithError(errLost))
		require.Nil(t, s.Stream(testKey))
		require.Len(t, ended, 3)
		for i, want := range []struct {
			id  string
			err error
		}{{"a", ErrKicked}, {"publisher", ErrKicked}, {"b", io.EOF}} {
			require.Equal(t, want.id, ended[i].ID)
			require.ErrorIs(t, ended[i].Err, want.err)
		}
		require.Equal(t, "publish, live, play, play, play end, publish end, closed, play end", s.history())
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		var final SessionStats
		req := &Request{ID: "p", Schema: "x", Key: testKey}
		req.OnEnd(func(st SessionStats) { final = st })
		p, err := s.Publish(t.Context(), req)
		require.NoError(t, err)
		require.NoError(t, p.SetTracks([]*codec.Track{video}, true))
		r := s.play(ViewerOptions{})
		defer r.Close()
		cur := s.feed(s.play(ViewerOptions{}), textFormat(nil))
		defer cur.Close()
		passive, err := s.Play(t.Context(), &Request{Key: testKey, Passive: true, Schema: "rec"})
		require.NoError(t, err)
		defer passive.Close()
		for n := range 10 {
			s.write(p, frame(video, n, n == 0))
		}
		s.write(p, frame(video, 1000, false))
		time.Sleep(time.Second)
		read(t, r, 4)
		packets, err := cur.Next(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, packets, 11)
		st := s.Stream(testKey).Stats()
		require.Equal(t, StateLive, st.State)
		require.Equal(t, map[string]int{"x": 2}, st.Viewers)
		require.Len(t, st.Sessions, 3)
		require.Equal(t, 11, st.RingItems)
		require.Equal(t, 1100, st.RingBytes)
		require.Equal(t, uint64(1100), st.Publisher.Bytes)
		require.Equal(t, uint64(11), st.Publisher.Frames)
		require.Equal(t, uint64(1), st.Publisher.Repairs)
		require.Len(t, st.Feeds, 1)
		require.Equal(t, 1, st.Feeds[0].Viewers)
		v := r.(*Subscription).Stats()
		require.Equal(t, uint64(4), v.Frames)
		require.Equal(t, uint64(400), v.Bytes)
		require.InDelta(t, float64(time.Second), float64(v.Lag), 10)
		v = cur.Reader().(*Subscription).Stats()
		require.Equal(t, uint64(11), v.Frames)
		require.InDelta(t, float64(time.Second), float64(v.Lag), 10, "of a feed's viewer, too")

		// What a publisher did is not what the next one does.
		require.NoError(t, p.CloseWithError(errLost))
		again := s.publish()
		s.write(again, frame(video, 0, true), frame(video, 1000, true))
		require.NoError(t, p.CloseWithError(nil))
		require.Equal(t, uint64(1), final.Repairs)
		require.Equal(t, errLost, final.Err)
		require.Equal(t, uint64(1), s.Stream(testKey).Stats().Publisher.Repairs)
		require.Len(t, s.Streams(), 1)
	})
}

// TestHubClose closes a hub with publishers, viewers and pulls.
func TestHubClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		s.OnMiss = func(ctx context.Context, req *Request) (Source, error) {
			if req.Key.Stream != "pulled" {
				return nil, nil
			}
			return SourceFunc(func(ctx context.Context) (Reader, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}), nil
		}
		p := s.publish(video)
		block := s.play(ViewerOptions{Slow: SlowBlock})
		defer block.Close()
		var work sync.WaitGroup
		work.Go(func() {
			for n := 0; ; n++ {
				if err := p.WriteFrame(context.Background(), frame(video, n, n == 0)); err != nil {
					require.ErrorIs(t, err, ErrClosed)
					return
				}
			}
		})
		for _, name := range []string{"pulled", "awaited"} {
			work.Go(func() {
				_, err := s.Play(context.Background(), &Request{Key: Key{DefaultVhost, "live", name}})
				require.Error(t, err)
			})
		}
		work.Go(func() {
			r := s.play(ViewerOptions{})
			defer r.Close()
			_, err := readErr(r)
			require.ErrorIs(t, err, io.EOF)
		})
		synctest.Wait()
		require.NoError(t, s.Close())
		work.Wait()
		require.Empty(t, s.Streams())
		noPulls(t, s)
	})
}

// A recorder is what middleware may wrap around a Hub.
type recorder struct {
	Handler
	closed int
}

type recorded struct {
	Reader
	by *recorder
}

func (h *recorder) Play(ctx context.Context, req *Request) (Reader, error) {
	if req.User == "" {
		return nil, Refuse(ErrForbidden, "who are you?")
	}
	req.Key.Stream = "t"
	r, err := h.Handler.Play(ctx, req)
	if err != nil {
		return nil, err
	}
	return &recorded{r, h}, nil
}

func (r *recorded) Unwrap() Reader { return r.Reader }

func (r *recorded) Close() error {
	r.by.closed++
	return r.Reader.Close()
}

func TestMiddleware(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	s.write(p, frame(video, 0, true))
	h := &recorder{Handler: s}
	req := &Request{Key: Key{DefaultVhost, "live", "alias"}}
	_, err := h.Play(context.Background(), req)
	require.ErrorIs(t, err, ErrForbidden)
	require.Equal(t, "who are you?", RefusalText(err))
	req.User = "me"
	r, err := h.Play(context.Background(), req)
	require.NoError(t, err)
	cur := s.feed(r, textFormat(nil))
	require.Equal(t, 1, s.Stream(testKey).Stats().Feeds[0].Viewers, "shared")
	require.NoError(t, cur.Close())
	require.NoError(t, cur.Close())
	require.Equal(t, 1, h.closed)
	require.Empty(t, s.Stream(testKey).Stats().Feeds)
	require.Empty(t, RefusalText(errors.New("x")))
}

// heap returns the bytes in use and the goroutines.
func heap() (bytes uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}

func TestFlapsLeaveNothing(t *testing.T) {
	s := newScene(t, StreamOptions{})
	s.OnEvent = nil
	p := s.publish(video)
	s.write(p, frame(video, 0, true))
	r := s.play(ViewerOptions{})
	defer r.Close()
	cur := s.feed(s.play(ViewerOptions{}), textFormat(nil))
	defer cur.Close()
	bytes, goroutines := heap()
	for range 1000 {
		require.NoError(t, p.CloseWithError(errLost))
		p = s.publish(video)
		s.write(p, frame(video, 0, true))
		read(t, r, 1)
		_, err := cur.Next(context.Background(), nil)
		require.NoError(t, err)
	}
	for i := range 1000 {
		q, err := s.Publish(context.Background(), &Request{Key: Key{DefaultVhost, "flap", fmt.Sprint(i)}})
		require.NoError(t, err)
		require.NoError(t, q.SetTracks([]*codec.Track{video}, true))
		s.write(q, frame(video, 0, true))
		require.NoError(t, q.CloseWithError(nil))
	}
	for range 10000 {
		require.NoError(t, s.play(ViewerOptions{}).Close())
	}
	require.Len(t, s.Streams(), 1)
	until(t, "the goroutines' end", func() bool { _, n := heap(); return n <= goroutines })
	now, _ := heap()
	require.Less(t, now, bytes+1<<20)
}

// TestEventsInOrder: many sessions at once, each event once.
func TestEventsInOrder(t *testing.T) {
	s := newScene(t, StreamOptions{})
	p := s.publish(video)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 50 {
				require.NoError(t, s.play(ViewerOptions{}).Close())
			}
		})
	}
	work.Wait()
	require.NoError(t, p.Close())
	until(t, "the last event", func() bool { return s.when(EventClosed) >= 0 })
	watching := map[string]bool{}
	viewers := 0
	for _, e := range s.events {
		switch e.Kind {
		case EventPlay:
			watching[e.Session.ID] = true
			viewers++
		case EventPlayEnd:
			require.True(t, watching[e.Session.ID])
			viewers--
		case EventIdle:
			require.Zero(t, viewers)
		}
	}
	require.Len(t, watching, 400)
	require.Zero(t, viewers)
}
