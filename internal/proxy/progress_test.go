package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mediakit-go/mediakit/source"
)

var errOff = errors.New("off")

// Counters of several openings add up; what was wrong is kept when a stream is only
// closed.
func TestProgress(t *testing.T) {
	var told []source.RetryPhase
	var p Progress
	p.Tell = func() { told = append(told, p.Snapshot().State.Phase) }
	for range 2 {
		p.Begin()
		p.Note(source.RetryState{Phase: source.RetryWaiting, Attempts: 1, Failures: 1, Err: errOff}, false)
		p.Note(source.RetryState{Phase: source.RetryLive, Attempts: 2, Reconnects: 1, Dropped: 3, Err: errOff}, false)
		require.NotZero(t, p.Snapshot().Live)
		p.Note(source.RetryState{Phase: source.RetryEnded, Attempts: 2, Reconnects: 1, Dropped: 3, Err: source.ErrClosed}, true)
		require.True(t, p.Snapshot().Idle)
		require.Zero(t, p.Snapshot().Live)
	}
	s := p.Snapshot().State
	require.Equal(t, source.RetryState{Phase: source.RetryEnded, Attempts: 4, Reconnects: 2, Dropped: 6, Err: errOff}, s)
	p.End(source.ErrKicked)
	p.Note(source.RetryState{Phase: source.RetryLive}, false)
	p.Idle(true)
	p.End(nil)
	require.Equal(t, source.RetryEnded, p.Snapshot().State.Phase, "an end is an end")
	require.ErrorIs(t, p.Snapshot().State.Err, source.ErrKicked)
	require.False(t, p.Snapshot().Idle)
	require.Len(t, told, 7)
}

func TestProgressWait(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*Progress)
		want error
	}{
		{"live", func(p *Progress) { p.Note(source.RetryState{Phase: source.RetryLive}, false) }, nil},
		{"idle", func(p *Progress) { p.Idle(true) }, nil},
		{"failed", func(p *Progress) { p.Note(source.RetryState{Phase: source.RetryWaiting, Err: errOff}, false) }, errOff},
		{"over", func(p *Progress) { p.End(source.ErrIdle) }, source.ErrIdle},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p Progress
			p.Note(source.RetryState{}, false)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.ErrorIs(t, p.Wait(ctx), context.DeadlineExceeded, c.name)
			time.AfterFunc(time.Second, func() { c.do(&p) })
			require.ErrorIs(t, p.Wait(t.Context()), c.want, c.name)
			require.ErrorIs(t, p.Wait(t.Context()), c.want, c.name)
		})
	}
}

// The rate is that of the last second, and 0 when nothing comes any more.
func TestProgressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Progress
		for range 100 { // four seconds
			p.Count(40)
			time.Sleep(40 * time.Millisecond)
		}
		s := p.Snapshot()
		require.EqualValues(t, 4000, s.Bytes)
		require.EqualValues(t, 100, s.Frames)
		require.EqualValues(t, 1000, s.Rate)
		for range 100 {
			p.Count(80)
			time.Sleep(40 * time.Millisecond)
		}
		require.EqualValues(t, 2000, p.Snapshot().Rate)
		time.Sleep(2 * time.Second)
		require.Zero(t, p.Snapshot().Rate)
	})
}
