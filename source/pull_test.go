package source

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
)

var errSource = errors.New("camera is off")

// A camera is a Source with a frame each 40 ms.
type camera struct {
	opened, closed atomic.Int64
	delay          time.Duration // before it opens
	refuse         []error       // of each opening; nil: none
	frames         int           // then it fails; 0: it does not
	eof            bool          // it ends gracefully instead
}

func (c *camera) Open(ctx context.Context) (Reader, error) {
	opened := int(c.opened.Add(1))
	select {
	case <-time.After(c.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if n := opened - 1; n < len(c.refuse) && c.refuse[n] != nil {
		return nil, c.refuse[n]
	}
	return &shot{camera: c}, nil
}

type shot struct {
	*camera
	n int
}

func (s *shot) Tracks() []*codec.Track { return []*codec.Track{video} }
func (s *shot) Close() error           { s.closed.Add(1); return nil }

func (s *shot) ReadFrame(ctx context.Context) (*codec.Frame, error) {
	if s.frames > 0 && s.n == s.frames {
		if s.eof {
			return nil, io.EOF
		}
		return nil, errSource
	}
	select {
	case <-time.After(40 * ms):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.n++
	return frame(video, s.n-1, s.n == 1), nil
}

// missScene is a scene whose streams come from c.
func missScene(t *testing.T, o StreamOptions, c *camera) *scene {
	s := newScene(t, o)
	s.OnMiss = func(context.Context, *Request) (Source, error) { return c, nil }
	return s
}

func noPulls(t *testing.T, s *scene) {
	until(t, "the pull's end", func() bool {
		s.Hub.mu.Lock()
		defer s.Hub.mu.Unlock()
		return len(s.pulls) == 0
	})
}

func TestPullOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{delay: time.Second}
		s := missScene(t, StreamOptions{}, c)
		var viewers sync.WaitGroup
		for i := range 20 {
			viewers.Go(func() {
				time.Sleep(time.Duration(i) * 50 * ms)
				r := s.play(ViewerOptions{})
				require.Equal(t, time.Second, time.Since(s.began))
				require.Equal(t, "0:1K 40:1-", read(t, r, 2))
				time.Sleep(time.Minute)
				require.NoError(t, r.Close())
			})
		}
		viewers.Wait()
		require.EqualValues(t, 1, c.opened.Load())
		// Viewers who are back in time find it running.
		time.Sleep(19 * time.Second)
		require.NoError(t, s.play(ViewerOptions{}).Close())
		left := time.Now()
		time.Sleep(19 * time.Second)
		synctest.Wait()
		require.Zero(t, c.closed.Load())
		until(t, "the end", func() bool { return c.closed.Load() == 1 })
		require.InDelta(t, float64(20*time.Second), float64(time.Since(left)), float64(50*ms))
		require.EqualValues(t, 1, c.opened.Load())
		r := s.play(ViewerOptions{})
		require.EqualValues(t, 2, c.opened.Load(), "opened again")
		require.NoError(t, r.Close())
	})
}

func TestPullIdleClose(t *testing.T) {
	for _, c := range []struct {
		hub, request, want time.Duration
	}{
		{0, 0, 20 * time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{5 * time.Second, time.Second, time.Second},
		{0, -1, time.Hour},
		{-1, 0, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			cam := &camera{}
			s := missScene(t, StreamOptions{IdleClose: c.hub}, cam)
			r, err := s.Play(t.Context(), &Request{Key: testKey, Options: StreamOptions{IdleClose: c.request}})
			require.NoError(t, err)
			require.NoError(t, r.Close())
			left := time.Now()
			for cam.closed.Load() == 0 && time.Since(left) < time.Hour {
				time.Sleep(100 * ms)
				synctest.Wait()
			}
			require.InDelta(t, float64(c.want), float64(time.Since(left)), float64(200*ms))
		})
	}
}

