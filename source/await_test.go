package source

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAwait: who awaits a stream is told when it is live, again and again, and
// nothing is asked for it.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{Linger: -1})
		s.MaxWait = -1
		s.OnMiss = func(context.Context, *Request) (Source, error) {
			t.Error("OnMiss was asked")
			return nil, nil
		}
		for _, length := range []time.Duration{time.Minute, 0, time.Hour} {
			began := time.Now()
			time.AfterFunc(length, func() {
				s.publish().Close() // never live
				p := s.publish()
				time.Sleep(time.Second)
				s.write(p, frame(video, 0, true))
				require.NoError(t, p.SetTracks(nil, true))
			})
			got, err := s.Await(t.Context(), testKey)
			require.NoError(t, err)
			require.Same(t, s.Stream(testKey), got)
			require.Equal(t, length+time.Second, time.Since(began))
			again, err := s.Await(t.Context(), testKey)
			require.NoError(t, err)
			require.Same(t, got, again)
			got.End(nil)
		}
		require.Empty(t, s.awaited)
	})
}

func TestAwaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, StreamOptions{})
		_, err := s.Await(t.Context(), Key{App: "a"})
		require.ErrorIs(t, err, ErrBadKey)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Await(ctx, testKey)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, s.awaited)
		time.AfterFunc(time.Second, func() { s.Close() })
		_, err = s.Await(t.Context(), testKey)
		require.ErrorIs(t, err, ErrClosed)
	})
}
