package source_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/codec"
	"github.com/mediakit-go/mediakit/source"
)

func TestPace(t *testing.T) {
	jump := key(small, time.Hour)
	jump.Flags |= codec.FlagDiscont
	type step struct {
		f      *codec.Frame
		pause  time.Duration // of the caller, before it reads
		arrive time.Duration // when it is delivered, since the start
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"at the times of their DTS", []step{
			{f: key(small, 5000*ms), arrive: 0},
			{f: inter(small, 5040*ms), arrive: 40 * ms},
			{f: sound(aac, 5041*ms), arrive: 41 * ms},
			{f: inter(small, 7040*ms), arrive: 2040 * ms},
		}},
		{"what is due comes at once", []step{
			{f: key(small, 0), arrive: 0},
			{f: inter(small, 40*ms), pause: 500 * ms, arrive: 500 * ms},
			{f: inter(small, 80*ms), arrive: 500 * ms},
			{f: inter(small, 510*ms), arrive: 510 * ms},
		}},
		{"a second late is caught up", []step{
			{f: key(small, 0), arrive: 0},
			{f: inter(small, 40*ms), pause: 1040 * ms, arrive: 1040 * ms},
			{f: inter(small, 80*ms), arrive: 1040 * ms},
		}},
		{"more is not", []step{
			{f: key(small, 0), arrive: 0},
			{f: inter(small, 40*ms), pause: 1041 * ms, arrive: 1041 * ms},
			{f: inter(small, 80*ms), arrive: 1081 * ms},
		}},
		{"a jump starts the clock anew", []step{
			{f: key(small, 0), arrive: 0},
			{f: jump, pause: 10 * ms, arrive: 10 * ms},
			{f: inter(small, time.Hour+40*ms), arrive: 50 * ms},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var a attempt
				for _, s := range c.steps {
					a.frames = append(a.frames, s.f)
				}
				a.err = io.EOF
				in, err := (&script{attempts: []attempt{a}}).Open(t.Context())
				require.NoError(t, err)
				r := source.Pace(in)
				start := time.Now()
				for i, s := range c.steps {
					time.Sleep(s.pause)
					f, err := r.ReadFrame(t.Context())
					require.NoError(t, err)
					require.Same(t, s.f, f)
					require.Equal(t, s.arrive, time.Since(start), "frame %d", i)
				}
				_, err = r.ReadFrame(t.Context())
				require.ErrorIs(t, err, io.EOF)
				require.NoError(t, r.Close())
			})
		})
	}
}

// A frame that was not due when the context ended is not lost.
func TestPaceContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, err := (&script{attempts: []attempt{{frames: []*codec.Frame{key(small, 0), key(small, time.Second), key(small, time.Hour)}}}}).Open(t.Context())
		require.NoError(t, err)
		r := source.Pace(in)
		start := time.Now()
		_, err = r.ReadFrame(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 300*ms)
		defer cancel()
		_, err = r.ReadFrame(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		f, err := r.ReadFrame(t.Context())
		require.NoError(t, err)
		require.Equal(t, time.Second, f.DTS)
		require.Equal(t, time.Second, time.Since(start))

		done := make(chan error)
		go func() {
			_, err := r.ReadFrame(t.Context())
			done <- err
		}()
		synctest.Wait()
		require.NoError(t, r.Close())
		require.ErrorIs(t, <-done, source.ErrClosed)
	})
}