// TestPullGivenUp: a source that does not open is given up when the last viewer
// who waited for it has gone, and asked again for the next.
func TestPullGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{delay: time.Hour}
		s := missScene(t, StreamOptions{}, c)
		var viewers sync.WaitGroup
		for i := range 3 {
			viewers.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				_, err := s.Play(t.Context(), &Request{Key: testKey})
				require.ErrorIs(t, err, ErrNotFound)
			})
		}
		time.Sleep(16 * time.Second)
		s.Hub.mu.Lock()
		require.Len(t, s.pulls, 1) // two still wait
		s.Hub.mu.Unlock()
		viewers.Wait()
		synctest.Wait()
		s.Hub.mu.Lock()
		require.Empty(t, s.pulls)
		s.Hub.mu.Unlock()
		require.EqualValues(t, 1, c.opened.Load())
		c.delay = 0
		r, err := s.Play(t.Context(), &Request{Key: testKey})
		require.NoError(t, err)
		require.NoError(t, r.Close())
	})
}

func TestPullRefusals(t *testing.T) {
	play := func(s *scene) error {
		r, err := s.Play(context.Background(), &Request{Key: testKey})
		if err == nil {
			r.Close()
		}
		return err
	}
	t.Run("OnMiss refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, StreamOptions{})
			s.OnMiss = func(context.Context, *Request) (Source, error) { return nil, Refuse(ErrForbidden, "no") }
			require.ErrorIs(t, play(s), ErrForbidden)
			require.Zero(t, time.Since(s.began))
		})
	})
	t.Run("no source: wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, StreamOptions{})
			s.OnMiss = func(context.Context, *Request) (Source, error) { return nil, nil }
			time.AfterFunc(time.Second, func() { s.publish(video) })
			require.NoError(t, play(s))
			require.Equal(t, time.Second, time.Since(s.began))
		})
	})
	t.Run("source fails to open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := missScene(t, StreamOptions{}, &camera{delay: time.Second, refuse: []error{errSource}})
			err := play(s)
			require.ErrorIs(t, err, ErrNotFound)
			require.ErrorIs(t, err, errSource)
			require.Equal(t, time.Second, time.Since(s.began))
			noPulls(t, s)
		})
	})
	t.Run("source takes too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := missScene(t, StreamOptions{}, &camera{delay: time.Hour})
			require.ErrorIs(t, play(s), ErrNotFound)
			require.Equal(t, 15*time.Second, time.Since(s.began))
		})
	})
	t.Run("somebody else publishes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := &camera{delay: 2 * time.Second}
			s := missScene(t, StreamOptions{}, c)
			time.AfterFunc(time.Second, func() { s.publish(video) })
			require.NoError(t, play(s))
			require.Equal(t, time.Second, time.Since(s.began))
			time.Sleep(time.Minute)
			require.EqualValues(t, 1, c.opened.Load())
			noPulls(t, s)
		})
	})
}

// TestPullFails loses a source in mid-stream.
func TestPullFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{frames: 2, refuse: []error{nil, errSource, nil, errSource, errSource, errSource, errSource, errSource}}
		s := missScene(t, StreamOptions{}, c)
		r := s.play(ViewerOptions{})
		defer r.Close()
		require.Equal(t, "0:1K 40:1-", read(t, r, 2))
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.True(t, f.Has(codec.FlagKey|codec.FlagDiscont))
		require.Greater(t, f.DTS, 5*time.Second, "2 s, then 3 s after a failure")
		require.EqualValues(t, 3, c.opened.Load())
		n, err := readErr(r)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 1, n)
		noPulls(t, s)
		require.Less(t, c.opened.Load(), int64(8), "no more than while viewers wait")
	})
}

func TestPullEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &camera{frames: 2, eof: true}
		s := missScene(t, StreamOptions{}, c)
		for range 3 {
			r := s.play(ViewerOptions{})
			_, err := readErr(r)
			require.ErrorIs(t, err, io.EOF)
			require.NoError(t, r.Close())
		}
		synctest.Wait()
		require.EqualValues(t, 3, c.opened.Load())
		require.EqualValues(t, 3, c.closed.Load())
		s.play(ViewerOptions{}).Close()
		require.True(t, s.Kick(s.Stream(testKey).Stats().Publisher.ID))
		synctest.Wait()
		noPulls(t, s)
		require.EqualValues(t, 4, c.closed.Load())
	})
}
