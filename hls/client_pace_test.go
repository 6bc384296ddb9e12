package hls

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

func TestPacer(t *testing.T) {
	const frame = 40 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		p := &pacer{life: life, speed: 1}
		dts := 1000 * time.Hour
		// play returns how long n frames take.
		play := func(n int, behind time.Duration) time.Duration {
			start := time.Now()
			for range n {
				dts += frame
				require.NoError(t, p.wait(t.Context(), dts, behind))
			}
			return time.Since(start)
		}
		require.Zero(t, play(1, 0), "the first one is due")
		require.Equal(t, time.Second, play(25, 0))
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 900*time.Millisecond, play(25, 0), "a little late: made up for")
		time.Sleep(10 * time.Second)
		require.Equal(t, 24*frame, play(25, 0), "very late: the clock begins anew")
		dts += time.Hour
		require.Equal(t, 24*frame, play(25, 0), "a jump is not waited for")
		require.InDelta(t, float64(time.Minute)/catchUp, play(1500, 5*time.Second), float64(frame), "behind: faster")
		require.InDelta(t, float64(time.Second)/catchUp, play(25, time.Second), float64(frame), "until all is made up")
		require.InDelta(t, time.Second, play(25, 0), float64(frame))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		dts += 10 * time.Second
		require.ErrorIs(t, p.wait(ctx, dts, 0), context.DeadlineExceeded)
		require.InDelta(t, 9*time.Second, took(func() { require.NoError(t, p.wait(t.Context(), dts, 0)) }), float64(frame), "it is still due then")
		end()
		require.ErrorIs(t, p.wait(t.Context(), dts+time.Second, 0), source.ErrClosed)
	})
}

// took returns how long fn takes.
func took(fn func()) time.Duration {
	start := time.Now()
	fn()
	return time.Since(start)
}
